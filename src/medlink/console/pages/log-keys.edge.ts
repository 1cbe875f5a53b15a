/** The keys of the log, as core publishes them, for checks in the browser. */
import type { Hub } from "../../hub.edge.ts";

/** A page does not wait longer for them: without them everything but the signature can be checked. */
const TIMEOUT_MS = 1_500;
const KEPT_MS = 60_000;
const MAX_LENGTH = 4_000;

let kept: { readonly text: string; readonly at: number } | undefined;

/** @returns verifier keys, one a line; undefined when core does not give them. */
export async function readLogKeys(hub: Hub, correlationId: string): Promise<string | undefined> {
  const now = hub.now();
  if (kept !== undefined && now - kept.at < KEPT_MS) return kept.text;
  const answer = await hub.core.call({
    method: "GET",
    path: "/ledger/log/key",
    surface: "open",
    correlationId,
    timeoutMs: TIMEOUT_MS,
  });
  if (answer.type !== "answered" || answer.status !== 200 || answer.text.length > MAX_LENGTH) return undefined;
  kept = { text: answer.text, at: now };
  return answer.text;
}
