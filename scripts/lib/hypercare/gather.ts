/** What the hypercare's reports are made from, asked of a running system. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { backupOf, newestCutover, readCutover } from "../cutover/run.ts";
import { commitAt } from "../deploy/look.ts";
import { askOf, type DeploySite } from "../deploy/site.ts";
import { messageOf } from "../fail.ts";
import type { Figures, FirstTen, HypercareData } from "./report.ts";

const points = z.array(z.tuple([z.number(), z.number().nullable()]));
const seriesSchema = z.looseObject({ points, quantiles: z.looseObject({ p95: points }).optional() });
const HOUR_S = 3_600;

const known = (values: z.output<typeof points>): readonly number[] =>
  values.flatMap(([, value]) => (value === null ? [] : [value]));
const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

const incidentsSchema = z.object({
  incidents: z.array(
    z.looseObject({
      ticket: z.string(),
      severity: z.string(),
      summary: z.string(),
      detectedAt: z.string(),
      closedAt: z.string().nullable(),
      rootCause: z.string().nullable(),
      prevention: z.string().nullable(),
    }),
  ),
});
const alertsSchema = z.looseObject({
  alerts: z.array(
    z.looseObject({
      name: z.string(),
      severity: z.string(),
      title: z.string(),
      phase: z.string(),
      openedAt: z.string().nullable(),
    }),
  ),
});
const anchorsSchema = z.looseObject({
  anchors: z.array(z.looseObject({ state: z.string(), submittedAt: z.string() })),
});

/** @param from epoch ms. */
export async function gather(
  site: DeploySite,
  environment: string,
  cutovers: string,
  from: number,
  to: number,
): Promise<HypercareData> {
  const missing: string[] = [];
  const orElse = async <T>(what: string, read: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      missing.push(`${what} (${messageOf(error).slice(0, 120)})`);
      return otherwise;
    }
  };
  const series = async (name: string, more: Readonly<Record<string, string>> = {}, step = HOUR_S) => {
    const hub = name.startsWith("medlink_");
    const query = new URLSearchParams({
      name,
      from: String(Math.floor(from / 1_000)),
      to: String(Math.floor(to / 1_000)),
      step: String(step),
      ...more,
    });
    return seriesSchema.parse(
      await askOf(site, hub ? "hub" : "core", `${hub ? "/api" : ""}/operations/series?${query}`),
    );
  };
  const sum = (name: string, match: string): Promise<number> =>
    orElse(`${name} ${match}`, async () => total(known((await series(name, match === "" ? {} : { match })).points)), 0);
  const attempts = await Promise.all(
    ["delivered", "retry", "dead"].map((outcome) => sum("itrans_core_delivery_attempts_total", `outcome:${outcome}`)),
  );
  const [delivered = 0, , dead = 0] = attempts;
  const anchors = await orElse(
    "anchors",
    async () => anchorsSchema.parse(await askOf(site, "core", "/ledger/anchors?limit=100")).anchors,
    [],
  );
  const within = anchors.filter(({ submittedAt }) => Date.parse(submittedAt) >= from);
  const p95 = await orElse(
    "claim lifecycle",
    async () => known((await series("medlink_claim_callback_seconds")).quantiles?.p95 ?? []),
    [],
  );
  const figures: Figures = {
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    claims: await sum("medlink_claim_events_total", "kind:submissionAccepted"),
    failedClaims: await sum("medlink_claim_events_total", "kind:submissionFailed"),
    deadLettersNow: await orElse(
      "dead letters",
      async () =>
        z.looseObject({ deadLetterCount: z.number() }).parse(await askOf(site, "core", "/relay/workflow/status"))
          .deadLetterCount,
      0,
    ),
    deadLettersMade: dead,
    serverErrors:
      (await sum("itrans_core_http_requests_total", "status:5xx")) +
      (await sum("medlink_http_requests_total", "status:5xx")),
    lifecycleP95Ms: p95.length === 0 ? undefined : Math.max(...p95) * 1_000,
    attempts: total(attempts),
    delivered,
    ledgerEntries: await sum("itrans_core_ledger_appends_total", ""),
    anchorsConfirmed: within.filter(({ state }) => state === "confirmed").length,
    anchorsFailed: within.filter(({ state }) => state === "failed").length,
  };
  const incidents = await orElse("incidents", async () => {
    const [recent, open] = await Promise.all(
      [`since=${encodeURIComponent(figures.from)}`, "state=open"].map(
        async (query) =>
          incidentsSchema.parse(await askOf(site, "core", `/operations/incidents?limit=200&${query}`)).incidents,
      ),
    );
    return [...new Map([...(open ?? []), ...(recent ?? [])].map((one) => [one.ticket, one])).values()];
  }, []);
  const alerts = await orElse(
    "alerts",
    async () =>
      alertsSchema
        .parse(await askOf(site, "core", "/operations/alerts"))
        .alerts.filter(({ phase }) => phase === "open"),
    [],
  );
  return {
    environment,
    commit: await orElse("version", () => commitAt(site, "itrans-core"), "unknown"),
    figures,
    incidents,
    alerts,
    firstTen: firstTenOf(cutovers, environment),
    rollbacks: rollbacksSince(cutovers, environment, from),
    missing,
  };
}

const firstTenSchema = z.looseObject({
  successRate: z.string(),
  claims: z.array(z.looseObject({ failed: z.boolean() })),
});

function firstTenOf(cutovers: string, environment: string): FirstTen | undefined {
  const evidence = newestCutover(cutovers, environment)?.cutover.records.findLast(
    ({ step }) => step === "first-ten",
  )?.evidence;
  const parsed = firstTenSchema.safeParse(evidence);
  return parsed.success
    ? { successRate: parsed.data.successRate, failed: parsed.data.claims.filter(({ failed }) => failed).length }
    : undefined;
}

function rollbacksSince(cutovers: string, environment: string, from: number): number {
  if (!existsSync(cutovers)) return 0;
  return readdirSync(cutovers)
    .filter((name) => existsSync(join(cutovers, name, "cutover.json")))
    .map((name) => readCutover(join(cutovers, name)))
    .filter(
      (one) => one?.environment === environment && one.rollback !== undefined && Date.parse(one.rollback.at) >= from,
    ).length;
}

/** When hypercare began: the end of the newest cutover that went live. */
export function liveSince(
  cutovers: string,
  environment: string,
): { readonly at: number; readonly backup: string | undefined } | undefined {
  const newest = newestCutover(cutovers, environment)?.cutover;
  const enabled = newest?.records.findLast(({ step, status }) => step === "enable-auto-submit" && status === "passed");
  return newest === undefined || enabled === undefined
    ? undefined
    : { at: Date.parse(enabled.endedAt), backup: backupOf(newest) };
}

export const contactIn = (path: string): string | undefined =>
  existsSync(path)
    ? z.looseObject({ contact: z.string() }).safeParse(JSON.parse(readFileSync(path, "utf8"))).data?.contact
    : undefined;
