/** What a guess at a password costs; in a file of its own because the hub's worker tests, which sign in all the time, put a cheap one in its place. */

export interface ScryptCost {
  /** log2 of N. */
  readonly ln: number;
  readonly r: number;
  readonly p: number;
}

/** 16 MiB, about 0.15 s; the least that OWASP recommends for scrypt at this memory. */
export const PASSWORD_COST: ScryptCost = { ln: 14, r: 8, p: 5 };
