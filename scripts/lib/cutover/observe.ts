/** What the rollback triggers are judged by, and the first claims that clinics file. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { MEDLINK_DESTINATION_ID } from "../../../src/relay/destinations.ts";
import { type Sample, scrape, sumOf } from "../deploy/look.ts";
import { askOf, type DeploySite } from "../deploy/site.ts";
import { call } from "../http.ts";
import type { CutoverContext } from "./context.ts";
import type { TriggerReading } from "./plan.ts";

const KEPT = 5_000;
const readingsFile = (context: CutoverContext): string => join(context.directory, "readings.jsonl");

const readingSchema = z.object({
  at: z.number(),
  requests: z.number(),
  serverErrors: z.number(),
  deadLetters: z.number(),
  intact: z.boolean().optional(),
  hubHealthy: z.boolean(),
  claimsFailed: z.number(),
});

export function readingsOf(context: CutoverContext): readonly TriggerReading[] {
  if (!existsSync(readingsFile(context))) return [];
  return readFileSync(readingsFile(context), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .slice(-KEPT)
    .map((line) => {
      const { intact, ...rest } = readingSchema.parse(JSON.parse(line));
      return { ...rest, intact };
    });
}

const isServerError = ({ status = "" }: Sample["labels"]): boolean => status.startsWith("5");

/** One more reading, written down. What can not be asked keeps its last value. */
export async function observe(context: CutoverContext, claimsFailed: number): Promise<TriggerReading> {
  const { site } = context;
  const last = readingsOf(context).at(-1);
  const [core, hub, verified, health] = await Promise.all([
    scrape(site, "itrans-core").catch(() => undefined),
    scrape(site, "medlink-hub").catch(() => undefined),
    call(`${site.urls["itrans-core"]}/ledger/verify`, { timeoutMs: 10_000 }).catch(() => undefined),
    call(`${site.urls["medlink-hub"]}/api/health`, { timeoutMs: 5_000 }).catch(() => undefined),
  ]);
  const requests =
    core === undefined || hub === undefined
      ? undefined
      : sumOf(core, "itrans_core_http_requests_total") + sumOf(hub, "medlink_http_requests_total");
  const serverErrors =
    core === undefined || hub === undefined
      ? undefined
      : sumOf(core, "itrans_core_http_requests_total", isServerError) +
        sumOf(hub, "medlink_http_requests_total", isServerError);
  const reading: TriggerReading = {
    at: context.now(),
    requests: requests ?? last?.requests ?? 0,
    serverErrors: serverErrors ?? last?.serverErrors ?? 0,
    deadLetters: core === undefined ? (last?.deadLetters ?? 0) : sumOf(core, "itrans_core_outbox_dead_letters"),
    intact: integrityOf(verified),
    hubHealthy: health?.status === 200,
    claimsFailed,
  };
  appendFileSync(readingsFile(context), `${JSON.stringify(reading)}\n`);
  return reading;
}

const verifySchema = z.looseObject({ findings: z.array(z.unknown()) });

/** Only findings say that it is broken; an answer that is not there says that it can not be known. */
export function integrityOf(
  answer: { readonly status: number; readonly body: unknown } | undefined,
): boolean | undefined {
  const parsed = verifySchema.safeParse(answer?.body);
  if (!parsed.success) return undefined;
  if (parsed.data.findings.length > 0) return false;
  return answer?.status === 200 ? true : undefined;
}

const deliverySchema = z.object({
  requestIdHash: z.string(),
  destinationId: z.string(),
  state: z.string(),
  createdAt: z.number(),
});
type Delivery = z.output<typeof deliverySchema>;
const pageSchema = z.object({ next: z.string().nullable(), deliveries: z.array(deliverySchema) });

const PAGES = 20;

async function deliveriesSince(site: DeploySite, status: string, since: number): Promise<readonly Delivery[]> {
  const found: Delivery[] = [];
  let cursor: string | null = "";
  for (let page = 0; page < PAGES && cursor !== null; page++) {
    const query = new URLSearchParams({ status, limit: "200", ...(cursor === "" ? {} : { cursor }) });
    const { next, deliveries }: z.output<typeof pageSchema> = pageSchema.parse(
      await askOf(site, "core", `/relay/workflow/deliveries?${query}`),
    );
    found.push(...deliveries.filter(({ createdAt }) => createdAt >= since));
    // The others come in the order in which they are due or died.
    const allBefore = deliveries.length > 0 && deliveries.every(({ createdAt }) => createdAt < since);
    cursor = status === "delivered" && allBefore ? null : next;
  }
  return found;
}

/**
 * The first requests that came since, oldest first, whatever came of them.
 * @param known that were found before: they stay the first. @param except the synthetic one's hash.
 */
export async function firstRequests(
  site: DeploySite,
  since: number,
  known: readonly string[],
  except: string,
  count: number,
): Promise<readonly string[]> {
  if (known.length >= count) return known.slice(0, count);
  const pages = await Promise.all(
    ["delivered", "pending", "dead"].map((status) => deliveriesSince(site, status, since)),
  );
  const oldestFirst = pages.flat().sort((a, b) => a.createdAt - b.createdAt);
  const hashes = oldestFirst.map(({ requestIdHash }) => requestIdHash).filter((hash) => hash !== except);
  return [...new Set([...known, ...hashes])].slice(0, count);
}

export interface WatchedClaim {
  readonly requestIdHash: string;
  readonly submittedAt: string;
  readonly inLedger: boolean;
  /** Its submission is: a claim's later entries wait for later anchors. */
  readonly anchored: boolean;
  readonly calledBack: boolean;
  /** A delivery of it was given up. */
  readonly dead: boolean;
}

const requestSchema = z.looseObject({ ledger: z.looseObject({ seq: z.number() }) });
const anchorsSchema = z.looseObject({
  anchors: z.array(z.looseObject({ state: z.string(), size: z.number() })),
});

/** How many entries, from the first on, the chain finally holds. */
async function anchoredSize(site: DeploySite): Promise<number> {
  const { anchors } = anchorsSchema.parse(await askOf(site, "core", "/ledger/anchors?limit=20"));
  return Math.max(0, ...anchors.flatMap(({ state, size }) => (state === "confirmed" ? [size] : [])));
}

/** How far each of these requests, that came since, is. */
export async function claimsNow(
  site: DeploySite,
  since: number,
  hashes: readonly string[],
): Promise<readonly WatchedClaim[]> {
  if (hashes.length === 0) return [];
  const size = await anchoredSize(site);
  return Promise.all(
    hashes.map(async (requestIdHash) => {
      const [answer, asked] = await Promise.all([
        call(`${site.urls["itrans-core"]}/workflow/requests/${requestIdHash}`, {
          headers: { "x-api-key": site.keys.workflow },
        }),
        askOf(site, "core", `/relay/workflow/deliveries?request=${requestIdHash}`),
      ]);
      const { deliveries } = pageSchema.parse(asked);
      const request = requestSchema.safeParse(answer.body);
      const inLedger = answer.status === 200 && request.success;
      return {
        requestIdHash,
        submittedAt: new Date(
          deliveries.reduce((first, { createdAt }) => Math.min(first, createdAt), deliveries[0]?.createdAt ?? since),
        ).toISOString(),
        inLedger,
        anchored: inLedger && request.data.ledger.seq < size,
        calledBack: deliveries.some(
          ({ destinationId, state }) => destinationId === MEDLINK_DESTINATION_ID && state === "delivered",
        ),
        dead: deliveries.some(({ state }) => state === "dead"),
      };
    }),
  );
}

/** Submissions that auto-submit gave up: such a claim never reaches core. */
export async function givenUp(site: DeploySite): Promise<number> {
  return sumOf(
    await scrape(site, "medlink-hub"),
    "medlink_claim_events_total",
    ({ kind }) => kind === "submissionFailed",
  );
}
