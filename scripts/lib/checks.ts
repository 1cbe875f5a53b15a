/**
 * Checks of a running system over HTTP, each with a name, what was seen and what to do when it is bad. Smoke tests, diagnosis and
 * cutover run the same ones.
 */
import * as z from "zod";
import { SECRET_MAX_AGE_DAYS } from "../../src/platform/rotation.ts";
import { messageOf } from "./fail.ts";
import { type Answer, call } from "./http.ts";
import { D1_FULL, D1_LIMIT_BYTES } from "./scale/model.ts";

export interface Site {
  /** Base URL without a slash at its end. */
  readonly url: string;
  /** The operator's key; undefined: checks that need one are left out. */
  readonly key: string | undefined;
  /** Sent along with every call. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Sites {
  readonly core: Site | undefined;
  readonly hub: Site | undefined;
  /** Left out: its checks are. */
  readonly relay?: Site | undefined;
}

export type SiteName = keyof Sites;

export interface Check {
  readonly name: string;
  readonly of: SiteName;
  readonly needsKey?: true;
  /** What to do when it fails. */
  readonly remedy: string;
  /** @returns what was seen. @throws with what is wrong. */
  readonly run: (site: Site) => Promise<string>;
}

export interface CheckResult {
  readonly name: string;
  readonly of: SiteName;
  readonly ok: boolean;
  readonly ms: number;
  readonly detail: string;
  readonly remedy: string;
}

const ask = (site: Site, path: string, authorized = false): Promise<Answer> =>
  call(`${site.url}${path}`, {
    timeoutMs: 10_000,
    headers: { ...site.headers, ...(authorized && site.key !== undefined ? { "x-api-key": site.key } : {}) },
  });

async function expectOk(site: Site, path: string, authorized = false): Promise<unknown> {
  const { status, body } = await ask(site, path, authorized);
  if (status !== 200) throw new Error(`${path} answers ${status}`);
  return body;
}

async function expectStatus(site: Site, path: string, wanted: number): Promise<string> {
  const { status } = await ask(site, path);
  if (status !== wanted) throw new Error(`${path} answers ${status}, not ${wanted}`);
  return `${path} answers ${wanted} to strangers`;
}

const version = z.object({ version: z.string(), commit: z.string(), builtAt: z.string() });
const versionText = (body: unknown): string => {
  const parsed = version.safeParse(body);
  return parsed.success ? `${parsed.data.version}, commit ${parsed.data.commit.slice(0, 12)}` : "no version is said";
};

const coreHealth = z.object({
  status: z.string(),
  database: z.object({ latencyMs: z.number() }),
  ledger: z.object({ size: z.number().nullable() }),
  chain: z.object({ state: z.string(), reason: z.string().nullable() }),
});
const relayStatus = z.object({
  status: z.string().optional(),
  pending: z.number().optional(),
  deadLetterCount: z.number().optional(),
});
const verification = z.object({ status: z.string(), size: z.number().optional(), findings: z.array(z.unknown()) });
const autoSubmit = z.object({
  enabled: z.boolean(),
  core: z.object({ state: z.string() }),
  stats: z.record(z.string(), z.number()),
  failures: z.array(z.object({ error: z.string(), count: z.number() })),
});
const alerts = z.object({
  evaluatedAt: z.string().nullable(),
  alerts: z.array(z.object({ name: z.string(), phase: z.string() })),
});

/** The evaluator runs every minute; silent for longer than this, "no alert is open" says nothing. */
const EVALUATED_WITHIN_MS = 10 * 60_000;

/** @param evaluatedAt RFC 3339; null: never. @param now epoch ms. @returns what is wrong; undefined when it runs. */
export const evaluatorFault = (evaluatedAt: string | null, now: number): string | undefined =>
  evaluatedAt === null
    ? "the evaluator has never run: does core's cron?"
    : now - Date.parse(evaluatedAt) > EVALUATED_WITHIN_MS
      ? `alerts were last evaluated ${evaluatedAt}: does core's cron run?`
      : undefined;

/** Within which `/ledger/verify` must answer. */
const VERIFY_WITHIN_MS = 500;

/** Anyone may run these. */
export const SMOKE_CHECKS: readonly Check[] = [
  {
    name: "core is in service",
    of: "core",
    remedy: "Look at /health: it names the part that is out. npm run logs:errors shows why.",
    run: async (site) => {
      const { status, ledger, chain, database } = coreHealth.parse(await expectOk(site, "/health"));
      return `${status}, ${ledger.size ?? "?"} entries, database ${Math.round(database.latencyMs)} ms, chain ${chain.state}`;
    },
  },
  {
    name: "core says what is deployed",
    of: "core",
    remedy: "Deploy again with the build of this repository: it carries its version.",
    run: async (site) => versionText(await expectOk(site, "/version")),
  },
  {
    name: "the ledger verifies",
    of: "core",
    remedy: "Stop changes. Read the findings of /ledger/verify, then docs/runbook.md, ledger-integrity.",
    run: async (site) => {
      // The first answer may wait for a cold start; what is promised is the answer.
      await ask(site, "/ledger/verify");
      const began = performance.now();
      const { status, body } = await ask(site, "/ledger/verify");
      const ms = performance.now() - began;
      const { status: verdict, size, findings } = verification.parse(body);
      if (status !== 200) throw new Error(`${verdict}, ${findings.length} findings`);
      if (ms > VERIFY_WITHIN_MS) throw new Error(`it took ${Math.round(ms)} ms, over ${VERIFY_WITHIN_MS} ms`);
      return `${verdict}, ${size ?? 0} entries, ${Math.round(ms)} ms`;
    },
  },
  {
    name: "core's doors are shut",
    of: "core",
    remedy: "A call without a key was answered: take this version back at once.",
    run: (site) => expectStatus(site, "/workflow/requests/smoke", 401),
  },
  {
    name: "the hub lives",
    of: "hub",
    remedy: "Deploy the hub again, or the version before.",
    run: async (site) => {
      await expectOk(site, "/healthz");
      return "ok";
    },
  },
  {
    name: "the hub can work",
    of: "hub",
    remedy: "Its database or core does not answer it: /api/health says which.",
    run: async (site) => {
      await expectOk(site, "/readyz");
      await expectOk(site, "/api/health");
      return "database and iTrans answer it";
    },
  },
  {
    name: "the hub says what is deployed",
    of: "hub",
    remedy: "Deploy again with the build of this repository: it carries its version.",
    run: async (site) => versionText(await expectOk(site, "/api/version")),
  },
  {
    name: "the sign-in page is served",
    of: "hub",
    remedy: "The console's assets are missing: npm run build, then deploy.",
    run: async (site) => {
      const page = await expectOk(site, "/sign-in");
      if (typeof page !== "string" || !page.includes("<form")) throw new Error("/sign-in has no form");
      return `${page.length} bytes`;
    },
  },
  {
    name: "the hub's doors are shut",
    of: "hub",
    remedy: "A call without a session was answered: take this version back at once.",
    run: (site) => expectStatus(site, "/api/claims", 401),
  },
];

const DAY_MS = 86_400_000;
const BACKUP_WITHIN_MS = 26 * 3_600_000;

const ended = z.object({ state: z.string(), finishedAt: z.string().nullable(), reason: z.string().nullable() });
const backups = z.object({ runs: z.array(ended.extend({ name: z.string() })), drills: z.array(ended).default([]) });
const secretAges = z.object({
  secrets: z.array(z.object({ name: z.string(), ageDays: z.number().nullable() })),
  overlaps: z.array(z.object({ name: z.string() })),
});
const reconciliations = z.object({
  openItems: z.number(),
  runs: z.array(z.object({ state: z.string(), reason: z.string().nullable() })),
});
const relayHealth = z.object({ status: z.string(), faults: z.array(z.string()).default([]) });
const points = z.array(z.tuple([z.number(), z.number().nullable()]));
const seriesAnswer = z.object({
  points: points.optional(),
  series: z.array(z.object({ label: z.string(), points })).optional(),
});
type Points = z.output<typeof points>;

/** In ms; without end when there is none. */
const ageOf = (at: string | null): number => (at === null ? Number.POSITIVE_INFINITY : Date.now() - Date.parse(at));

async function freshBackup(site: Site, path: string): Promise<string> {
  const { runs } = backups.parse(await expectOk(site, path, true));
  const [newest] = runs;
  if (newest === undefined) return "none yet: an alert opens when the first night makes none";
  const good = runs.find(({ state }) => state === "good");
  const hours = (ageOf(good?.finishedAt ?? null) / 3_600_000).toFixed(1);
  if (good === undefined || ageOf(good.finishedAt) > BACKUP_WITHIN_MS)
    throw new Error(good === undefined ? "there is no good snapshot" : `the newest good snapshot is ${hours} h old`);
  if (newest.state === "failed") throw new Error(`the newest run failed: ${newest.reason ?? "no reason is known"}`);
  return `${good.name}, ${hours} h old`;
}

/** The last quarter of an hour of a metric. */
async function seriesOf(site: Site, name: string, by?: string) {
  const to = Math.floor(Date.now() / 60_000) * 60;
  const query = new URLSearchParams({
    name,
    from: String(to - 900),
    to: String(to + 60),
    ...(by === undefined ? {} : { by }),
  });
  const path = `${name.startsWith("medlink_") ? "/api" : ""}/operations/series?${query}`;
  return seriesAnswer.parse(await expectOk(site, path, true));
}

const known = (all: Points | undefined): readonly number[] =>
  (all ?? []).flatMap(([, value]) => (value === null ? [] : [value]));
const newestOf = (answer: z.output<typeof seriesAnswer>): number | undefined => known(answer.points).at(-1);

async function roomIn(site: Site, name: string): Promise<string> {
  const bytes = newestOf(await seriesOf(site, name));
  if (bytes === undefined) return "nothing is recorded yet";
  const share = `${((100 * bytes) / D1_LIMIT_BYTES).toFixed(1)} % of what D1 takes`;
  if (bytes > D1_FULL * D1_LIMIT_BYTES) throw new Error(share);
  return share;
}

async function cronRuns(site: Site, name: string): Promise<string> {
  const { series = [] } = await seriesOf(site, name, "outcome");
  const total = (label: string): number =>
    known(series.find((one) => one.label === label)?.points).reduce((sum, value) => sum + value, 0);
  const [ok, failed] = [total("ok"), total("failed")];
  if (failed > 0) throw new Error(`${failed} of ${ok + failed} jobs failed in the last 15 min`);
  if (ok === 0) throw new Error("no job ran in the last 15 min");
  return `${ok} jobs in the last 15 min`;
}

/** For operators. */
export const DIAGNOSIS_CHECKS: readonly Check[] = [
  {
    name: "the relay delivers",
    of: "core",
    needsKey: true,
    remedy: "npm run relay:status and npm run relay:dead-letters; docs/runbook.md, relay-down.",
    run: async (site) => {
      const {
        status = "?",
        pending = 0,
        deadLetterCount = 0,
      } = relayStatus.parse(await expectOk(site, "/relay/workflow/status", true));
      if (deadLetterCount > 0) throw new Error(`${deadLetterCount} dead letters hold their lanes`);
      return `${status}, ${pending} on their way, no dead letters`;
    },
  },
  {
    name: "no alert is open",
    of: "core",
    needsKey: true,
    remedy: "docs/runbook.md has a section for each alert, under its name.",
    run: async (site) => {
      const { evaluatedAt, alerts: all } = alerts.parse(await expectOk(site, "/operations/alerts", true));
      const stale = evaluatorFault(evaluatedAt, Date.now());
      if (stale !== undefined) throw new Error(stale);
      const open = all.filter(({ phase }) => phase === "open").map(({ name }) => name);
      if (open.length > 0) throw new Error(`open: ${open.join(", ")}`);
      return `evaluated at ${evaluatedAt}`;
    },
  },
  {
    name: "anchoring goes on",
    of: "core",
    needsKey: true,
    remedy: "npm run anchors:status says what the signer waits for.",
    run: async (site) => {
      const { signer } = z
        .object({ signer: z.object({ state: z.string(), reason: z.string().nullable() }) })
        .parse(await expectOk(site, "/ledger/anchors?limit=1", true));
      if (signer.state === "halted" || signer.state === "failing") {
        throw new Error(`${signer.state}: ${signer.reason ?? "no reason is known"}`);
      }
      return signer.state;
    },
  },
  {
    name: "auto-submit drains",
    of: "hub",
    needsKey: true,
    remedy: "npm run auto-submit:status; npm run auto-submit:requeue takes failed jobs up again.",
    run: async (site) => {
      const { enabled, core, stats, failures } = autoSubmit.parse(
        await expectOk(site, "/api/itrans/auto-submit/status", true),
      );
      const failed = failures.map(({ error, count }) => `${count} ${error}`).join(", ");
      if (failed !== "") throw new Error(`failed jobs: ${failed}`);
      const waiting = (stats.queued ?? 0) + (stats.retrying ?? 0) + (stats.running ?? 0);
      return `${enabled ? "on" : "off"}, core ${core.state}, ${waiting} waiting`;
    },
  },
  {
    name: "core's backups are good",
    of: "core",
    needsKey: true,
    remedy: "npm run backup makes one now; docs/runbook.md, backup-missing.",
    run: (site) => freshBackup(site, "/operations/backups"),
  },
  {
    name: "the hub's backups are good",
    of: "hub",
    needsKey: true,
    remedy: "npm run backup -- --hub makes one now; docs/runbook.md, hub-backup-missing.",
    run: (site) => freshBackup(site, "/api/operations/backups"),
  },
  {
    name: "a restore was drilled",
    of: "core",
    needsKey: true,
    remedy: "npm run restore:drill; docs/backup.md.",
    run: async (site) => {
      const { drills } = backups.parse(await expectOk(site, "/operations/backups", true));
      const [newest] = drills;
      if (newest === undefined) return "none yet: an alert opens when there is none for 90 days";
      const good = drills.find(({ state }) => state === "good");
      const days = ageOf(good?.finishedAt ?? null) / DAY_MS;
      if (!(days <= 90))
        throw new Error(`the newest good one is ${good === undefined ? "not there" : `${Math.floor(days)} days old`}`);
      if (newest.state === "failed") throw new Error(`the newest one failed: ${newest.reason ?? "no reason is known"}`);
      return `the newest good one is ${Math.floor(days)} days old`;
    },
  },
  {
    name: "secrets are young",
    of: "core",
    needsKey: true,
    remedy: "npm run secrets:rotate guides through a rotation; docs/security.md.",
    run: async (site) => {
      const { secrets, overlaps } = secretAges.parse(await expectOk(site, "/operations/secrets", true));
      const old = secrets.filter(({ ageDays }) => (ageDays ?? 0) >= SECRET_MAX_AGE_DAYS);
      if (old.length > 0)
        throw new Error(
          `${SECRET_MAX_AGE_DAYS} days or older: ${old.map(({ name, ageDays }) => `${name} ${Math.floor(ageDays ?? 0)}`).join(", ")}`,
        );
      const oldest = Math.max(0, ...secrets.map(({ ageDays }) => ageDays ?? 0));
      const underWay = overlaps.length === 0 ? "" : `; under rotation: ${overlaps.map(({ name }) => name).join(", ")}`;
      return `the oldest is ${Math.floor(oldest)} days old${underWay}`;
    },
  },
  {
    name: "settlements end",
    of: "core",
    needsKey: true,
    remedy: "npm run settlements:list shows them; docs/runbook.md, settlements-stuck.",
    run: async (site) => {
      const stuck = newestOf(await seriesOf(site, "itrans_core_settlements_stuck"));
      if (stuck !== undefined && stuck > 0)
        throw new Error(`${stuck} have not ended five minutes after they were made`);
      return stuck === undefined ? "nothing is recorded yet" : "none is stuck";
    },
  },
  {
    name: "books agree with the payer's operator",
    of: "core",
    needsKey: true,
    remedy: "npm run reconcile compares again and writes the report; docs/runbook.md, reconciliation-failed.",
    run: async (site) => {
      const { openItems, runs } = reconciliations.parse(
        await expectOk(site, "/settlements/reconciliation/runs?limit=1", true),
      );
      const [newest] = runs;
      if (newest?.state === "failed")
        throw new Error(`the newest run failed: ${newest.reason ?? "no reason is known"}`);
      if (openItems > 0) throw new Error(`${openItems} mismatches are open`);
      return newest === undefined ? "no run yet" : `the newest run ${newest.state}, nothing open`;
    },
  },
  {
    name: "core's database has room",
    of: "core",
    needsKey: true,
    remedy: "docs/scale.md says what grows and what can be pruned; npm run metrics:db.",
    run: (site) => roomIn(site, "itrans_core_database_size_bytes"),
  },
  {
    name: "the hub's database has room",
    of: "hub",
    needsKey: true,
    remedy: "docs/scale.md says what grows and what can be pruned; npm run metrics:db.",
    run: (site) => roomIn(site, "medlink_database_size_bytes"),
  },
  {
    name: "core's cron runs",
    of: "core",
    needsKey: true,
    remedy: "npm run logs:errors names the job and why; without any run: is the trigger deployed with core?",
    run: (site) => cronRuns(site, "itrans_core_cron_runs_total"),
  },
  {
    name: "the hub's cron runs",
    of: "hub",
    needsKey: true,
    remedy: "npm run logs:errors names the job and why; without any run: is the trigger deployed with the hub?",
    run: (site) => cronRuns(site, "medlink_cron_runs_total"),
  },
  {
    name: "what operators did to the hub is in the ledger",
    of: "hub",
    needsKey: true,
    remedy:
      "npm run logs:errors shows what core answers to the hub's job trail: is ITRANS_OPERATOR_API_KEY core's? docs/security.md.",
    run: async (site) => {
      const waiting = newestOf(await seriesOf(site, "medlink_operator_actions_waiting"));
      if (waiting !== undefined && waiting > 0) throw new Error(`${waiting} actions wait to become entries`);
      return waiting === undefined ? "nothing is recorded yet" : "nothing waits";
    },
  },
  {
    name: "the relay is fit",
    of: "relay",
    remedy: "Its /health names the fault: set what is missing and deploy the relay again; it holds nothing.",
    run: async (site) => {
      const { status, body } = await ask(site, "/health");
      const { faults } = relayHealth.parse(body);
      if (status !== 200) throw new Error(faults.length === 0 ? `/health answers ${status}` : faults.join("; "));
      return "ok";
    },
  },
];

export async function runCheck(check: Check, site: Site): Promise<CheckResult> {
  const { name, of, remedy } = check;
  const began = performance.now();
  try {
    const detail = await check.run(site);
    return { name, of, remedy, ok: true, ms: performance.now() - began, detail };
  } catch (error) {
    const detail = error instanceof z.ZodError ? "the answer has another shape than expected" : messageOf(error);
    return { name, of, remedy, ok: false, ms: performance.now() - began, detail };
  }
}

/** One after another, in order. @param seen is told of each as it ends. */
export async function runChecks(
  checks: readonly Check[],
  sites: Sites,
  seen: (result: CheckResult) => void = () => {},
): Promise<readonly CheckResult[]> {
  const results: CheckResult[] = [];
  for (const check of checks) {
    const site = sites[check.of];
    if (site === undefined || (check.needsKey === true && site.key === undefined)) continue;
    const result = await runCheck(check, site);
    seen(result);
    results.push(result);
  }
  return results;
}
