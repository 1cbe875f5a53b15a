/** What the hypercare's reports are made from, asked of a running system. */
import { existsSync, readFileSync } from "node:fs";
import * as z from "zod";
import { MAX_INCIDENTS } from "../../../src/operations/alerts/evaluate.ts";
import { type Cutover, enabledAt } from "../cutover/plan.ts";
import { backupOf, cutoversIn } from "../cutover/run.ts";
import { commitAt } from "../deploy/look.ts";
import { askOf, type DeploySite } from "../deploy/site.ts";
import { messageOf } from "../fail.ts";
import type { EnvironmentName } from "../platform.ts";
import type { Figures, FirstTen, HypercareData, ReportedIncident } from "./report.ts";

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
      alert: z.string().nullable(),
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
  /** Newest first. */
  incidents: z.array(
    z.looseObject({
      incident: z.number(),
      alert: z.string(),
      severity: z.string(),
      openedAt: z.string(),
      resolvedAt: z.string().nullable(),
    }),
  ),
});
const anchorsSchema = z.looseObject({
  anchors: z.array(z.looseObject({ state: z.string(), submittedAt: z.string() })),
  nextBefore: z.number().nullable(),
});
type Anchor = z.output<typeof anchorsSchema>["anchors"][number];

/** An anchor a minute for more than six days. */
const ANCHOR_PAGES = 90;
/** Of the register, at a time. */
const REGISTERED = 200;

/** @param from epoch ms. */
export async function gather(
  site: DeploySite,
  environment: EnvironmentName,
  cutovers: string,
  from: number,
  to: number,
): Promise<HypercareData> {
  const missing: string[] = [];
  const read = async <T>(what: string, ask: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await ask();
    } catch (error) {
      missing.push(`${what} (${messageOf(error).slice(0, 120)})`);
      return undefined;
    }
  };
  const since = new Date(from).toISOString();
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
  const sum = (name: string, match: string): Promise<number | undefined> =>
    read(`${name} ${match}`.trim(), async () => {
      const values = known((await series(name, match === "" ? {} : { match })).points);
      // Where anything is recorded, a counter that did not rise is 0.
      if (values.length === 0) throw new Error("nothing was recorded in this time");
      return total(values);
    });
  const [delivered, retried, dead] = await Promise.all([
    sum("itrans_core_delivery_attempts_total", "outcome:delivered"),
    sum("itrans_core_delivery_attempts_total", "outcome:retry"),
    sum("itrans_core_delivery_attempts_total", "outcome:dead"),
  ]);
  const anchors = await read("anchors", () => anchorsSince(site, from));
  if (anchors?.cutAt !== undefined)
    missing.push(`anchors before ${anchors.cutAt} (more than ${anchors.anchors.length} were made since ${since})`);
  const anchorsIn = (state: string): number | undefined => anchors?.anchors.filter((one) => one.state === state).length;
  const p95 = await read("claim lifecycle", async () =>
    known((await series("medlink_claim_callback_seconds")).quantiles?.p95 ?? []),
  );
  const coreErrors = await sum("itrans_core_http_requests_total", "status:5xx");
  const hubErrors = await sum("medlink_http_requests_total", "status:5xx");
  const figures: Figures = {
    from: since,
    to: new Date(to).toISOString(),
    claims: await sum("medlink_claim_events_total", "kind:submissionAccepted"),
    failedClaims: await sum("medlink_claim_events_total", "kind:submissionFailed"),
    deadLettersNow: await read(
      "dead letters",
      async () =>
        z.looseObject({ deadLetterCount: z.number() }).parse(await askOf(site, "core", "/relay/workflow/status"))
          .deadLetterCount,
    ),
    deadLettersMade: dead,
    serverErrors: allOf([coreErrors, hubErrors]),
    lifecycleP95Ms: p95 === undefined ? undefined : p95.length === 0 ? null : Math.max(...p95) * 1_000,
    attempts: allOf([delivered, retried, dead]),
    delivered,
    ledgerEntries: await sum("itrans_core_ledger_appends_total", ""),
    anchorsConfirmed: anchorsIn("confirmed"),
    anchorsFailed: anchorsIn("failed"),
  };
  const registered = await read("incidents", async () => {
    const [recent, open] = await Promise.all(
      [`since=${encodeURIComponent(since)}`, "state=open"].map(
        async (query) =>
          incidentsSchema.parse(await askOf(site, "core", `/operations/incidents?limit=${REGISTERED}&${query}`))
            .incidents,
      ),
    );
    if ((recent ?? []).length >= REGISTERED) missing.push(`incidents: the register's newest ${REGISTERED} alone`);
    return [...new Map([...(open ?? []), ...(recent ?? [])].map((one) => [one.ticket, one])).values()];
  });
  const alerts = await read("alerts", async () => alertsSchema.parse(await askOf(site, "core", "/operations/alerts")));
  const oldest = alerts?.incidents.at(-1)?.openedAt;
  if (alerts !== undefined && alerts.incidents.length >= MAX_INCIDENTS && oldest !== undefined && oldest > since)
    missing.push(`incidents of alerts before ${oldest} (the evaluator keeps the newest ${MAX_INCIDENTS})`);
  return {
    environment,
    commit: await read("version", () => commitAt(site, "itrans-core")),
    figures,
    incidents: registered === undefined || alerts === undefined ? undefined : incidentsOf(registered, alerts, since),
    alerts: alerts?.alerts.filter(({ phase }) => phase === "open"),
    firstTen: firstTenOf(cutovers, environment),
    rollbacks: rollbacksSince(cutovers, environment, from),
    missing,
  };
}

const allOf = (figures: readonly (number | undefined)[]): number | undefined =>
  figures.reduce<number | undefined>((sum, one) => (sum === undefined || one === undefined ? undefined : sum + one), 0);

/** Newest first, a page after another. @returns cutAt: the oldest that was read, when there are older ones in this time. */
async function anchorsSince(
  site: DeploySite,
  from: number,
): Promise<{ readonly anchors: readonly Anchor[]; readonly cutAt: string | undefined }> {
  const found: Anchor[] = [];
  let before: number | null = null;
  for (let page = 0; page < ANCHOR_PAGES; page++) {
    const { anchors, nextBefore }: z.output<typeof anchorsSchema> = anchorsSchema.parse(
      await askOf(site, "core", `/ledger/anchors?limit=100${before === null ? "" : `&before=${before}`}`),
    );
    const within = anchors.filter(({ submittedAt }) => Date.parse(submittedAt) >= from);
    found.push(...within);
    before = nextBefore;
    if (before === null || within.length === 0) return { anchors: found, cutAt: undefined };
  }
  return { anchors: found, cutAt: found.at(-1)?.submittedAt };
}

type Registered = z.output<typeof incidentsSchema>["incidents"][number];
type Alerts = z.output<typeof alertsSchema>;
const SAME_WITHIN_MS = 24 * HOUR_S * 1_000;

/** How long before or after an alert was open something was detected; 0: while it was. */
function apart(detectedAt: string, { openedAt, resolvedAt }: Alerts["incidents"][number]): number {
  const at = Date.parse(detectedAt);
  const ended = resolvedAt === null ? Number.POSITIVE_INFINITY : Date.parse(resolvedAt);
  return Math.max(0, Date.parse(openedAt) - at, at - ended);
}

/**
 * The register's incidents, and the evaluator's that nobody registered: an entry that names an alert is the incident of that alert
 * nearest to it in time, within a day, and each is named by one entry at most.
 * @param since RFC 3339: what was over by then is left out.
 */
export function incidentsOf(
  registered: readonly Registered[],
  { alerts, incidents }: Alerts,
  since: string,
): readonly ReportedIncident[] {
  const named = new Set<number>();
  for (const { alert, detectedAt } of registered) {
    const [nearest] = incidents
      .filter((one) => one.alert === alert && !named.has(one.incident) && apart(detectedAt, one) <= SAME_WITHIN_MS)
      .sort((a, b) => apart(detectedAt, a) - apart(detectedAt, b));
    if (nearest !== undefined) named.add(nearest.incident);
  }
  const others = incidents.filter(
    ({ incident, resolvedAt }) =>
      !named.has(incident) && (resolvedAt === null || Date.parse(resolvedAt) >= Date.parse(since)),
  );
  return [
    ...registered.map((one) => ({ ...one, registered: true })),
    ...others.map(({ incident, alert, severity, openedAt, resolvedAt }) => ({
      ticket: `alert-${incident}`,
      registered: false,
      severity,
      summary: alerts.find(({ name }) => name === alert)?.title ?? alert,
      alert,
      detectedAt: openedAt,
      closedAt: resolvedAt,
      rootCause: null,
      prevention: null,
    })),
  ];
}

const firstTenSchema = z.looseObject({
  successRate: z.string(),
  failed: z.number().optional(),
  claims: z.array(z.looseObject({ failed: z.boolean() })),
});

function firstTenOf(cutovers: string, environment: string): FirstTen | undefined {
  const evidence = newestLive(cutovers, environment)?.records.findLast(({ step }) => step === "first-ten")?.evidence;
  const parsed = firstTenSchema.safeParse(evidence);
  return parsed.success
    ? {
        successRate: parsed.data.successRate,
        failed: parsed.data.failed ?? parsed.data.claims.filter(({ failed }) => failed).length,
      }
    : undefined;
}

const rollbacksSince = (cutovers: string, environment: string, from: number): number =>
  [...cutoversIn(cutovers, environment)].filter(
    ({ cutover: { rollback } }) => rollback !== undefined && Date.parse(rollback.at) >= from,
  ).length;

/** The newest that went live, whatever was only begun since. */
function newestLive(cutovers: string, environment: string): Cutover | undefined {
  for (const { cutover } of cutoversIn(cutovers, environment)) if (enabledAt(cutover) !== undefined) return cutover;
  return undefined;
}

/** When hypercare began: the end of the newest cutover that went live. */
export function liveSince(
  cutovers: string,
  environment: string,
): { readonly at: number; readonly backup: string | undefined } | undefined {
  const newest = newestLive(cutovers, environment);
  const at = newest === undefined ? undefined : enabledAt(newest);
  return newest === undefined || at === undefined ? undefined : { at, backup: backupOf(newest) };
}

export const contactIn = (path: string): string | undefined =>
  existsSync(path)
    ? z.looseObject({ contact: z.string() }).safeParse(JSON.parse(readFileSync(path, "utf8"))).data?.contact
    : undefined;
