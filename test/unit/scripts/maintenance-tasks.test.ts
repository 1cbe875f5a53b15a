import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DeploySite } from "../../../scripts/lib/deploy/site.ts";
import { runTasks, TASKS } from "../../../scripts/lib/maintenance/tasks.ts";

const DAY_MS = 86_400_000;
const NOW = 1_000 * DAY_MS;

/** A core that has nothing but deliveries, which it lists from the oldest event on, as the real one does when asked. */
let deliveredAt: readonly number[] = [];
let server: Server;
let url = "";
beforeAll(async () => {
  server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? "", "http://core");
    const limit = Number(searchParams.get("limit"));
    const found = searchParams.get("order") === "oldest" ? deliveredAt : deliveredAt.toReversed();
    const next = found.length > limit ? "1.1" : null;
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify({ deliveries: found.slice(0, limit).map((at) => ({ deliveredAt: at })), next }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
});
afterAll(() => void server.close());

async function looked(days: readonly number[], retention?: string) {
  // In the order of their events, which is nearly that of their deliveries.
  deliveredAt = days.toReversed().map((age) => NOW - age * DAY_MS);
  const site: DeploySite = {
    urls: { "itrans-core": url, "itrans-relay": url, "medlink-hub": url },
    keys: { core: "key", hub: "key", workflow: "key" },
    scrapeToken: "token",
    values: { RELAY_DELIVERED_RETENTION_DAYS: retention },
  };
  const tasks = TASKS.filter(({ title }) => title === "Old deliveries are cleaned up");
  const parts = { site, environment: "local" as const, now: NOW, dataDir: "" };
  const [result] = await runTasks("weekly", parts, undefined, tasks);
  return result;
}

test("deliveries that outlived their retention by a day are told, others are not", async () => {
  expect(await looked([1, 29, 30.5])).toMatchObject({ ok: true });
  expect(await looked([1, 29, 32, 40])).toMatchObject({
    ok: false,
    detail: expect.stringMatching(/^2 were delivered/),
  });
  expect(await looked(Array.from({ length: 300 }, () => 40))).toMatchObject({
    ok: false,
    detail: expect.stringMatching(/^200 or more were delivered/),
  });
});

test("the retention is the one that is set", async () => {
  expect(await looked([32], "60")).toMatchObject({ ok: true });
  expect(await looked([5], "3")).toMatchObject({ ok: false });
});
