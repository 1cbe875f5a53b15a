/**
 * A receiver as some in the field are: it applies whatever comes, at the moment its work is done, with no memory of ids and no state
 * machine; one post in five fails, one in twenty lands long after the relay has given up, one in twenty is "not yet known". On real
 * sockets and the real clock.
 */
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { summaryOf } from "../../../scripts/lib/http.ts";
import { type Stack, startStack } from "../../../scripts/lib/stack.ts";
import { drained } from "./drained.ts";
import { checkLane } from "./kill-rounds.ts";
import { type Random, seededRandom } from "./random.ts";
import { type Post, type Receiver, type Reply, startReceiver } from "./receiver.ts";
import { ANY_PORT, bundledOnce, KEYS, plainPayload, post, secrets, signedSubmit } from "./stack.ts";

export interface CarelessOptions {
  readonly seed: number;
  readonly requests: number;
  readonly dataDir: string;
  /** The relay's settings; those of the contract when left out. */
  readonly pace?: Pace;
  readonly say?: (text: string) => void;
}

export interface Pace {
  readonly timeoutMs: number;
  readonly afterTimeoutWaitMs: number;
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
  /** Between two steps of a request at most. */
  readonly stepMs: number;
}

const CONTRACT_PACE: Pace = {
  timeoutMs: 8_000,
  afterTimeoutWaitMs: 30_000,
  initialBackoffMs: 1_000,
  maxBackoffMs: 60_000,
  stepMs: 20_000,
};

export interface CarelessReport {
  readonly requests: number;
  readonly events: number;
  readonly posts: number;
  readonly errors: number;
  /** Posts whose effect landed after the relay had given up. */
  readonly late: number;
  readonly notYetKnown: number;
  /** Effects beyond the first of an event. */
  readonly repeated: number;
  readonly durationMs: number;
  readonly faults: readonly string[];
}

const CLIENTS = 24;
/** A timeout, the wait behind it and the longest backoff, three times over. */
const stuckMs = ({ timeoutMs, afterTimeoutWaitMs, maxBackoffMs }: Pace): number =>
  60_000 + 3 * (timeoutMs + afterTimeoutWaitMs + maxBackoffMs);

/** The share of each is of all posts. */
function replyOf(random: Random, { timeoutMs, afterTimeoutWaitMs }: Pace): () => Reply {
  return () => {
    const draw = random.next();
    const afterMs = random.between(0, 40);
    if (draw < 0.2) return { afterMs, status: draw < 0.15 ? 500 : 503, body: { message: "busy" } };
    if (draw < 0.25) return { afterMs: timeoutMs + random.between(50, afterTimeoutWaitMs), status: 200 };
    if (draw < 0.3) return { afterMs, status: 404, body: { ok: false, retryable: true, message: "not known yet" } };
    return { afterMs, status: 200, body: { ok: true } };
  };
}

const submittedSchema = z.looseObject({ requestIdHash: z.string() });
const decisionSchema = z.looseObject({ data: z.looseObject({ decision: z.string().optional() }) });

interface Tracked {
  readonly hash: string;
  readonly decision: "APPROVED" | "DENIED";
}

/** As clients do: what got no answer is sent again. @throws Error when it is refused, or was not answered four times. */
async function insist(url: string, body: unknown): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    const answer = await post(url, KEYS.workflow, body).catch((error: unknown) => {
      if (tries === 4) throw error;
    });
    if (answer?.status === 200 || answer?.status === 201) return answer.body;
    if (answer !== undefined) throw new Error(summaryOf(answer));
  }
}

async function liveOne(url: string, index: number, random: Random, stepMs: number): Promise<Tracked> {
  const decision = random.chance(0.5) ? "APPROVED" : "DENIED";
  const requestId = `careless-${index}`;
  const submitted = await insist(`${url}/workflow/claims`, signedSubmit(plainPayload(requestId), requestId));
  const { requestIdHash: hash } = submittedSchema.parse(submitted);
  const path = `${url}/workflow/requests/${requestId}`;
  await sleep(random.between(0, stepMs));
  await insist(`${path}/acknowledge`, { notes: "seen" });
  await sleep(random.between(0, stepMs));
  await insist(`${path}/adjudicate`, { decision });
  return { hash, decision };
}

export async function runCareless(options: CarelessOptions): Promise<CarelessReport> {
  const startedAt = performance.now();
  const { pace = CONTRACT_PACE, requests, say = () => {} } = options;
  const random = seededRandom(options.seed);
  const receiver = await startReceiver(replyOf(seededRandom(~options.seed), pace));
  const faults: string[] = [];
  let stack: Stack | undefined;
  try {
    stack = await startStack({
      dataDir: options.dataDir,
      ports: ANY_PORT,
      workers: ["itrans-core", "itrans-relay"],
      secrets,
      script: bundledOnce(),
      cronEveryMs: 5_000,
      settings: () => ({
        "itrans-core": {
          LOG_LEVEL: "warn",
          API_RATE_LIMIT_MAX_REQUESTS: "1000000",
          RELAY_MEDLINK_WEBHOOK_URL: receiver.url,
          RELAY_MEDLINK_REQUESTS_PER_MINUTE: "1000000",
          RELAY_WEBHOOK_TIMEOUT_MS: String(pace.timeoutMs),
          RELAY_AFTER_TIMEOUT_WAIT_MS: String(pace.afterTimeoutWaitMs),
          RELAY_INITIAL_BACKOFF_MS: String(pace.initialBackoffMs),
          RELAY_MAX_BACKOFF_MS: String(pace.maxBackoffMs),
        },
        "itrans-relay": { LOG_LEVEL: "warn" },
      }),
    });
    const { core } = stack.urls;
    const tracked: Tracked[] = [];
    let next = 0;
    const client = async (): Promise<void> => {
      for (let index = next++; index < requests; index = next++) {
        tracked.push(await liveOne(core, index, random, pace.stepMs * Math.min(1, (3 * CLIENTS) / requests)));
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, client));
    say(`${requests} requests decided after ${Math.round((performance.now() - startedAt) / 1_000)} s`);
    faults.push(...(await drained(core, { posts: () => receiver.posts.length, stuckMs: stuckMs(pace), say })));
    await landed(receiver, pace);
    return { ...judge(tracked, receiver.posts, faults), durationMs: Math.round(performance.now() - startedAt) };
  } finally {
    await stack?.dispose();
    await receiver.dispose();
  }
}

/** What the receiver still works on lands too. */
async function landed({ posts }: Receiver, { timeoutMs, afterTimeoutWaitMs }: Pace): Promise<void> {
  const until = performance.now() + timeoutMs + afterTimeoutWaitMs + 1_000;
  while (posts.some(({ endedAt }) => endedAt === undefined) && performance.now() < until) await sleep(100);
}

const LIFE = ["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED", "REQUEST_ADJUDICATED"];

function judge(tracked: readonly Tracked[], posts: readonly Post[], known: readonly string[]) {
  const faults = [...known];
  const lanes = Map.groupBy(posts, ({ requestIdHash }) => requestIdHash);
  let repeated = 0;
  for (const { hash, decision } of tracked) {
    const lane = lanes.get(hash) ?? [];
    const name = hash.slice(0, 12);
    const inOrder = LIFE.map((type) => lane.find(({ eventType }) => eventType === type)?.eventId ?? `no ${type}`);
    const checked = checkLane(inOrder, lane);
    faults.push(...checked.faults.map((fault) => `${name}: ${fault}`));
    // The last effect is what the receiver believes.
    const applied = lane.filter(({ status }) => status === 200).sort((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0));
    repeated += applied.length - new Set(applied.map(({ eventId }) => eventId)).size;
    const last = applied.at(-1);
    const believed = last === undefined ? "nothing" : stateAfter(last);
    if (believed !== decision) faults.push(`${name}: the receiver believes ${believed}, it was ${decision}`);
  }
  const answered = (status: number): number => posts.filter((post) => post.status === status).length;
  const { length: count } = posts;
  return {
    requests: tracked.length,
    events: LIFE.length * tracked.length,
    posts: count,
    errors: answered(500) + answered(503),
    late: posts.filter(({ beganAt, endedAt = 0 }) => endedAt - beganAt > 400).length,
    notYetKnown: answered(404),
    repeated,
    faults,
  };
}

const stateAfter = ({ eventType, body }: Post): string =>
  decisionSchema.parse(JSON.parse(body)).data.decision ?? eventType;
