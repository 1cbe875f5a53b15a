/**
 * The pace at which the payer's operator is called, as the operator sees it: real workers in real workerd, three of them, and the
 * simulated operator as a process of its own. One piece is five minutes of undisturbed work; in the other workerd is restarted
 * again and again.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Log, LogLevel, Miniflare, type MiniflareOptions } from "miniflare";
import * as z from "zod";
import { bundleWorker, projectRoot } from "../../../scripts/lib/bundle.ts";
import { call, summaryOf } from "../../../scripts/lib/http.ts";
import type { LongSuite } from "../../../scripts/lib/long-suite.ts";
import { seededRandom } from "../../../scripts/lib/operator-simulator/behaviour.ts";
import { claimPorts } from "../../../scripts/lib/ports.ts";
import { endProcess } from "../../../scripts/lib/processes.ts";
import { workerSite } from "../../../scripts/lib/stack.ts";

const LIMIT = 60;
const LEAST = 57;
const MINUTE = 60_000;
const CALLERS = ["owner", "caller-a", "caller-b"] as const;
const SLOTS_A_CALLER = 8;
const CLINICS = 5;
const MAX_WAIT_MS = 3_000;
const RESTART_EVERY_MS = 20_000;
const SECRET = "operator-rate-secret-2f6c8a1e94d7b035";
const CONTROL = "operator-rate-control";

const statusSchema = z.object({
  calls: z.int(),
  violations: z.int(),
  badSignatures: z.int(),
  mishaps: z.int(),
  arrivals: z.array(z.number()),
});
const answerSchema = z.looseObject({ kind: z.string(), retryAfterMs: z.number().optional() });
const listeningSchema = z.looseObject({ event: z.literal("listening"), url: z.string() });

const countsSchema = z.object({
  minutes: z.number(),
  restarts: z.int(),
  arrivals: z.int(),
  most: z.int(),
  fewest: z.int().nullable(),
  violations: z.int(),
  outcomes: z.record(z.string(), z.int()),
});
type Counts = z.output<typeof countsSchema>;

/** Most in any rolling minute: arrivals less than a minute apart. */
export function mostInAMinute(times: readonly number[]): number {
  let most = 0;
  let first = 0;
  for (const [last, at] of times.entries()) {
    while (at - (times[first] ?? at) >= MINUTE) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

/** Fewest in any whole minute between the first arrival and the last: one begins just after each. */
export function fewestInAMinute(times: readonly number[]): number | null {
  let fewest: number | null = null;
  let last = 0;
  for (const [index, from] of times.entries()) {
    while ((times[last] ?? Number.POSITIVE_INFINITY) <= from + MINUTE) last += 1;
    if (last >= times.length) break;
    const held = last - index - 1;
    fewest = Math.min(fewest ?? held, held);
  }
  return fewest;
}

async function startOperator(store: string): Promise<{ readonly child: ChildProcess; readonly url: string }> {
  const behaviour = JSON.stringify({ serverErrors: 0.05, timeouts: 0.05, timeoutMs: 30_000, late: 0.2 });
  const child = spawn(
    process.execPath,
    [join(projectRoot, "scripts/operator-simulator.ts"), "--port", "0", "--store", store, "--behaviour", behaviour],
    {
      env: { PATH: process.env.PATH, OPERATOR_HMAC_SECRET: SECRET, OPERATOR_CONTROL_TOKEN: CONTROL },
      stdio: ["ignore", "pipe", "inherit", "ipc"],
    },
  );
  const url = await new Promise<string>((resolve, reject) => {
    child.once("exit", (code) => reject(new Error(`the operator ended with ${code}`)));
    if (child.stdout === null) return;
    createInterface(child.stdout).on("line", (line) => {
      const parsed = listeningSchema.safeParse(JSON.parse(line));
      if (parsed.success) resolve(parsed.data.url);
    });
  });
  return { child, url };
}

async function run(
  seed: number,
  dataDir: string,
  minutes: number,
  restarting: boolean,
  say: (text: string) => void,
): Promise<Counts> {
  const random = seededRandom(seed);
  const operator = await startOperator(join(dataDir, "books.db"));
  const script = await bundleWorker("test/support/operator-rate/caller.worker.ts");
  const ports = await claimPorts(Object.fromEntries(CALLERS.map((name) => [name, 0])));
  const { compatibilityDate, compatibilityFlags } = workerSite("itrans-core").options;
  const optionsOf = (generation: number): MiniflareOptions => ({
    workers: CALLERS.map((name) => ({
      name,
      compatibilityDate,
      compatibilityFlags,
      modules: [{ type: "ESModule", path: `${name}.js`, contents: script }],
      bindings: {
        ENVIRONMENT: "development",
        OPERATOR_API_URL: operator.url,
        OPERATOR_HMAC_SECRET: SECRET,
        OPERATOR_TIMEOUT_MS: "5000",
        GENERATION: String(generation),
      },
      durableObjects: {
        OPERATOR_LIMITER: {
          className: "OperatorLimiter",
          useSQLite: true,
          ...(name === "owner" ? {} : { scriptName: "owner" }),
        },
      },
      unsafeDirectSockets: [{ host: "127.0.0.1", port: ports[name] ?? 0 }],
    })),
    host: "127.0.0.1",
    port: 0,
    cf: false,
    log: new Log(LogLevel.NONE),
    durableObjectsPersist: join(dataDir, "do"),
  });
  const miniflare = new Miniflare(optionsOf(0));
  await miniflare.ready;

  const outcomes: Record<string, number> = {};
  const until = Date.now() + minutes * MINUTE + 2_000;
  let sent = 0;
  /** Never out of work: the next call follows the answer, or the wait that it asks for. */
  const work = async (caller: (typeof CALLERS)[number], slot: number): Promise<void> => {
    while (Date.now() < until) {
      const drawn = random();
      const operation = drawn < 0.6 ? "send" : drawn < 0.9 ? "find" : "page";
      sent += operation === "send" ? 1 : 0;
      const refId = `stl_${seed}_${operation === "send" ? sent : Math.ceil(random() * sent)}`;
      const url = `http://127.0.0.1:${ports[caller]}/${operation}/${refId}/clinic-${slot % CLINICS}`;
      let kind = "interrupted";
      let waitMs = 100;
      try {
        const answer = await call(url, { method: "POST", timeoutMs: 60_000 });
        const parsed = answerSchema.parse(answer.body);
        kind = parsed.kind;
        waitMs = Math.min(parsed.retryAfterMs ?? 0, MAX_WAIT_MS);
      } catch {
        // workerd is being restarted.
      }
      outcomes[kind] = (outcomes[kind] ?? 0) + 1;
      await sleep(waitMs);
    }
  };
  let restarts = 0;
  const restart = async (): Promise<void> => {
    while (restarting && Date.now() + RESTART_EVERY_MS < until) {
      await sleep(RESTART_EVERY_MS * (0.5 + random() / 2));
      restarts += 1;
      await miniflare.setOptions(optionsOf(restarts));
    }
  };
  const tell = async (): Promise<void> => {
    for (let minute = 1; minute <= minutes; minute++) {
      await sleep(MINUTE);
      const { arrivals } = await statusOf();
      say(`minute ${minute} of ${minutes}: ${arrivals.length} calls, at most ${mostInAMinute(arrivals)} in any minute`);
    }
  };
  const statusOf = async () => {
    const answer = await call(`${operator.url}/control/status`, { headers: { "x-control-token": CONTROL } });
    if (answer.status !== 200) throw new Error(summaryOf(answer));
    return statusSchema.parse(answer.body);
  };
  try {
    const slots = CALLERS.flatMap((caller) => Array.from({ length: SLOTS_A_CALLER }, (_, slot) => work(caller, slot)));
    await Promise.all([...slots, restart(), tell()]);
    const { arrivals, violations } = await statusOf();
    return {
      minutes,
      restarts,
      arrivals: arrivals.length,
      most: mostInAMinute(arrivals),
      fewest: fewestInAMinute(arrivals),
      violations,
      outcomes,
    };
  } finally {
    await miniflare.dispose();
    if (operator.child.pid !== undefined) await endProcess(operator.child.pid, 5_000);
  }
}

const kindOf = (seed: number): "undisturbed" | "restarted" => (seed % 2 === 0 ? "undisturbed" : "restarted");

export const operatorRateSuite: LongSuite = {
  name: "operator-rate",
  about: `five minutes of calls to the payer's operator, ${LEAST} to ${LIMIT} in any; two with restarts`,
  pieces: 2,
  async run({ seed, dataDir, say }) {
    const restarting = kindOf(seed) === "restarted";
    const counts = await run(seed, dataDir, restarting ? 2 : 5, restarting, say);
    const faults: string[] = [];
    if (counts.most > LIMIT) faults.push(`${counts.most} calls arrived within a minute`);
    if (counts.violations > 0) faults.push(`the operator refused ${counts.violations} calls as too many`);
    if (!restarting && (counts.fewest ?? 0) < LEAST) faults.push(`only ${counts.fewest} calls arrived in a minute`);
    if (restarting && counts.restarts === 0) faults.push("nothing was restarted");
    return { faults, counts: { kind: kindOf(seed), ...counts } };
  },
  summarize: (pieces) =>
    Object.fromEntries(
      pieces.map((piece) => {
        const { kind, ...counts } = countsSchema.extend({ kind: z.string() }).parse(piece);
        return [kind, counts];
      }),
    ),
};
