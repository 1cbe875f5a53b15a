/**
 * How guessing is bounded. An attempt is written down before its password or code is looked at, and refused when too many
 * are there: guesses made at once are therefore counted like guesses made one after another.
 */
export const LOCKOUT_WINDOW_MS = 15 * 60_000;
export const ACCOUNT_FAILURES = 5;
/** Behind one address there may be a whole clinic. */
export const ADDRESS_FAILURES = 50;
/** An attempt without an outcome for this long has died; it counts as failed. */
export const ATTEMPT_MS = 30_000;

export interface Attempt {
  readonly state: "pending" | "failed";
  readonly at: number;
}

export type Refusal =
  | { readonly type: "locked"; readonly retryAfterMs: number }
  /** Others of the same account or address are being looked at now; they may still succeed. */
  | { readonly type: "busy" };

/**
 * Why an attempt was refused.
 * @param account, address the newest attempts within the window, newest first, as many as the limits say.
 */
export function refusalOf(account: readonly Attempt[], address: readonly Attempt[], now: number): Refusal {
  const locks = [lockOf(account, ACCOUNT_FAILURES, now), lockOf(address, ADDRESS_FAILURES, now)];
  const retryAfterMs = Math.max(...locks);
  return retryAfterMs > 0 ? { type: "locked", retryAfterMs } : { type: "busy" };
}

function lockOf(attempts: readonly Attempt[], limit: number, now: number): number {
  const failed = attempts.filter(({ state, at }) => state === "failed" || at <= now - ATTEMPT_MS);
  const oldest = failed[limit - 1];
  return oldest === undefined ? 0 : oldest.at + LOCKOUT_WINDOW_MS - now;
}

/**
 * What stands for a client's address: IPv4 whole, of IPv6 the /64 that one customer is given.
 * @param address the header cf-connecting-ip; without it all callers count as one.
 */
export function addressKey(address: string | undefined): string {
  if (address === undefined) return "";
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.toLowerCase().split("%")[0]?.split("::") ?? [];
  const groups = (part: string | undefined): readonly string[] =>
    part === undefined || part === "" ? [] : part.split(":");
  const before = groups(head);
  const after = groups(tail);
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length);
  const all = [...before, ...new Array<string>(zeros).fill("0"), ...after];
  return all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":");
}
