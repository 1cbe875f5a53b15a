/** What came of asking core for something to show. */
export type Asked<Value> =
  | { readonly type: "ok"; readonly value: Value }
  /** There is no such thing. */
  | { readonly type: "missing" }
  /** Core does not answer, or not with what this understands. */
  | { readonly type: "away" }
  /** The hub's key does not open it, or there is none. */
  | { readonly type: "closed" };

export const askedValue = <Value>(asked: Asked<Value>): Value | undefined =>
  asked.type === "ok" ? asked.value : undefined;
