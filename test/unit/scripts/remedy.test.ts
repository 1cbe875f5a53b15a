import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { OF_NO_ENVIRONMENT, remedyIn } from "../../../scripts/lib/remedy.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../../..");
const { scripts }: { readonly scripts: Readonly<Record<string, string>> } = JSON.parse(
  readFileSync(join(root, "package.json"), "utf8"),
);

describe("what to do about a fault of a deployed system", () => {
  it.each([
    [
      "npm run backup makes one now; docs/runbook.md.",
      "npm run backup -- --env staging makes one now; docs/runbook.md.",
    ],
    ["npm run relay:status: which lags?", "npm run relay:status -- --env staging: which lags?"],
    ["npm run alerts:silence -- NAME", "npm run alerts:silence -- --env staging NAME"],
    ["npm run logs:errors shows why.", "npm run logs:errors -- --env staging --since 1h shows why."],
    ["npm run diagnose:all -- --env production", "npm run diagnose:all -- --env production"],
    ["npm run audit:dependencies names each.", "npm run audit:dependencies names each."],
    ["scripts/backupLedgerSnapshot.sh makes one.", "scripts/backupLedgerSnapshot.sh --env staging makes one."],
  ])("asks that system: %s", (remedy, told) => {
    expect(remedyIn(remedy, "staging")).toBe(told);
    expect(remedyIn(remedy, "local")).toBe(remedy);
  });

  it("names commands that take --env", () => {
    const files = [
      "diagnose.ts",
      "incident-report.ts",
      "lib/checks.ts",
      "lib/maintenance/tasks.ts",
      "lib/cutover/plan.ts",
      ...readdirSync(join(root, "scripts/lib/hypercare")).map((name) => `lib/hypercare/${name}`),
    ];
    const named = new Set(
      files
        .map((name) => readFileSync(join(root, "scripts", name), "utf8"))
        .flatMap((source) => [...source.matchAll(/npm run ([a-z-]+(?::[a-z-]+)*)/g)])
        .map(([, command = ""]) => command),
    );
    expect(named.size).toBeGreaterThan(20);
    const without = [...named].filter((command) => {
      const [, file = ""] = /(scripts\/[\w/-]+\.(?:ts|sh))/.exec(scripts[command] ?? "") ?? [];
      return file === "" || !/ENV_OPTION|\benv: \{ type: "string"|--env/.test(readFileSync(join(root, file), "utf8"));
    });
    expect(without.filter((command) => !OF_NO_ENVIRONMENT.includes(command))).toEqual([]);
  });
});

const ELSEWHERE = { ITRANS_CORE_URL: "http://127.0.0.1:9", MEDLINK_HUB_URL: "http://127.0.0.1:9" };

describe("a command for a deployed system", () => {
  it.each([
    "accounts.ts second-factors",
    "alerts.ts acknowledge dead-letters",
    "alerts.ts contacts",
    "alerts.ts test",
    "anchors.ts status",
    "auto-submit.ts status",
    "cache.ts",
    "diagnose.ts all",
    "edi.ts status",
    "fields.ts re-encrypt --status",
    "idempotency.ts list",
    "incident-report.ts --output /dev/null/report",
    "incidents.ts list",
    "maintenance.ts status",
    "metrics.ts db",
    "reconcile.ts daily",
    "relay.ts status",
    "report.ts webhooks",
    "settlements.ts list",
    "tenants.ts actions",
    "trace.ts 0123456789abcdef",
  ])("never asks one on this machine: %s", async (command) => {
    const [file = "", ...args] = command.split(" ");
    const asked = run(process.execPath, [join(root, "scripts", file), ...args, "--env", "production"], {
      env: { ...process.env, ...ELSEWHERE, OPERATOR_API_KEY: "k", HUB_OPERATOR_API_KEY: "k" },
    });
    await expect(asked).rejects.toMatchObject({ stderr: expect.stringContaining("which is not production") });
  });
});
