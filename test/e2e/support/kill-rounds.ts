/**
 * Rounds of: load, SIGKILL of workerd at a random moment, a new start over the same data. Clients behave as those in the field
 * do: what was not answered is sent again, with the same content, until it is. Then everything is drained and checked.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { type Answer, call, summaryOf } from "../../../scripts/lib/http.ts";
import { type Stack, startStack } from "../../../scripts/lib/stack.ts";
import { drained } from "./drained.ts";
import { checkLedger } from "./ledger-check.ts";
import { type Random, seededRandom } from "./random.ts";
import { type Post, type Receiver, type Reply, startReceiver } from "./receiver.ts";
import {
  ANY_PORT,
  bundledOnce,
  expectStatus,
  INSURER_ADDRESS,
  KEYS,
  plainPayload,
  post,
  secrets,
  signedSubmit,
} from "./stack.ts";

/** What a kill can find a submit at, in the order of the protocol. */
export const MOMENTS = [
  "not committed",
  "committed, not answered",
  "answered, not leased",
  "leased, not posted",
  "posted, not recorded",
  "recorded for a retry",
  "delivered",
] as const;
export type Moment = (typeof MOMENTS)[number];

/** Submits of the round that a kill found at each moment. */
export type Spread = Readonly<Record<Moment, number>>;

export interface Round {
  readonly round: number;
  /** Of load before the kill, ms. */
  readonly killedAfterMs: number;
  readonly restartMs: number;
  readonly spread: Spread;
}

export interface KillReport {
  readonly seed: number;
  readonly rounds: readonly Round[];
  readonly requests: number;
  readonly entries: number;
  /** Submits answered 2xx, resends among them. */
  readonly answers: number;
  /** Calls that got no answer because of a kill. */
  readonly cutOff: number;
  readonly events: number;
  readonly posts: number;
  /** Posts of an event that its receiver had accepted before. */
  readonly repeated: number;
  readonly drainMs: number;
  readonly durationMs: number;
  /** What does not hold; empty when everything does. */
  readonly faults: readonly string[];
}

export interface KillOptions {
  readonly seed: number;
  readonly rounds: number;
  readonly dataDir: string;
  readonly onRound?: (round: Round) => void;
}

const CLIENTS = 12;
const FRESH_REQUESTS = 26;
const LONGEST_LOAD_MS = 1_600;
const WEBHOOK_TIMEOUT_MS = 1_000;
const AFTER_TIMEOUT_WAIT_MS = 1_000;
/** A lease that a kill left behind lasts 17 s, a wait between retries less than two. */
const STUCK_MS = 90_000;

type Stage = "submit" | "acknowledge" | "adjudicate" | "done";

interface Tracked {
  readonly requestId: string;
  readonly body: unknown;
  readonly decision: "APPROVED" | "DENIED";
  stage: Stage;
  submittedInRound: number;
  answered: { readonly requestIdHash: string; readonly seq: number; readonly entryHash: string } | undefined;
  /** No client works on it now. */
  free: boolean;
}

const answerSchema = z.looseObject({
  requestId: z.string(),
  requestIdHash: z.string(),
  ledger: z.object({ seq: z.number(), entryHash: z.string() }),
});

/** Receivers of the field: mostly fine, sometimes busy, unknowing, slow beyond the timeout, or gone. */
function replyOf(random: Random): (post: Post) => Reply {
  return () => {
    const draw = random.next();
    const afterMs = random.between(0, 30);
    if (draw < 0.03) return { afterMs, status: 503, body: { message: "busy" } };
    if (draw < 0.06) return { afterMs, status: 404, body: { ok: false, retryable: true, message: "not known yet" } };
    if (draw < 0.07) return { afterMs, status: undefined };
    if (draw < 0.075) return { afterMs: WEBHOOK_TIMEOUT_MS + 500, status: 200 };
    return { afterMs, status: 200, body: { ok: true } };
  };
}

interface World {
  readonly options: KillOptions;
  readonly random: Random;
  /** Apart from what clients and receivers draw, in whatever order they come: a seed gives the same moments again. */
  readonly killRandom: Random;
  readonly medlink: Receiver;
  readonly insurer: Receiver;
  readonly start: (cronEveryMs: number) => Promise<Stack>;
  readonly tracked: Tracked[];
  readonly faults: string[];
  insurerKey: string;
  answers: number;
  cutOff: number;
}

export async function runKillRounds(options: KillOptions): Promise<KillReport> {
  const startedAt = performance.now();
  const random = seededRandom(options.seed);
  const medlink = await startReceiver(replyOf(random));
  const insurer = await startReceiver(replyOf(random));
  const script = bundledOnce();
  const running: Stack[] = [];
  const start = async (cronEveryMs: number): Promise<Stack> => {
    const stack = await startStack({
      dataDir: options.dataDir,
      ports: ANY_PORT,
      workers: ["itrans-core", "itrans-relay"],
      secrets,
      script,
      cronEveryMs,
      settings: () => ({
        "itrans-core": {
          API_RATE_LIMIT_MAX_REQUESTS: "1000000",
          LEDGER_VERIFY_CACHE_MS: "0",
          RELAY_MEDLINK_WEBHOOK_URL: medlink.url,
          RELAY_MEDLINK_REQUESTS_PER_MINUTE: "1000000",
          RELAY_WEBHOOK_TIMEOUT_MS: String(WEBHOOK_TIMEOUT_MS),
          RELAY_AFTER_TIMEOUT_WAIT_MS: String(AFTER_TIMEOUT_WAIT_MS),
          RELAY_INITIAL_BACKOFF_MS: "50",
          RELAY_MAX_BACKOFF_MS: "400",
          // On a busy machine many a post in a row outlasts so short a timeout.
          RELAY_MAX_RETRIES: "60",
        },
      }),
    });
    running.push(stack);
    return stack;
  };
  const world: World = {
    options,
    random,
    killRandom: seededRandom(~options.seed),
    medlink,
    insurer,
    start,
    tracked: [],
    faults: [],
    insurerKey: "",
    answers: 0,
    cutOff: 0,
  };
  try {
    const rounds: Round[] = [];
    let stack = await start(0);
    await makeInsurer(world, stack);
    for (let round = 0; round < options.rounds; round++) {
      const killed = await loadAndKill(world, stack, round);
      const restartedAt = performance.now();
      stack = await start(0);
      const restartMs = Math.round(performance.now() - restartedAt);
      const spread = await classify(world, stack, round);
      await checkVerify(world, stack, `after the kill of round ${round}`);
      rounds.push({ round, ...killed, restartMs, spread });
      options.onRound?.({ round, ...killed, restartMs, spread });
    }
    await stack.dispose();
    const drainedAt = performance.now();
    stack = await start(250);
    await finishAll(world, stack);
    const posts = (): number => medlink.posts.length + insurer.posts.length;
    world.faults.push(...(await drained(stack.urls.core, { posts, stuckMs: STUCK_MS })));
    const drainMs = Math.round(performance.now() - drainedAt);
    await checkVerify(world, stack, "at the end");
    const { entries, events, repeated } = await checkAll(world, stack);
    return {
      seed: options.seed,
      rounds,
      requests: world.tracked.length,
      entries,
      answers: world.answers,
      cutOff: world.cutOff,
      events,
      posts: medlink.posts.length + insurer.posts.length,
      repeated,
      drainMs,
      durationMs: Math.round(performance.now() - startedAt),
      faults: world.faults,
    };
  } finally {
    for (const stack of running) await stack.dispose();
    await medlink.dispose();
    await insurer.dispose();
  }
}

async function makeInsurer(world: World, { urls }: Stack): Promise<void> {
  const key = await expectStatus(
    201,
    post(`${urls.core}/tenants/default/keys`, KEYS.operator, {
      surface: "workflow",
      scopes: ["read", "adjudicate"],
      insurerAddress: INSURER_ADDRESS,
    }),
  );
  world.insurerKey = z.looseObject({ key: z.string() }).parse(key).key;
  const destination = {
    kind: "INSURER",
    insurerAddress: INSURER_ADDRESS,
    url: world.insurer.url,
    secret: "insurer-webhook-for-tests-5d1f0c77a2",
    deliverAfter: "commit",
    requestsPerMinute: 1_000_000,
    timeoutMs: WEBHOOK_TIMEOUT_MS,
  };
  const put = call(`${urls.core}/relay/destinations/test-insurer`, {
    method: "PUT",
    headers: { "x-api-key": KEYS.operator },
    body: destination,
  });
  await expectStatus(201, put);
}

/** A call, or undefined when the service went away under it. */
async function ask(world: World, asking: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await asking;
  } catch {
    world.cutOff += 1;
    return undefined;
  }
}

function noteAnswer(world: World, request: Tracked, answer: Answer): void {
  if (answer.status === 503 || answer.status === 429) return;
  const parsed = answerSchema.safeParse(answer.body);
  if ((answer.status !== 200 && answer.status !== 201) || !parsed.success) {
    world.faults.push(`${request.requestId}: a submit was answered ${summaryOf(answer)}`);
    return;
  }
  world.answers += 1;
  const { requestId, requestIdHash, ledger } = parsed.data;
  const ids = { requestIdHash, seq: ledger.seq, entryHash: ledger.entryHash };
  const first = request.answered ?? ids;
  if (requestId !== request.requestId || JSON.stringify(first) !== JSON.stringify(ids)) {
    world.faults.push(`${request.requestId}: answered with other ids than before: ${summaryOf(answer)}`);
  }
  request.answered = first;
}

/** The next call of one request's life; what fails is left for the next turn. */
async function advance(world: World, { urls }: Stack, request: Tracked, doubled: boolean): Promise<void> {
  if (request.stage === "submit" || request.answered === undefined) {
    const submit = () => ask(world, post(`${urls.core}/workflow/claims`, KEYS.workflow, request.body));
    for (const answer of await Promise.all(doubled ? [submit(), submit()] : [submit()])) {
      if (answer !== undefined) noteAnswer(world, request, answer);
    }
    if (request.answered !== undefined) request.stage = "acknowledge";
    return;
  }
  const { stage } = request;
  if (stage === "done") return;
  const url = `${urls.core}/workflow/requests/${request.answered.requestIdHash}/${stage}`;
  const body = stage === "adjudicate" ? { decision: request.decision } : { notes: "seen" };
  const answer = await ask(world, post(url, world.insurerKey, body));
  if (answer === undefined || answer.status === 503 || answer.status === 429) return;
  if (answer.status !== 200) world.faults.push(`${request.requestId}: ${stage} was answered ${summaryOf(answer)}`);
  request.stage = stage === "acknowledge" ? "adjudicate" : "done";
}

function freshRequest({ tracked, random }: World, round: number): Tracked {
  const requestId = `clm-${String(tracked.length).padStart(5, "0")}`;
  const request: Tracked = {
    requestId,
    body: signedSubmit(plainPayload(`patient-${requestId}`), requestId),
    decision: random.chance(0.5) ? "APPROVED" : "DENIED",
    stage: "submit",
    submittedInRound: round,
    answered: undefined,
    free: false,
  };
  tracked.push(request);
  return request;
}

async function loadAndKill(world: World, stack: Stack, round: number): Promise<{ readonly killedAfterMs: number }> {
  const { random, tracked } = world;
  const killedAfterMs = world.killRandom.between(15, LONGEST_LOAD_MS);
  let up = true;
  let fresh = 0;
  const client = async (): Promise<void> => {
    while (up) {
      await sleep(random.between(0, 50));
      if (!up) return;
      const resumed = random.chance(0.6) ? tracked.find(({ free, stage }) => free && stage !== "done") : undefined;
      if (resumed === undefined && fresh === FRESH_REQUESTS) continue;
      if (resumed === undefined) fresh += 1;
      const request = resumed ?? freshRequest(world, round);
      if (request.answered === undefined) request.submittedInRound = round;
      request.free = false;
      await advance(world, stack, request, random.chance(0.2));
      request.free = true;
    }
  };
  const clients = Promise.all(Array.from({ length: CLIENTS }, client));
  await sleep(killedAfterMs);
  process.kill(stack.workerdPid(), "SIGKILL");
  up = false;
  await stack.died;
  await clients;
  return { killedAfterMs };
}

interface SubmittedRow {
  readonly request_id: string;
  readonly event_id: string;
  readonly state: string;
  readonly lease_token: number;
}

/** Where the kill found the submits of a round: what the data says before anything moves on. */
async function classify(world: World, stack: Stack, round: number): Promise<Spread> {
  const database = await stack.database("itrans-core");
  const { results } = await database
    .prepare(
      `SELECT r.request_id, o.event_id, o.state, o.lease_token FROM requests AS r
       JOIN outbox AS o ON o.seq = r.submitted_seq AND o.ledger_id = r.ledger_id AND o.destination_id = 'medlink'`,
    )
    .all<SubmittedRow>();
  const rows = new Map(results.map((row) => [row.request_id, row]));
  const posted = new Set(world.medlink.posts.map(({ eventId }) => eventId));
  const spread = Object.fromEntries(MOMENTS.map((moment) => [moment, 0])) as Record<Moment, number>;
  for (const request of world.tracked) {
    const row = rows.get(request.requestId);
    if (row === undefined && request.answered !== undefined) {
      world.faults.push(`${request.requestId}: answered, and lost in the kill of round ${round}`);
    }
    if (request.submittedInRound === round) spread[momentOf(row, request.answered !== undefined, posted)] += 1;
  }
  return spread;
}

function momentOf(row: SubmittedRow | undefined, answered: boolean, posted: ReadonlySet<string>): Moment {
  if (row === undefined) return "not committed";
  if (row.state === "delivered") return "delivered";
  if (row.state === "leased") return posted.has(row.event_id) ? "posted, not recorded" : "leased, not posted";
  if (row.lease_token > 0) return "recorded for a retry";
  return answered ? "answered, not leased" : "committed, not answered";
}

const verifySchema = z.looseObject({ valid: z.boolean().optional(), findings: z.array(z.unknown()) });

async function checkVerify(world: World, { urls }: Stack, when: string): Promise<void> {
  const answer = await call(`${urls.core}/ledger/verify`);
  const parsed = verifySchema.safeParse(answer.body);
  if (answer.status !== 200 || parsed.data?.valid !== true) {
    world.faults.push(`the ledger does not verify ${when}: ${summaryOf(answer)}`);
  }
}

/** Nothing kills any more: every request goes through its whole life. */
async function finishAll(world: World, stack: Stack): Promise<void> {
  const waiting = world.tracked.filter(({ stage }) => stage !== "done");
  const client = async (): Promise<void> => {
    for (let request = waiting.shift(); request !== undefined; request = waiting.shift()) {
      for (let call = 0; request.stage !== "done" && call < 20; call++) await advance(world, stack, request, false);
      if (request.stage !== "done") world.faults.push(`${request.requestId}: can not ${request.stage}`);
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, client));
}

const LIFE = ["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED", "REQUEST_ADJUDICATED"] as const;

async function checkAll(world: World, stack: Stack) {
  const { faults, tracked } = world;
  const ledger = await checkLedger(await stack.database("itrans-core"));
  faults.push(...ledger.faults);
  // The world is set up by an operator, whose actions are entries that nobody is called back about.
  const about = ledger.entries.filter(({ type }) => type !== "OPERATOR_ACTION");
  const bySubject = Map.groupBy(about, ({ subject }) => subject);
  if (about.length !== LIFE.length * tracked.length || bySubject.size !== tracked.length) {
    faults.push(`${tracked.length} requests made ${about.length} entries of ${bySubject.size} subjects`);
  }
  for (const { requestId, answered } of tracked) {
    const entries = bySubject.get(answered?.requestIdHash ?? "") ?? [];
    if (entries.map(({ type }) => type).join() !== LIFE.join()) {
      faults.push(`${requestId}: its entries are ${entries.map(({ type }) => type).join(", ") || "none"}`);
    }
    const [first] = entries;
    if (first?.seq !== answered?.seq || first?.entryHash !== answered?.entryHash) {
      faults.push(`${requestId}: its entry is not the one that was answered`);
    }
  }
  const receivers = [
    ["MEDLINK", world.medlink],
    ["INSURER", world.insurer],
  ] as const;
  let repeated = 0;
  for (const [kind, receiver] of receivers) {
    const lanes = Map.groupBy(receiver.posts, ({ requestIdHash }) => requestIdHash);
    for (const [subject, entries] of bySubject) {
      const expected = entries.map(({ entryHash }) => `31337:0x${entryHash}:0:${kind}`);
      const checked = checkLane(expected, lanes.get(subject) ?? []);
      repeated += checked.repeated;
      faults.push(...checked.faults.map((fault) => `${kind} ${subject.slice(0, 12)}: ${fault}`));
    }
    if (lanes.size !== bySubject.size) faults.push(`${kind}: posts of ${lanes.size} requests`);
  }
  return { entries: about.length, events: 2 * about.length, repeated };
}

/**
 * One lane as its receiver saw it: every event accepted, in order, none begun before the one before it was accepted, never two at
 * once, each time the same bytes.
 * @param expected event ids in ledger order.
 * @param posts in the order they began.
 */
export function checkLane(
  expected: readonly string[],
  posts: readonly Post[],
): { readonly faults: readonly string[]; readonly repeated: number } {
  const faults: string[] = [];
  const bodies = new Map<string, string>();
  const accepted = new Set<string>();
  let repeated = 0;
  let at = 0;
  let busyUntil = 0;
  for (const { eventId, body, beganAt, endedAt, status } of posts) {
    if (beganAt < busyUntil) faults.push(`${eventId} was posted while the receiver still worked on another post`);
    busyUntil = Math.max(busyUntil, endedAt ?? Number.POSITIVE_INFINITY);
    if ((bodies.get(eventId) ?? body) !== body) faults.push(`${eventId} came with another body`);
    bodies.set(eventId, body);
    const place = expected.indexOf(eventId);
    if (place === -1) faults.push(`${eventId} is not of this ledger`);
    else if (place < at) faults.push(`${eventId} came again after a later event`);
    else if (place > at && expected.slice(at, place).some((earlier) => !accepted.has(earlier))) {
      faults.push(`${eventId} came before an earlier event was accepted`);
    }
    at = Math.max(at, place);
    if (accepted.has(eventId)) repeated += 1;
    if (status === 200) accepted.add(eventId);
  }
  for (const eventId of expected) if (!accepted.has(eventId)) faults.push(`${eventId} was never accepted`);
  return { faults, repeated };
}

/** The spread as lines of text, for a person. */
export function describeSpread(rounds: readonly Round[]): readonly string[] {
  return MOMENTS.map((moment) => {
    const submits = rounds.reduce((sum, { spread }) => sum + spread[moment], 0);
    const hit = rounds.filter(({ spread }) => spread[moment] > 0).length;
    return `${moment.padEnd(24)} ${String(submits).padStart(6)} submits, in ${String(hit).padStart(3)} of ${rounds.length} rounds`;
  });
}
