/** What a verifier remembers between two runs, in one file. */
import * as z from "zod";
import type { Checkpoint } from "../../src/ledger/checkpoint.ts";
import { NO_ENTRY_HASH } from "../../src/ledger/hash.ts";
import { toHex } from "../../src/platform/encoding.ts";
import { readIfThere, writeAtomically } from "./atomic-file.ts";
import { Failure } from "./fail.ts";

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const size = z.number().int().nonnegative();
const stateSchema = z.object({
  version: z.literal(1),
  origin: z.string(),
  /** The newest checkpoint seen that extends every one before it. */
  seen: z.object({ size, rootHash: hex, note: z.string() }),
  /** Full bundles checked so far. */
  checked: z.object({ size, headHash: hex, lastAt: z.string(), levels: z.array(z.array(hex)) }),
  /** The newest anchor that was held against the log; it only grows. */
  anchor: z.object({ size, rootHash: hex }).optional(),
});
export type VerifierState = z.output<typeof stateSchema>;

export const NOTHING_CHECKED: VerifierState["checked"] = { size: 0, headHash: NO_ENTRY_HASH, lastAt: "", levels: [] };

/** @throws Failure on a file that is not a verifier's: what can not be read is never taken for nothing seen. */
export function readVerifierState(path: string): VerifierState | undefined {
  const text = readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch {
    throw new Failure(`${path} is not the state of a verification`);
  }
}

export const writeVerifierState = (path: string, state: VerifierState): void =>
  writeAtomically(path, `${JSON.stringify(state)}\n`);

/** @param subject what is verified, for the message. @throws Failure when the state is of another log. */
export function checkOrigin(state: VerifierState | undefined, origin: string, subject: string): void {
  if (state !== undefined && state.origin !== origin) {
    throw new Failure(`the state file is of ${state.origin}, this ${subject} is ${origin}`);
  }
}

/** What was remembered, with another checkpoint as the newest seen. */
export const withSeen = (
  state: VerifierState | undefined,
  { origin, size: entries, root }: Checkpoint,
  note: string,
): VerifierState => ({
  checked: NOTHING_CHECKED,
  ...state,
  version: 1,
  origin,
  seen: { size: entries, rootHash: toHex(root), note },
});
