/** What is kept of each subject, and rows that belong to none. */
import type { Finding } from "./finding.ts";
import { endsEarly } from "./scrub-memory.ts";
import { ORPHAN_TABLES, type ScrubPort } from "./scrub-port.ts";
import { next, type ScrubState, type Slice, withFindings } from "./scrub-state.ts";

const SUBJECT_ENTRIES = 256;
const OWNERS = 1_000;

export async function subjectSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const to = Math.min(state.size, state.at + SUBJECT_ENTRIES);
  if (state.at >= to) return { state: endLog(port, next(state, "owners")), cost: 0, completed: false };
  const { findings, erased } = await port.checkSubjects(state.at, to);
  const checked = withFindings({ ...state, at: to, erased: state.erased + erased }, findings, port);
  return { state: checked, cost: to - state.at, completed: false };
}

function endLog(port: ScrubPort, state: ScrubState): ScrubState {
  const early = endsEarly(state.memory?.checkpoints, state.checkpoints, "checkpoint-missing");
  return withFindings(state, early, port);
}

export async function ownerSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const table = ORPHAN_TABLES[state.table];
  if (table === undefined) return { state: next(state, "anchors"), cost: 0, completed: false };
  const owners = await port.readOwners(
    table,
    state.cursor === "" ? Number.MIN_SAFE_INTEGER : Number(state.cursor),
    OWNERS,
  );
  const findings = owners
    .filter(({ known }) => !known)
    .map(({ subject }): Finding => {
      const detail = `a row of ${table} belongs to no entry`;
      const type =
        table === "payloads"
          ? "payload-unexpected"
          : table === "payload_keys"
            ? "key-unexpected"
            : "projection-unexpected";
      return { type, subject, place: table, detail };
    });
  const last = owners.at(-1)?.seq;
  const moved =
    last === undefined || owners.length < OWNERS
      ? { ...state, table: state.table + 1, cursor: "" }
      : { ...state, cursor: String(last) };
  return {
    state: withFindings(moved, findings, port),
    cost: Math.ceil(owners.length / 10),
    completed: false,
  };
}
