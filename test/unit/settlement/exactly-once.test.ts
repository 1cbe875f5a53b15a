/** What `npm run test:long -- settlements` does with ten thousand, with a few hundred. */
import { describe, expect, it } from "vitest";
import { settleMany } from "../../support/settle-many.ts";

describe("settlements through an operator that loses answers, while isolates end", () => {
  it.each([1])(
    "each move their money exactly once, and both books agree (seed %d)",
    async (seed) => {
      const { faults, reconciled, lostAnswers, crashes, mostAMinute, leastAMinute } = await settleMany(300, seed);
      expect(faults).toEqual([]);
      expect(reconciled).toBe(300);
      expect(lostAnswers).toBeGreaterThan(30);
      expect(crashes).toBeGreaterThan(0);
      expect(mostAMinute).toBeLessThanOrEqual(60);
      expect(leastAMinute).toBeGreaterThanOrEqual(50);
    },
    120_000,
  );
});
