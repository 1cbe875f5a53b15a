import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { checkReach } from "../../../scripts/lib/backup/drill.ts";

test("a drill by command fails when an entry older than the recovery point is in no backup", async () => {
  const now = Date.parse("2026-11-22T02:00:00.000Z");
  const ages = new Map([
    ["/ledger/entries/10", 6 * 60_000],
    ["/ledger/entries/11", 60_000],
    ["/ledger/entries/12", 6 * 60_000],
  ]);
  const refusals = new Map([
    ["/ledger/entries/12", 401],
    ["/ledger/entries/14", 503],
  ]);
  const server = createServer((request, response) => {
    const refused = refusals.get(request.url ?? "");
    if (refused !== undefined && request.headers.authorization !== "Bearer auditor") {
      response.writeHead(refused).end();
      return;
    }
    const age = ages.get(request.url ?? "");
    response.writeHead(age === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(age === undefined ? {} : { entry: { at: new Date(now - age).toISOString() } }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await expect(checkReach(url, 10, now)).rejects.toThrow("entry 10 of 2026-11-22T01:54:00.000Z is in no backup");
    expect(await checkReach(url, 11, now)).toBe(true);
    expect(await checkReach(url, 13, now)).toBe(true);
    expect(await checkReach(url, 12, now)).toBe(false);
    await expect(checkReach(url, 12, now, "auditor")).rejects.toThrow("entry 12 of");
    await expect(checkReach(url, 14, now)).rejects.toThrow("is not known");
  } finally {
    server.close();
  }
});
