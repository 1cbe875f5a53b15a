import { expect, it } from "vitest";
import { HUB_ROTATED, rotateHubUnderLoad } from "./support/hub-rotation.ts";
import { ROTATED, rotateUnderLoad } from "./support/rotation-suite.ts";
import { temporaryDirectory } from "./support/stack.ts";

it("rotates every secret of core and relay at once while claims are filed: no request fails, no delivery is lost", async () => {
  const directory = temporaryDirectory();
  try {
    const { faults, filed, delivered, used } = await rotateUnderLoad(ROTATED, directory.path, 10);
    expect(faults).toEqual([]);
    for (const name of ["CLAIMS_API_KEY", "OPERATOR_API_KEY", "AUDITOR_TOKEN", "METRICS_SCRAPE_TOKEN"])
      expect(used[name], name).toBeGreaterThanOrEqual(5);
    expect(delivered).toBe(filed);
    expect(filed).toBeGreaterThanOrEqual(40);
  } finally {
    directory.remove();
  }
});

it("rotates the hub's secrets, the backup key and the operator's at once while claims are filed, decided and paid: none fails or is lost", async () => {
  const directory = temporaryDirectory();
  try {
    const { faults, filed, paid, settled, snapshots } = await rotateHubUnderLoad(HUB_ROTATED, directory.path, 4);
    expect(faults).toEqual([]);
    expect(paid).toBe(filed);
    expect(settled).toBeGreaterThanOrEqual(filed);
    expect(snapshots).toBeGreaterThanOrEqual(3);
  } finally {
    directory.remove();
  }
}, 300_000);
