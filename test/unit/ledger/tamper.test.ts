/** Whatever is changed in the database or the bucket is named; what is not changed is not. */
import { describe, expect, it } from "vitest";
import { checkWhileGrowing } from "../../support/growing-world.ts";
import { MUTATIONS } from "../../support/tamper.ts";
import { TamperedCopies } from "../../support/tampered-copies.ts";

const SUBJECTS = 110;

describe("verification", () => {
  it("names every kind of change, one at a time", async () => {
    const copies = await TamperedCopies.make(SUBJECTS);
    const missed: string[] = [];
    for (let n = 0; n < MUTATIONS.length; n++) missed.push(...(await copies.tamper(n, 1_000 + n, 1)));
    expect(missed).toEqual([]);
  }, 300_000);

  it("names both of two changes", async () => {
    const copies = await TamperedCopies.make(SUBJECTS);
    const missed: string[] = [];
    for (let n = 0; n < 40; n++) missed.push(...(await copies.tamper(n * 3, 7_000 + n, 2)));
    expect(missed).toEqual([]);
  }, 300_000);

  it("finds nothing in what nobody changed, however much is appended meanwhile", async () => {
    expect(await checkWhileGrowing(40)).toEqual([]);
  }, 300_000);
});
