/** The beginning of a round: what was promised, published and anchored, before anything of the database is read. */
import { LOG_START } from "./check-log.ts";
import type { Finding } from "./finding.ts";
import { NOTHING_REMEMBERED } from "./scrub-memory.ts";
import type { ScrubPort } from "./scrub-port.ts";
import { type ScrubState, withFindings } from "./scrub-state.ts";

export async function beginRound(port: ScrubPort, state: ScrubState): Promise<ScrubState> {
  const promised = (await port.readPromised()) ?? null;
  const [note, chain] = await Promise.all([port.readPublishedNote(), port.readChain()]);
  const findings: Finding[] = [];
  let publishedSize = 0;
  const opened = note === undefined ? undefined : port.openNote(note);
  if (note === undefined) {
    if (promised?.released === true) {
      findings.push({ type: "tile-missing", place: "checkpoint", detail: "the published checkpoint is gone" });
    }
  } else if (opened !== undefined) {
    const result = await opened;
    if (result.type === "refused") {
      findings.push({ type: "checkpoint-signature", place: "published", detail: `published: ${result.reason}` });
    } else {
      publishedSize = result.checkpoint.size;
      if (promised?.released === true && publishedSize < promised.size) {
        const detail = `the published checkpoint has ${publishedSize} entries, ${promised.size} were promised`;
        findings.push({ type: "checkpoint-mismatch", place: "published", detail });
      }
    }
  }
  return withFindings(
    {
      ...state,
      startedAt: port.now(),
      phase: "log",
      log: LOG_START,
      size: 0,
      publishedSize: Math.max(publishedSize, promised?.released === true ? promised.size : 0),
      rootHash: "",
      at: 0,
      cursor: "",
      table: 0,
      chain: chain ?? null,
      promised,
      lastSignedAt: 0,
      checkpoints: NOTHING_REMEMBERED,
      anchorEvents: NOTHING_REMEMBERED,
      anchors: {},
      erased: 0,
      chainChecked: chain !== undefined,
      signaturesChecked: opened !== undefined,
      omitted: {},
    },
    findings,
    port,
  );
}
