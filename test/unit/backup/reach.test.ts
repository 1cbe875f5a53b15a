import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { checkReach } from "../../../scripts/lib/backup/drill.ts";

test("a drill by command fails when an entry older than the recovery point is in no backup", async () => {
  const now = Date.parse("2026-11-22T02:00:00.000Z");
  const ages = new Map([
    ["/ledger/entries/10", 6 * 60_000],
    ["/ledger/entries/11", 60_000],
  ]);
  const server = createServer((request, response) => {
    const age = ages.get(request.url ?? "");
    response.writeHead(age === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(age === undefined ? {} : { entry: { at: new Date(now - age).toISOString() } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await expect(checkReach(url, 10, now)).rejects.toThrow("entry 10 of 2026-11-22T01:54:00.000Z is in no backup");
    await expect(checkReach(url, 11, now)).resolves.toBeUndefined();
    await expect(checkReach(url, 12, now)).resolves.toBeUndefined();
  } finally {
    server.close();
  }
});
