/** The row behind an OPERATOR_ACTION entry against what the entry says and commits to. */
import type { ReadEntry } from "../ledger/check-entry.ts";
import { commitmentOf, subjectOf } from "../ledger/commitment.ts";
import { fromHex } from "../platform/encoding.ts";

/** As it is stored; nothing of it is believed yet. */
export interface StoredOperatorAction {
  readonly subject: string;
  readonly seq: number;
  readonly action: string;
  readonly actor: string;
  readonly reason: string | null;
  readonly details: string;
  readonly salt: string;
}

/** @returns the columns that differ from what the entry gives. */
export function operatorActionFaults(entry: ReadEntry, row: StoredOperatorAction): readonly string[] {
  const faults: string[] = [];
  if (row.seq !== entry.seq) faults.push("seq");
  if (row.action !== entry.data.action) faults.push("action");
  if (row.actor !== entry.data.actor) faults.push("actor");
  if ((row.reason ?? undefined) !== entry.data.reason) faults.push("reason");
  if (!/^[0-9a-f]{64}$/.test(row.salt)) return [...faults, "salt"];
  const salt = fromHex(row.salt);
  const details = parsed(row.details);
  const id = typeof details === "object" && details !== null && "actionId" in details ? details.actionId : undefined;
  if (typeof id !== "string" || subjectOf(salt, id) !== entry.subject || committed(salt, details) !== entry.commitment)
    faults.push("details");
  return faults;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function committed(salt: Uint8Array, value: unknown): string | undefined {
  try {
    return commitmentOf(salt, value);
  } catch {
    return undefined;
  }
}
