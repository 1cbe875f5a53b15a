import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { formatLogLine } from "../../../src/platform/log.ts";

const run = promisify(execFile);
const SCRIPT = join(import.meta.dirname, "../../../scripts/incident-report.ts");

const asked: string[] = [];
/** Core, hub and relay as one, which answer everything with an object but reconciliation. */
const server = createServer((request, response) => {
  asked.push(request.url ?? "");
  const refused = (request.url ?? "").startsWith("/settlements/reconciliation/runs");
  response.writeHead(refused ? 503 : 200, { "content-type": "application/json" });
  response.end(JSON.stringify({ answered: request.url }));
});
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => server.close());

test("a report has what a stranger needs, the log of the last hours among it, and names what could not be read", async () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no address");
  const url = `http://127.0.0.1:${address.port}`;
  const directory = mkdtempSync(join(tmpdir(), "incident-"));
  const line = (hoursAgo: number) =>
    formatLogLine("itrans-core", "error", "sweep", {}, new Date(Date.now() - hoursAgo * 3_600_000).toISOString());
  const fresh = [line(1.5), line(0.5)];
  writeFileSync(join(directory, "workers.log"), [line(3), fresh[0], "what the runtime says", fresh[1], ""].join("\n"));
  const sites = { ITRANS_CORE_URL: url, MEDLINK_HUB_URL: url, RELAY_URL: url };
  const keys = { OPERATOR_API_KEY: "operator-key", HUB_OPERATOR_API_KEY: "operator-key" };
  await run(process.execPath, [SCRIPT, "--output", directory, "--data", directory, "--hours", "2"], {
    env: { ...process.env, ...sites, ...keys },
  });
  const [folder = ""] = readdirSync(directory).filter((name) => name.startsWith("incident-"));
  const files = readdirSync(join(directory, folder));
  for (const file of [
    ...["backups.json", "hub-backups.json", "secrets.json", "settlements.json", "reconciliation-items.json"],
    ...["logs.jsonl", "checks.json", "README.md"],
    ...["series-itrans_core_http_requests_total-by-route-match-status-500.json"],
    ...["series-itrans_core_cron_runs_total-by-outcome.json", "series-medlink_cron_runs_total-by-outcome.json"],
  ])
    expect(files, file).toContain(file);
  const read = (file: string): string => readFileSync(join(directory, folder, file), "utf8");
  expect(read("logs.jsonl").trim().split("\n")).toEqual(fresh);
  expect(read("README.md")).toMatch(/What could not be read[\s\S]*runs of reconciliation/);
  expect(read("README.md")).toContain("(local)");
  // One file for each question: none is written over another.
  expect(asked.filter((path) => path.includes("/operations/series")).length).toBeGreaterThanOrEqual(
    files.filter((file) => file.startsWith("series-")).length,
  );
  expect(new Set(files).size).toBe(files.length);
});
