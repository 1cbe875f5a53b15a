import { expect, it } from "vitest";
import { ROTATED, rotateUnderLoad } from "./support/rotation-suite.ts";
import { temporaryDirectory } from "./support/stack.ts";

it("rotates every secret of core and relay at once while claims are filed: no request fails, no delivery is lost", async () => {
  const directory = temporaryDirectory();
  try {
    const { faults, filed, delivered } = await rotateUnderLoad(ROTATED, directory.path, 10);
    expect(faults).toEqual([]);
    expect(delivered).toBe(filed);
    expect(filed).toBeGreaterThanOrEqual(40);
  } finally {
    directory.remove();
  }
});
