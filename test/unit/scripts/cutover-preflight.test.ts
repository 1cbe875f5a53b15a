/** What the list before a cutover tells an operator to run. */
import { createServer } from "node:http";
import { expect, it } from "vitest";
import { runPreflight, templateOf } from "../../../scripts/lib/cutover/preflight.ts";
import type { EnvironmentName } from "../../../scripts/lib/platform.ts";

/** Nothing is well: no backup, no drill, an old secret. */
const answers: Readonly<Record<string, unknown>> = {
  "/operations/secrets": { secrets: [{ name: "METRICS_SCRAPE_TOKEN", ageDays: 100 }], overlaps: [] },
  "/operations/backups": { runs: [], drills: [] },
  "/api/operations/backups": { runs: [] },
};

async function details(commandsOf: EnvironmentName): Promise<Readonly<Record<string, string>>> {
  const server = createServer((request, response) =>
    response
      .writeHead(200, { "content-type": "application/json" })
      .end(JSON.stringify(answers[request.url ?? ""] ?? {})),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const url = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  try {
    const results = await runPreflight({
      environment: "staging",
      commandsOf,
      commit: "c0ffee",
      now: Date.parse("2026-11-22T10:00:00Z"),
      staging: undefined,
      site: {
        urls: { "itrans-core": url, "itrans-relay": url, "medlink-hub": url },
        keys: { core: "", hub: "", workflow: "" },
        scrapeToken: "",
        values: {},
      },
      signOffs: templateOf(),
      gates: "/nowhere",
      tlsDays: 90,
    });
    return Object.fromEntries(results.map(({ id, detail }) => [id, detail]));
  } finally {
    server.close();
  }
}

it("what mends an item is a command for the environment that is to go live", async () => {
  expect(await details("staging")).toMatchObject({
    "secrets-ages": "METRICS_SCRAPE_TOKEN 100 days: npm run secrets:rotate -- --env staging",
    "core-backup": "there is no good backup: scripts/backupLedgerSnapshot.sh --env staging makes one",
    "hub-backup": "there is no good backup: scripts/backupLedgerSnapshot.sh --env staging --hub makes one",
    "restore-drill": "there is none: npm run restore:drill -- --env staging",
  });
});

it("in a rehearsal it is one for this machine", async () => {
  const local = await details("local");
  expect(local["restore-drill"]).toBe("there is none: npm run restore:drill");
  expect(Object.values(local).filter((detail) => detail.includes("--env"))).toEqual([]);
});
