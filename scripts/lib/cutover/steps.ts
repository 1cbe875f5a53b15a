/** The eleven steps, each with the evidence that it gives. */
import * as z from "zod";
import type { WorkerName } from "../../../src/platform/secrets.ts";
import { MEDLINK_DESTINATION_ID } from "../../../src/relay/destinations.ts";
import { writeArchive } from "../backup/archive.ts";
import { type BackupSite, makeSnapshot, remoteSnapshot } from "../backup/site.ts";
import { commitAt } from "../deploy/look.ts";
import { newRollout, type Rollout } from "../deploy/rollout.ts";
import { readRollout, runRollout, saveRollout } from "../deploy/run-rollout.ts";
import { askOf } from "../deploy/site.ts";
import { Failure, messageOf } from "../fail.ts";
import { call, summaryOf } from "../http.ts";
import { runLifecycle, signIn } from "../lifecycle.ts";
import { type CutoverContext, isoNow, rolloutFile, Triggered } from "./context.ts";
import { claimsNow, firstRequests, givenUp, integrityOf, observe, readingsOf, type WatchedClaim } from "./observe.ts";
import { type Cutover, enabledAt, type FirstClaims, judge, type StepId } from "./plan.ts";

export type Evidence = Readonly<Record<string, unknown>>;

/** @param keep what is known of the first claims, for a later run. */
type Run = (context: CutoverContext, cutover: Cutover, keep: (known: FirstClaims) => void) => Promise<Evidence>;

const VERIFY_WITHIN_MS = 500;
const UNHEALTHY_MS = 120_000;
const FIRST_CLAIMS_MS = 4 * 3_600_000;
const CLAIM_PATIENCE_MS = 30 * 60_000;

/** What may end at any time, and waits without knowing of decisions, is left to itself when everything is to go back. */
async function unlessDecided<T>({ sleep }: CutoverContext, work: Promise<T>): Promise<T> {
  let over = false;
  const decided = async (): Promise<T> => {
    while (!over) await sleep(1_000);
    return work;
  };
  return Promise.race([
    work.finally(() => {
      over = true;
    }),
    decided(),
  ]);
}

async function backup(context: CutoverContext): Promise<Evidence> {
  const { site, directory } = context;
  const tag = `pre-cutover-${isoNow(context).replace(/[-:]|\.\d+Z/g, "")}`;
  const of = (side: "core" | "hub"): BackupSite => ({
    base: side === "core" ? "/operations" : "/api/operations",
    operator: {
      url: site.urls[side === "core" ? "itrans-core" : "medlink-hub"],
      key: site.keys[side],
      ask: (path, options) => askOf(site, side, path, { ...options, timeoutMs: 90_000 }),
    },
  });
  const core = await makeSnapshot(of("core"), tag, ({ phase }) => context.say(`core: ${phase ?? "snapshot"}`));
  const hub = await makeSnapshot(of("hub"), tag, ({ phase }) => context.say(`hub: ${phase ?? "snapshot"}`));
  const archive = await writeArchive(await remoteSnapshot(of("core"), core.name), `${directory}/backup`, () => {});
  return {
    core: { snapshot: core.name, entries: core.size, files: core.files },
    hub: { snapshot: hub.name, files: hub.files },
    archive: archive.archive,
    checksum: `${archive.archive}.sha256`,
  };
}

function rolloutFor(context: CutoverContext, cutover: Cutover, worker: WorkerName): Rollout {
  const found = readRollout(rolloutFile(context, worker));
  if (found !== undefined && (found.ended === undefined || found.ended.outcome === "done")) return found;
  return newRollout(context.environment, cutover.commit, isoNow(context), [worker]);
}

async function deploy(context: CutoverContext, cutover: Cutover, worker: WorkerName): Promise<Evidence> {
  const path = rolloutFile(context, worker);
  const rollout = await runRollout(
    { ...context.rollout, say: (share, line) => context.say(line, share), save: (state) => saveRollout(path, state) },
    rolloutFor(context, cutover, worker),
  );
  if (rollout.halted !== undefined)
    throw new Failure(`${rollout.halted.because.join("; ")}; the former version serves again`);
  const answers = await commitAt(context.site, worker);
  if (answers !== cutover.commit)
    throw new Failure(
      `${worker} answers from ${answers.slice(0, 12)}, not the approved ${cutover.commit.slice(0, 12)}`,
    );
  const [own] = rollout.workers;
  return { commit: answers, former: own?.former ?? null, version: own?.next };
}

async function verifyCore({ site }: CutoverContext, cutover: Cutover): Promise<Evidence> {
  const url = `${site.urls["itrans-core"]}/ledger/verify`;
  let ms = Number.POSITIVE_INFINITY;
  // The first may wait for a cold start; what is promised is the answer.
  for (let attempt = 0; attempt < 4 && ms > VERIFY_WITHIN_MS; attempt++) {
    const began = performance.now();
    const answer = await call(url, { timeoutMs: 10_000 });
    ms = performance.now() - began;
    if (integrityOf(answer) === false) throw new Triggered(`the ledger does not verify: ${summaryOf(answer)}`);
    if (answer.status !== 200) throw new Failure(`/ledger/verify answers ${summaryOf(answer)}`);
  }
  if (ms > VERIFY_WITHIN_MS) throw new Failure(`/ledger/verify took ${Math.round(ms)} ms, over ${VERIFY_WITHIN_MS} ms`);
  return { findings: 0, ms: Math.round(ms), commit: await sameCommit(site, "itrans-core", cutover) };
}

async function sameCommit(site: CutoverContext["site"], worker: WorkerName, { commit }: Cutover): Promise<string> {
  const answers = await commitAt(site, worker);
  if (answers !== commit)
    throw new Failure(`${worker} answers from ${answers.slice(0, 12)}, not the approved ${commit.slice(0, 12)}`);
  return answers;
}

const relaySchema = z.looseObject({
  status: z.string(),
  paused: z.boolean(),
  pending: z.number(),
  waiting: z.number(),
  deadLetterCount: z.number(),
  retryPolicy: z.looseObject({ maxRetries: z.number() }),
  destinations: z.array(z.looseObject({ destinationId: z.string(), state: z.string() })),
});
const deadSchema = z.looseObject({ count: z.number().optional() });

async function verifyRelay(context: CutoverContext, cutover: Cutover): Promise<Evidence> {
  const { site } = context;
  const until = context.now() + Math.min(UNHEALTHY_MS, context.stepTimeoutMs);
  for (;;) {
    const relay = relaySchema.parse(await askOf(site, "core", "/relay/workflow/status"));
    const faults = [
      ...(relay.paused ? ["the relay is paused"] : []),
      // What waits for its anchor is no backlog of the relay's.
      ...(relay.pending > relay.waiting ? [`${relay.pending - relay.waiting} deliveries are on their way`] : []),
      ...(relay.deadLetterCount > 0 ? [`${relay.deadLetterCount} dead letters`] : []),
      ...relay.destinations.flatMap(({ destinationId, state }) =>
        state === "broken" ? [`${destinationId} can not be reached`] : [],
      ),
    ];
    if (faults.length === 0) {
      const dead = deadSchema.parse(await askOf(site, "core", "/relay/workflow/dead-letters?limit=1"));
      return {
        status: relay.status,
        deadLetters: dead.count ?? relay.deadLetterCount,
        retryPolicy: relay.retryPolicy,
        destinations: relay.destinations.map(({ destinationId, state }) => `${destinationId}: ${state}`),
        commit: await sameCommit(site, "itrans-relay", cutover),
      };
    }
    if (relay.paused || relay.deadLetterCount > 0 || context.now() > until) throw new Failure(faults.join("; "));
    await context.sleep(1_000);
  }
}

const switchSchema = z.looseObject({
  enabled: z.boolean(),
  heldByOperator: z.boolean(),
  stats: z.record(z.string(), z.number()),
});
const AUTO_SUBMIT = "/api/itrans/auto-submit";

async function deployHub(context: CutoverContext, cutover: Cutover): Promise<Evidence> {
  const before = switchSchema.parse(await askOf(context.site, "hub", `${AUTO_SUBMIT}/status`));
  if (before.enabled) throw new Failure("auto-submit is on; it stays off until the synthetic claim is through");
  const evidence = await deploy(context, cutover, "medlink-hub");
  const after = switchSchema.parse(await askOf(context.site, "hub", `${AUTO_SUBMIT}/status`));
  if (after.enabled) throw new Failure("the new hub has auto-submit on: ITRANS_AUTO_SUBMIT_ENABLED is to be false");
  return { ...evidence, autoSubmit: "off", queued: after.stats };
}

const healthSchema = z.looseObject({
  status: z.string(),
  db: z.looseObject({ ok: z.boolean() }),
  itrans: z.looseObject({ ok: z.boolean() }),
});

async function verifyHub(context: CutoverContext, cutover: Cutover): Promise<Evidence> {
  const { site, compress } = context;
  const until = context.now() + Math.max(UNHEALTHY_MS / compress, 3_000);
  for (;;) {
    const answer = await call(`${site.urls["medlink-hub"]}/api/health`, { timeoutMs: 5_000 }).catch(
      (error: unknown) => ({ status: 0, headers: new Headers(), body: String(error) }),
    );
    const health = healthSchema.safeParse(answer.body);
    if (answer.status === 200 && health.success && health.data.db.ok && health.data.itrans.ok) {
      return {
        status: health.data.status,
        database: "answers",
        itrans: "answers",
        commit: await sameCommit(site, "medlink-hub", cutover),
      };
    }
    if (context.now() > until) throw new Triggered(`the hub is not healthy: ${summaryOf(answer)}`);
    await context.sleep(Math.min(2_000, UNHEALTHY_MS / compress / 4));
  }
}

async function syntheticClaim(context: CutoverContext): Promise<Evidence> {
  const { site, clinic } = context;
  if (clinic === undefined)
    throw new Failure("no clinic files the synthetic claim: set CUTOVER_CLINIC_EMAIL and the others");
  const cookie = await signIn(clinic);
  const held = switchSchema.parse(await askOf(site, "hub", `${AUTO_SUBMIT}/status`));
  // A rollback before held every clinic's jobs back, this one's too.
  if (held.heldByOperator)
    await askOf(site, "hub", `${AUTO_SUBMIT}/settings`, { method: "PUT", body: { enabled: null } });
  const own = await call(`${clinic.hubUrl}${AUTO_SUBMIT}/settings`, {
    method: "PUT",
    headers: { cookie },
    body: { enabled: true },
  });
  if (own.status !== 200)
    throw new Failure(`auto-submit of the synthetic clinic alone is not switched on: ${summaryOf(own)}`);
  const startedAt = context.now();
  const claim = runLifecycle({
    clinic,
    cookie,
    type: "claim",
    coreUrl: site.urls["itrans-core"],
    workflowApiKey: site.keys.workflow,
    evmRpcUrl: context.evmRpcUrl,
    stepTimeoutMs: context.stepTimeoutMs,
    until: "anchored",
    onStep: ({ name, ms, detail }) => context.say(`${name} after ${(ms / 1_000).toFixed(1)} s: ${detail}`),
  });
  const result = await unlessDecided(context, claim);
  return {
    claimId: result.claimId,
    requestId: result.requestId,
    startedAt,
    anchor: result.anchor,
    steps: result.steps,
    released: held.heldByOperator,
  };
}

const syntheticSchema = z.looseObject({ claimId: z.string(), requestId: z.string(), startedAt: z.number() });
const syntheticOf = (cutover: Cutover) =>
  syntheticSchema.parse(
    cutover.records.findLast(({ step, status }) => step === "synthetic-claim" && status === "passed")?.evidence,
  );

const hashSchema = z.looseObject({ requestIdHash: z.string() });

async function hashOf({ site }: CutoverContext, requestId: string): Promise<string> {
  const answer = await call(`${site.urls["itrans-core"]}/workflow/requests/${requestId}`, {
    headers: { "x-api-key": site.keys.workflow },
  });
  return hashSchema.parse(answer.body).requestIdHash;
}

const callbackSchema = z.looseObject({
  deliveries: z.array(
    z.looseObject({
      eventType: z.string(),
      destinationId: z.string(),
      state: z.string(),
      deliveredAt: z.number().nullable(),
    }),
  ),
});
const DECIDED = ["paid", "denied", "infoRequested"];

async function verifyCallback(context: CutoverContext, cutover: Cutover): Promise<Evidence> {
  const { site, clinic } = context;
  if (clinic === undefined) throw new Failure("no clinic filed the synthetic claim");
  const { claimId, requestId, startedAt } = syntheticOf(cutover);
  const hash = await hashOf(context, requestId);
  const cookie = await signIn(clinic);
  const until = context.now() + context.stepTimeoutMs;
  for (;;) {
    const { body } = await call(`${clinic.hubUrl}/api/claims/${claimId}`, { headers: { cookie } });
    const status = z.looseObject({ status: z.string() }).safeParse(isHolder(body) ? body.claim : body).data?.status;
    const { deliveries } = callbackSchema.parse(
      await askOf(site, "core", `/relay/workflow/deliveries?request=${hash}`),
    );
    const decision = deliveries.findLast(
      ({ destinationId, state }) => destinationId === MEDLINK_DESTINATION_ID && state === "delivered",
    );
    if (status !== undefined && DECIDED.includes(status) && decision?.deliveredAt != null) {
      return { claimId, status, callback: decision.eventType, endToEndMs: decision.deliveredAt - startedAt };
    }
    if (context.now() > until)
      throw new Triggered(
        `the claim is ${status ?? "not seen"}, its callback ${decision === undefined ? "did not come" : "came"}`,
      );
    await context.sleep(250);
  }
}

const isHolder = (body: unknown): body is { readonly claim: unknown } =>
  typeof body === "object" && body !== null && "claim" in body;

async function enableAutoSubmit(
  context: CutoverContext,
  cutover: Cutover,
  keep: (known: FirstClaims) => void,
): Promise<Evidence> {
  // Whatever is given up from here on counts, whichever run sees it.
  keep(cutover.firstTen ?? (await noClaimsYet(context)));
  await askOf(context.site, "hub", `${AUTO_SUBMIT}/settings`, { method: "PUT", body: { enabled: true } });
  const { enabled, stats } = switchSchema.parse(await askOf(context.site, "hub", `${AUTO_SUBMIT}/status`));
  if (!enabled) throw new Failure("auto-submit is still off");
  return { enabled, at: context.now(), queue: stats };
}

const noClaimsYet = async ({ site }: CutoverContext): Promise<FirstClaims> => ({
  claims: [],
  through: [],
  givenUpBefore: await givenUp(site),
  failed: 0,
});

async function firstTen(
  context: CutoverContext,
  cutover: Cutover,
  keep: (known: FirstClaims) => void,
): Promise<Evidence> {
  const { compress, firstClaims: wanted } = context;
  let known = cutover.firstTen ?? (await noClaimsYet(context));
  keep(known);
  await context.organic?.();
  const until = claimsSince(cutover) + Math.max(FIRST_CLAIMS_MS / compress, context.stepTimeoutMs);
  const { accepted } = cutover;
  const spared = accepted?.claims ?? 0;
  for (;;) {
    const look = await lookAtClaims(context, cutover, known);
    known = look.known;
    keep(known);
    const { failed } = known;
    const through = Math.min(look.through, wanted - Math.min(failed, wanted));
    await mind(context, failed, enabledAt(cutover));
    const line = `${through}/${wanted} through, ${known.claims.length} seen, ${failed} failed`;
    context.say(line, through / wanted);
    if (failed > spared) throw new Failure(line);
    if (through >= wanted - spared)
      return { successRate: `${through}/${wanted}`, failed, claims: look.claims, ...(accepted && { accepted }) };
    if (context.now() > until) throw new Failure(`only ${line}`);
    await context.sleep(lookEveryMs(compress));
  }
}

/** Between two looks at the triggers. */
export const lookEveryMs = (compress: number): number => 15_000 / Math.min(compress, 60);

const claimsSince = ({ records, startedAt }: Cutover): number =>
  Date.parse(
    records.findLast(({ step, status }) => step === "enable-auto-submit" && status === "passed")?.startedAt ??
      startedAt,
  );

export interface ClaimsLook {
  readonly known: FirstClaims;
  readonly claims: readonly (WatchedClaim & { readonly failed: boolean })[];
  /** That did not fail since. */
  readonly through: number;
}

/** How the first claims stand. A look that can not be taken leaves everything as it was known. */
export async function lookAtClaims(context: CutoverContext, cutover: Cutover, known: FirstClaims): Promise<ClaimsLook> {
  const { site, compress, now } = context;
  const since = claimsSince(cutover);
  // A claim takes as long as it takes, whatever is compressed.
  const patience = Math.max(CLAIM_PATIENCE_MS / compress, context.stepTimeoutMs);
  try {
    const synthetic = await hashOf(context, syntheticOf(cutover).requestId);
    const hashes = await firstRequests(site, since, known.claims, synthetic, context.firstClaims);
    const seen = await claimsNow(site, since, hashes);
    const lost = Math.max(0, (await givenUp(site)) - known.givenUpBefore);
    const wereThrough = new Set(known.through);
    const claims = seen.map((claim) => {
      const { inLedger, anchored, calledBack, dead } = claim;
      const through = wereThrough.has(claim.requestIdHash) || (inLedger && anchored && calledBack);
      return { ...claim, through, failed: dead || (!through && now() - Date.parse(claim.submittedAt) > patience) };
    });
    const through = claims.filter((claim) => claim.through).map(({ requestIdHash }) => requestIdHash);
    const failed = claims.filter((claim) => claim.failed).length + lost;
    return {
      known: { ...known, claims: hashes, through, failed },
      claims,
      through: claims.filter((claim) => claim.through && !claim.failed).length,
    };
  } catch (error) {
    context.say(`the first claims could not be looked at: ${messageOf(error).split("\n")[0]}`);
    return { known, claims: [], through: Math.max(0, known.through.length - known.failed) };
  }
}

/**
 * Reads once more and judges.
 * @param enabled when auto-submit was switched on; undefined: it was not. @throws Triggered when it is time to roll back.
 */
export async function mind(context: CutoverContext, claimsFailed: number, enabled: number | undefined): Promise<void> {
  await observe(context, claimsFailed);
  const verdict = judge(readingsOf(context), context.now(), enabled, context.compress);
  if (verdict.type === "rollback") throw new Triggered(verdict.because);
  if (verdict.type === "evaluate")
    context.say(
      `evaluate now: ${verdict.because}; it rolls back at ${new Date(verdict.until).toISOString()} unless it is mended`,
    );
}

export const RUNS: Readonly<Record<StepId, Run>> = {
  backup: (context) => unlessDecided(context, backup(context)),
  "deploy-core": async (context, cutover) => {
    await context.prepare();
    return deploy(context, cutover, "itrans-core");
  },
  "verify-core": verifyCore,
  "deploy-relay": (context, cutover) => deploy(context, cutover, "itrans-relay"),
  "verify-relay": verifyRelay,
  "deploy-hub": deployHub,
  "verify-hub": verifyHub,
  "synthetic-claim": syntheticClaim,
  "verify-callback": verifyCallback,
  "enable-auto-submit": enableAutoSubmit,
  "first-ten": firstTen,
};
