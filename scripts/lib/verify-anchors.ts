/** A log's anchors on the chain, held against one another and against its newest checkpoint. */
import type { Checkpoint } from "../../src/ledger/checkpoint.ts";
import { fromHex } from "../../src/platform/encoding.ts";
import type { ServedLog } from "./served-log.ts";
import { type ChainAnchor, type ChainPins, ChainUnavailable, checkChain, readAnchors } from "./verify-chain.ts";
import type { Reporter } from "./verify-report.ts";
import type { VerifierState } from "./verify-state.ts";

type KnownAnchor = NonNullable<VerifierState["anchor"]>;

export interface ChainView {
  /** Oldest first, from the one after `known` on when the chain still has that. */
  readonly anchors: readonly ChainAnchor[];
  /** The newest anchor that an earlier run held against the log, whether the chain still has it or not. */
  readonly known: KnownAnchor | undefined;
  /** Whether `known` was met, or there is none. */
  readonly reachesKnown: boolean;
  readonly faults: readonly string[];
}

/** @returns undefined when the chain can not be read, which leaves everything unverified. */
export async function readChainView(
  chain: ChainPins,
  known: KnownAnchor | undefined,
  reporter: Reporter,
): Promise<ChainView | undefined> {
  try {
    await checkChain(chain);
    return { ...(await readAnchors(chain, known)), known };
  } catch (error) {
    if (!(error instanceof ChainUnavailable)) throw error;
    reporter.unverified("anchors", error.message);
    return undefined;
  }
}

/** Whether an anchor of that size, be it another one, is on the chain. */
const isReplaced = ({ anchors, known }: ChainView): boolean => anchors.some(({ size }) => size === known?.size);

/** In order of size, with the known one in its place when the chain has none of its size any more. */
function anchorPoints(view: ChainView): readonly KnownAnchor[] {
  const { known } = view;
  const anchors: readonly KnownAnchor[] = view.anchors;
  if (known === undefined || isReplaced(view)) return anchors;
  const larger = anchors.findIndex(({ size }) => size > known.size);
  return larger === -1 ? [...anchors, known] : anchors.toSpliced(larger, 0, known);
}

/**
 * Each anchor extends the one before it, and the checkpoint the last: by proofs from the log's own tiles. One that an earlier
 * run has seen and the chain no longer has stays among them: the log is held to what it once anchored.
 * @returns whether nothing is wrong; an anchor that is gone is no finding, since a node may lag behind.
 */
export async function checkAnchors(
  view: ChainView,
  checkpoint: Checkpoint,
  log: ServedLog,
  reporter: Reporter,
): Promise<boolean> {
  const { known, reachesKnown, faults } = view;
  const before = reporter.findingCount;
  for (const fault of faults) reporter.finding("anchor-mismatch", fault);
  if (known !== undefined && !reachesKnown && isReplaced(view)) {
    reporter.finding(
      "anchor-mismatch",
      `the chain's anchor of ${known.size} entries has another root than was seen before`,
    );
  }
  let newest: KnownAnchor | undefined;
  for (const { size, rootHash } of anchorPoints(view)) {
    if (size > checkpoint.size) {
      const where = size === known?.size ? "was seen to anchor" : "anchors";
      reporter.finding("truncated", `the chain ${where} ${size} entries, the checkpoint has ${checkpoint.size}`);
      continue;
    }
    const from = newest;
    newest = { size, rootHash };
    if (from === undefined) continue;
    if (!(await log.isConsistent(from, { size, root: fromHex(rootHash) }, checkpoint.size))) {
      reporter.finding("anchor-mismatch", `the anchor of ${size} entries does not extend that of ${from.size}`);
    }
  }
  if (newest !== undefined && !(await log.isConsistent(newest, checkpoint, checkpoint.size))) {
    reporter.finding("anchor-mismatch", `the checkpoint does not extend the anchor of ${newest.size} entries`);
  }
  const agree = reporter.findingCount === before;
  sayOfAnchors(view, newest, agree, reporter);
  return agree;
}

/** @param newest the largest anchor that the checkpoint was held against. */
function sayOfAnchors(view: ChainView, newest: KnownAnchor | undefined, agree: boolean, reporter: Reporter): void {
  const { anchors, known, reachesKnown, faults } = view;
  if (!agree) reporter.failed("anchors", "see the findings");
  if (known !== undefined && !reachesKnown && !isReplaced(view) && faults.length === 0) {
    const onChain = anchors.at(-1)?.size ?? 0;
    const instead = onChain === 0 ? "it holds none" : `its newest is of ${onChain}`;
    reporter.unverified(
      "anchors",
      `the anchor of ${known.size} entries seen before is no longer on the chain, ${instead}: the node lags behind, or the chain was reorganized or is another`,
    );
  } else if (agree && newest === undefined) reporter.ok("anchors", "the chain holds no anchor yet");
  else if (agree && newest !== undefined) {
    const since = known === undefined ? "" : ` since that of ${known.size} entries`;
    reporter.ok(
      "anchors",
      `${anchors.length} anchors on the chain${since}, each extends the one before; the newest holds ${newest.size} entries`,
    );
  }
}
