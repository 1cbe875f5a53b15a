/** What is done every day, week and month: each task looks at something of a running system, or runs the command that does. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import * as z from "zod";
import { projectRoot } from "../bundle.ts";
import { DIAGNOSIS_CHECKS, runChecks, SMOKE_CHECKS } from "../checks.ts";
import { scrape, sumOf } from "../deploy/look.ts";
import { askOf, type DeploySite } from "../deploy/site.ts";
import { messageOf } from "../fail.ts";
import type { EnvironmentName } from "../platform.ts";
import { D1_FULL, D1_LIMIT_BYTES } from "../scale/model.ts";

export const RHYTHMS = ["daily", "weekly", "monthly"] as const;
export type Rhythm = (typeof RHYTHMS)[number];

export interface MaintenanceParts {
  readonly site: DeploySite;
  readonly environment: EnvironmentName;
  readonly now: number;
  /** Of a local run. */
  readonly dataDir: string;
}

export interface Task {
  readonly rhythm: Rhythm;
  readonly title: string;
  /** What to do when it is not well. */
  readonly remedy: string;
  /** @returns what was seen. @throws Error with what is not well. */
  readonly run: (parts: MaintenanceParts) => Promise<string>;
}

export interface TaskResult {
  readonly title: string;
  readonly ok: boolean;
  readonly detail: string;
  readonly remedy: string;
}

const DAY_MS = 86_400_000;
const SLOW_STATEMENT_MS = 100;

const run = promisify(execFile);

/** Another command of this project. @throws Error with the last of what it said. */
async function command(script: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await run(process.execPath, [join(projectRoot, "scripts", script), ...args], {
      cwd: projectRoot,
      timeout: 600_000,
      maxBuffer: 8 * 1024 * 1024,
    });
    return stdout.trim();
  } catch (error) {
    const said =
      error instanceof Error && "stdout" in error && "stderr" in error
        ? `${error.stdout}\n${error.stderr}`
        : messageOf(error);
    throw new Error(said.trim().split("\n").slice(-3).join("; "));
  }
}

const databaseArgs = ({ environment, dataDir }: MaintenanceParts): readonly string[] => [
  ...["--env", environment],
  ...(environment === "local" ? ["--data", dataDir] : []),
];

const runsSchema = z.looseObject({
  runs: z.array(z.looseObject({ name: z.string(), state: z.string(), finishedAt: z.string().nullable() })),
  drills: z.array(z.looseObject({ state: z.string(), finishedAt: z.string().nullable() })).optional(),
});

async function newestBackup({ site, now }: MaintenanceParts, of: "core" | "hub"): Promise<string> {
  const { runs } = runsSchema.parse(
    await askOf(site, of, of === "core" ? "/operations/backups" : "/api/operations/backups"),
  );
  const good = runs.find(({ state, finishedAt }) => state === "good" && finishedAt !== null);
  if (good?.finishedAt == null || now - Date.parse(good.finishedAt) > 26 * 3_600_000)
    throw new Error(
      `no good backup of ${of} in 26 h${good?.finishedAt == null ? "" : `, the newest is of ${good.finishedAt}`}`,
    );
  return `${of}: ${good.name}`;
}

const seriesSchema = z.looseObject({
  points: z.array(z.tuple([z.number(), z.number().nullable()])),
  quantiles: z.looseObject({ p95: z.array(z.tuple([z.number(), z.number().nullable()])) }).optional(),
});

async function series(site: DeploySite, name: string, hours: number, now: number, match?: string) {
  const hub = name.startsWith("medlink_");
  const query = new URLSearchParams({
    name,
    from: String(Math.floor(now / 1_000) - hours * 3_600),
    to: String(Math.floor(now / 1_000)),
    step: "3600",
    ...(match === undefined ? {} : { match }),
  });
  const { points, quantiles } = seriesSchema.parse(
    await askOf(site, hub ? "hub" : "core", `${hub ? "/api" : ""}/operations/series?${query}`),
  );
  const known = (all: typeof points): readonly number[] => all.flatMap(([, value]) => (value === null ? [] : [value]));
  return { values: known(points), p95: known(quantiles?.p95 ?? []) };
}

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
const share = (bytes: number): string => `${((100 * bytes) / D1_LIMIT_BYTES).toFixed(2)} % of what D1 takes`;

const SIZES = ["itrans_core_database_size_bytes", "medlink_database_size_bytes"] as const;

async function sizes({
  site,
}: MaintenanceParts): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
  const [core, hub] = await Promise.all([scrape(site, "itrans-core"), scrape(site, "medlink-hub")]);
  return SIZES.map((name) => ({ name: name.split("_database")[0] ?? name, bytes: sumOf([...core, ...hub], name) }));
}

const reconciliationSchema = z.looseObject({
  openItems: z.number(),
  runs: z.array(
    z.looseObject({
      runId: z.string(),
      kind: z.string(),
      state: z.string(),
      to: z.string(),
      reason: z.string().nullable(),
    }),
  ),
});
const relaySchema = z.looseObject({ deadLetterCount: z.number(), pending: z.number() });
const deliveriesSchema = z.looseObject({
  deliveries: z.array(z.looseObject({ deliveredAt: z.number() })),
  next: z.string().nullable(),
});
const keysSchema = z.looseObject({ keys: z.array(z.looseObject({ expiresAt: z.string() })) });
const secretsSchema = z.looseObject({
  secrets: z.array(z.looseObject({ name: z.string(), ageDays: z.number().nullable() })),
  overlaps: z.array(z.looseObject({ name: z.string() })),
});
const incidentsSchema = z.looseObject({
  incidents: z.array(z.looseObject({ ticket: z.string(), severity: z.string() })),
});

export const TASKS: readonly Task[] = [
  {
    rhythm: "daily",
    title: "Everything answers as it should",
    remedy: "npm run diagnose:all shows each check with its remedy.",
    async run({ site }) {
      const results = await runChecks([...SMOKE_CHECKS, ...DIAGNOSIS_CHECKS], {
        core: { url: site.urls["itrans-core"], key: site.keys.core },
        hub: { url: site.urls["medlink-hub"], key: site.keys.hub },
        relay: { url: site.urls["itrans-relay"], key: undefined },
      });
      const bad = results.filter(({ ok }) => !ok);
      if (bad.length > 0) throw new Error(bad.map(({ name, detail }) => `${name}: ${detail}`).join("; "));
      return `${results.length} checks passed`;
    },
  },
  {
    rhythm: "daily",
    title: "Reconciliation",
    remedy: "npm run reconcile; its report is under reconciliation-reports/.",
    async run({ site }) {
      const { openItems, runs } = reconciliationSchema.parse(
        await askOf(site, "core", "/settlements/reconciliation/runs?limit=10"),
      );
      const daily = runs.find(({ kind }) => kind === "daily");
      if (daily?.state === "failed") throw new Error(`the run of ${daily.to} failed: ${daily.reason ?? "no reason"}`);
      if (openItems > 0) throw new Error(`${openItems} mismatches are open`);
      return daily === undefined ? "no daily run yet, nothing open" : `${daily.to} ${daily.state}, nothing open`;
    },
  },
  {
    rhythm: "daily",
    title: "Errors of the last day",
    remedy: "npm run logs:errors -- --since 24h",
    async run({ site, now }) {
      const [core, hub, crons] = await Promise.all([
        series(site, "itrans_core_http_requests_total", 24, now, "status:5xx"),
        series(site, "medlink_http_requests_total", 24, now, "status:5xx"),
        series(site, "itrans_core_cron_runs_total", 24, now, "outcome:failed"),
      ]);
      const errors = total(core.values) + total(hub.values);
      const failed = total(crons.values);
      if (errors + failed > 0) throw new Error(`${errors} answers 5xx, ${failed} cron jobs failed`);
      return "no 5xx, no cron job failed";
    },
  },
  {
    rhythm: "daily",
    title: "Dead letters",
    remedy: "npm run relay:dead-letters, then relay:replay or relay:discard.",
    async run({ site }) {
      const { deadLetterCount, pending } = relaySchema.parse(await askOf(site, "core", "/relay/workflow/status"));
      if (deadLetterCount > 0) throw new Error(`${deadLetterCount} deliveries were given up`);
      return `none; ${pending} on their way`;
    },
  },
  {
    rhythm: "daily",
    title: "Storage",
    remedy: "docs/runbook.md, core-database-size and hub-database-size.",
    async run(parts) {
      const full = (await sizes(parts)).filter(({ bytes }) => bytes > D1_FULL * D1_LIMIT_BYTES);
      if (full.length > 0) throw new Error(full.map(({ name, bytes }) => `${name}: ${share(bytes)}`).join(", "));
      return (await sizes(parts))
        .map(({ name, bytes }) => `${name} ${(bytes / 1e6).toFixed(1)} MB, ${share(bytes)}`)
        .join("; ");
    },
  },
  {
    rhythm: "daily",
    title: "Backups",
    remedy: "scripts/backupLedgerSnapshot.sh makes one; docs/backup.md.",
    run: async (parts) => (await Promise.all([newestBackup(parts, "core"), newestBackup(parts, "hub")])).join("; "),
  },
  {
    rhythm: "daily",
    title: "Open incidents",
    remedy: "npm run incidents:list; note what was done, close what is over.",
    async run({ site }) {
      const { incidents } = incidentsSchema.parse(
        await askOf(site, "core", "/operations/incidents?state=open&limit=50"),
      );
      if (incidents.length > 0)
        throw new Error(incidents.map(({ ticket, severity }) => `${ticket} (${severity})`).join(", "));
      return "none";
    },
  },
  {
    rhythm: "weekly",
    title: "Integrity and migrations of the databases",
    remedy: "npm run db:health, npm run db:check.",
    async run(parts) {
      const said = await command("db.ts", ["health", ...databaseArgs(parts)]);
      return `${said.split("\n").filter((line) => line.includes("integrity")).length} databases are whole`;
    },
  },
  {
    rhythm: "weekly",
    title: "Slow queries",
    remedy: "npm run db:slow-queries shows their plans.",
    async run(parts) {
      const said = await command("db.ts", ["slow-queries", "--limit", "10", ...databaseArgs(parts)]);
      const timed = said.split("\n").flatMap((line) => {
        const [, ms, what = ""] = /^\s+([\d.]+) ms {2}(.*)$/.exec(line) ?? [];
        return ms === undefined ? [] : [{ ms: Number(ms), what: what.trim() }];
      });
      const slow = timed.filter(({ ms }) => ms > SLOW_STATEMENT_MS);
      if (slow.length > 0) throw new Error(slow.map(({ ms, what }) => `${ms} ms: ${what}`).join("; "));
      return `${timed.length} looked at, the slowest ${Math.max(0, ...timed.map(({ ms }) => ms))} ms`;
    },
  },
  {
    rhythm: "weekly",
    title: "Idempotency keys are cleaned up",
    remedy: "Core's cron deletes what expired; npm run logs:errors shows why it does not.",
    async run({ site, now }) {
      const { keys } = keysSchema.parse(await askOf(site, "core", "/operations/idempotency-keys?limit=500"));
      const old = keys.filter(({ expiresAt }) => now - Date.parse(expiresAt) > 7 * DAY_MS);
      if (old.length > 0) throw new Error(`${old.length} expired more than 7 days ago and are still there`);
      return `${keys.length} kept, none expired for 7 days`;
    },
  },
  {
    rhythm: "weekly",
    title: "Old deliveries are cleaned up",
    remedy:
      "Core's cron deletes what is older than RELAY_DELIVERED_RETENTION_DAYS; npm run logs:errors shows why it does not.",
    async run({ site, now }) {
      const days = Number(site.values.RELAY_DELIVERED_RETENTION_DAYS ?? 30);
      // The oldest by their events: what was delivered late stands among them and is kept for longer.
      const query = new URLSearchParams({ status: "delivered", order: "oldest", limit: "200" });
      const { deliveries, next } = deliveriesSchema.parse(
        await askOf(site, "core", `/relay/workflow/deliveries?${query}`),
      );
      // A day more, for what ends while the cron is at it.
      const old = deliveries.filter(({ deliveredAt }) => deliveredAt < now - (days + 1) * DAY_MS);
      const count = `${old.length}${next === null || old.length < deliveries.length ? "" : " or more"}`;
      if (old.length > 0) throw new Error(`${count} were delivered over ${days + 1} days ago and are still there`);
      return `none that was delivered over ${days + 1} days ago`;
    },
  },
  {
    rhythm: "weekly",
    title: "Alerts reach people",
    remedy: "npm run alerts:test names the channel; docs/runbook.md.",
    async run({ site }) {
      const { notifications } = z
        .looseObject({
          notifications: z.array(z.looseObject({ id: z.string(), state: z.string(), error: z.string().nullable() })),
        })
        .parse(await askOf(site, "core", "/operations/alerts/test", { method: "POST" }));
      const bad = notifications.filter(({ state }) => state !== "sent");
      if (notifications.length === 0 || bad.length > 0)
        throw new Error(bad.map(({ id, error }) => `${id}: ${error ?? "not sent"}`).join(", "));
      return `${notifications.length} test messages taken`;
    },
  },
  {
    rhythm: "monthly",
    title: "Ages of secrets",
    remedy: "npm run secrets:rotate, core first, then the hub.",
    async run({ site }) {
      const { secrets, overlaps } = secretsSchema.parse(await askOf(site, "core", "/operations/secrets"));
      const old = secrets
        .filter(({ ageDays }) => (ageDays ?? 0) > 90 - 31)
        .map(({ name, ageDays }) => `${name} ${Math.round(ageDays ?? 0)} days`);
      if (old.length > 0) throw new Error(`over 90 days before the next month is out: ${old.join(", ")}`);
      if (overlaps.length > 0) throw new Error(`not over: ${overlaps.map(({ name }) => name).join(", ")}`);
      return `${secrets.length} secrets, none over 59 days`;
    },
  },
  {
    rhythm: "monthly",
    title: "Restore drill",
    remedy: "npm run restore:drill restores the newest snapshot on this machine and says how long it took.",
    async run({ site, now }) {
      const { drills = [] } = runsSchema.parse(await askOf(site, "core", "/operations/backups"));
      const good = drills.find(({ state, finishedAt }) => state === "good" && finishedAt !== null);
      if (good?.finishedAt == null) throw new Error("no drill was ever good");
      const days = (now - Date.parse(good.finishedAt)) / DAY_MS;
      if (days > 90 - 31) throw new Error(`the last good one is ${Math.floor(days)} days old`);
      return `good ${Math.floor(days)} days ago`;
    },
  },
  {
    rhythm: "monthly",
    title: "Capacity",
    remedy: "docs/architecture.md says what grows; plan before 85 %.",
    async run(parts) {
      const { site, now } = parts;
      const grown = await Promise.all(
        SIZES.map(async (name) => {
          const { values } = await series(site, name, 30 * 24, now);
          const [first = 0, last = 0] = [values[0], values.at(-1)];
          const days = Math.max(1, values.length / 24);
          const daily = Math.max(0, last - first) / days;
          return {
            name: name.split("_database")[0],
            last,
            daysLeft: daily === 0 ? Number.POSITIVE_INFINITY : (D1_FULL * D1_LIMIT_BYTES - last) / daily,
          };
        }),
      );
      const soon = grown.filter(({ daysLeft }) => daysLeft < 180);
      const said = grown
        .map(
          ({ name, last, daysLeft }) =>
            `${name} ${share(last)}, ${Number.isFinite(daysLeft) ? `${Math.floor(daysLeft)} days to 85 %` : "not growing"}`,
        )
        .join("; ");
      if (soon.length > 0) throw new Error(said);
      return said;
    },
  },
  {
    rhythm: "monthly",
    title: "Performance",
    remedy: "npm run perf:diagnose says which part is slow.",
    async run({ site, now }) {
      const limitMs = 2_000;
      const lifecycle = await series(site, "medlink_claim_callback_seconds", 30 * 24, now);
      const worst = Math.max(0, ...lifecycle.p95) * 1_000;
      if (worst > limitMs)
        throw new Error(
          `p95 of a claim's lifecycle was ${Math.round(worst)} ms in its worst hour, limit ${limitMs} ms`,
        );
      return lifecycle.p95.length === 0
        ? "no claim was measured"
        : `p95 of a claim's lifecycle at most ${Math.round(worst)} ms`;
    },
  },
  {
    rhythm: "monthly",
    title: "Settings and secrets are fit",
    remedy: "npm run env:check names each fault.",
    async run({ environment }) {
      const said = await command("env-check.ts", [
        "--env",
        environment,
        ...(environment === "local" ? [] : ["--remote"]),
      ]);
      return said.split("\n").at(-1) ?? "";
    },
  },
  {
    rhythm: "monthly",
    title: "Known weaknesses of dependencies",
    remedy: "npm run audit:dependencies names each; update what it names.",
    run: async () => (await command("audit-dependencies.ts", [])).split("\n").at(-1) ?? "",
  },
];

/** A longer rhythm's list is its own: the shorter ones are run in their turn. @param seen is told of each. */
export async function runTasks(
  rhythm: Rhythm,
  parts: MaintenanceParts,
  seen: (result: TaskResult) => void = () => {},
  tasks: readonly Task[] = TASKS,
): Promise<readonly TaskResult[]> {
  const results: TaskResult[] = [];
  for (const task of tasks.filter((one) => one.rhythm === rhythm)) {
    const { title, remedy } = task;
    let result: TaskResult;
    try {
      result = { title, remedy, ok: true, detail: await task.run(parts) };
    } catch (error) {
      const detail = error instanceof z.ZodError ? "the answer has another shape than expected" : messageOf(error);
      result = { title, remedy, ok: false, detail };
    }
    results.push(result);
    seen(result);
  }
  return results;
}
