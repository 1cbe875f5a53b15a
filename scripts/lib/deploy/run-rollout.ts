/** Carries a rollout's plan out: every step is written down before the next, so that what was interrupted is continued or returned. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as z from "zod";
import type { WorkerName } from "../../../src/platform/secrets.ts";
import { writeAtomically } from "../atomic-file.ts";
import { type BuildFacts, projectRoot } from "../bundle.ts";
import { Failure, messageOf } from "../fail.ts";
import {
  deployTriggers,
  deployWhole,
  listVersions,
  objectMigrationOf,
  type Platform,
  type RemoteEnvironment,
  setShares,
  sharesNow,
  uploadVersion,
} from "../platform.ts";
import { commitAt, overrideOf, readingNow, smokeFaults } from "./look.ts";
import {
  applyEvent,
  faultsBetween,
  type Limits,
  nextAction,
  ORDER,
  PERCENTAGES,
  type Percentage,
  type Rollout,
  type RolloutAction,
  type RolloutEvent,
  shareDone,
} from "./rollout.ts";
import type { DeploySite } from "./site.ts";

export interface Pace {
  /** How long each share of requests is watched. */
  readonly watchMs: number;
  readonly everyMs: number;
  /** Until a deployment is known everywhere. */
  readonly settleMs: number;
}

export const PACE: Pace = { watchMs: 300_000, everyMs: 15_000, settleMs: 15_000 };

export interface RolloutParts {
  readonly platform: Platform;
  readonly environment: RemoteEnvironment;
  readonly site: DeploySite;
  readonly facts: BuildFacts;
  readonly pace: Pace;
  readonly limits: Limits;
  /** As it is deployed, by worker: the key of a version override. */
  readonly deployedName: (worker: WorkerName) => string;
  /** Of the configuration's newest Durable Object migration; undefined: none. */
  readonly objectMigration: (worker: WorkerName) => string | undefined;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly say: (share: number, line: string) => void;
  readonly save: (rollout: Rollout) => void;
  /** Before each step onward and each look at a share; what is Interrupted stands where it was written down. */
  readonly heed?: () => void;
}

/** Somebody else takes over what this process did so far. */
export class Interrupted extends Failure {}

const percentage = z.union(PERCENTAGES.map((value) => z.literal(value)));
const outcome = z.enum(["done", "returned"]);
const worker = z.enum(["itrans-core", "itrans-relay", "medlink-hub"]);
const rolloutSchema = z.object({
  environment: z.string(),
  commit: z.string(),
  startedAt: z.string(),
  workers: z.array(
    z.object({
      worker,
      former: z.string().nullable().exactOptional(),
      next: z.string().exactOptional(),
      set: percentage.exactOptional(),
      passed: percentage.exactOptional(),
      triggers: z.boolean().exactOptional(),
      returned: z.boolean().exactOptional(),
    }),
  ),
  halted: z.object({ at: z.string(), worker, because: z.array(z.string()) }).exactOptional(),
  ended: z.object({ at: z.string(), outcome }).exactOptional(),
});

export const rolloutPath = (environment: string, directory = join(projectRoot, ".local/deploy")): string =>
  join(directory, `${environment}.json`);

export function readRollout(path: string): Rollout | undefined {
  if (!existsSync(path)) return undefined;
  const parsed = rolloutSchema.safeParse(JSON.parse(readFileSync(path, "utf8")));
  if (!parsed.success) throw new Failure(`${path} is not a rollout's state; move it away once nothing is under way`);
  return parsed.data;
}

export function saveRollout(path: string, rollout: Rollout): void {
  mkdirSync(dirname(path), { recursive: true });
  writeAtomically(path, `${JSON.stringify(rollout, null, 2)}\n`);
}

/**
 * Until it ended: done, or returned to the former versions. A platform or a check that fails halts it; only a return that fails
 * throws, and may be tried again.
 * @throws Interrupted when `heed` does.
 */
export async function runRollout(parts: RolloutParts, begun: Rollout): Promise<Rollout> {
  let rollout = begun;
  const apply = (event: RolloutEvent): void => {
    rollout = applyEvent(rollout, event);
    parts.save(rollout);
  };
  parts.save(rollout);
  for (;;) {
    const action = nextAction(rollout);
    if (action.type === "ended") return rollout;
    const goesBack = action.type === "return" || action.type === "end";
    if (!goesBack) parts.heed?.();
    try {
      apply(await carryOut(parts, rollout, action));
    } catch (error) {
      if (goesBack || error instanceof Interrupted) throw error;
      apply({
        type: "halted",
        worker: action.worker,
        because: messageOf(error).split("\n"),
        at: new Date(parts.now()).toISOString(),
      });
      parts.say(shareDone(rollout), `halted at ${action.worker}: ${messageOf(error)}`);
    }
  }
}

async function carryOut(
  parts: RolloutParts,
  rollout: Rollout,
  action: Exclude<RolloutAction, { type: "ended" }>,
): Promise<RolloutEvent> {
  const { platform, environment, facts, say } = parts;
  const share = shareDone(rollout);
  if (action.type === "end") return { type: "ended", outcome: action.outcome, at: new Date(parts.now()).toISOString() };
  const name = action.worker;
  const own = rollout.workers.find((one) => one.worker === name);
  const { former = null, next = "" } = own ?? {};
  switch (action.type) {
    case "look":
      return { type: "looked", worker: name, former: await formerOf(parts, name) };
    case "upload": {
      say(share, `${name}: uploading ${facts.commit.slice(0, 12)}`);
      const uploaded = await uploadVersion(platform, name, environment, facts);
      const known = await listVersions(platform, name, environment);
      if (!known.some(({ versionId }) => versionId === uploaded))
        throw new Failure(`version ${uploaded} is not listed`);
      return { type: "uploaded", worker: name, next: uploaded };
    }
    case "first":
      say(share, `${name}: its first deploy, all requests at once`);
      return { type: "uploaded", worker: name, next: await deployWhole(platform, name, environment, facts) };
    case "set": {
      say(share, `${name}: ${action.percentage} % to ${next.slice(0, 8)}`);
      const rest = 100 - action.percentage;
      const shares = [
        { versionId: next, percentage: action.percentage },
        ...(former === null || rest === 0 ? [] : [{ versionId: former, percentage: rest }]),
      ];
      await setShares(platform, name, environment, shares, `${action.percentage} % of ${facts.commit.slice(0, 12)}`);
      return { type: "set", worker: name, percentage: action.percentage };
    }
    case "check":
      await check(parts, name, next, action.percentage, (line) => say(share, line));
      return { type: "checked", worker: name, percentage: action.percentage };
    case "triggers":
      say(share, `${name}: crons and queues`);
      await deployTriggers(platform, name, environment);
      return { type: "triggers", worker: name };
    case "return": {
      if (former === null) {
        say(share, `${name}: there was no version before; ${next.slice(0, 8)} stays`);
        return { type: "returned", worker: name };
      }
      say(share, `${name}: back to ${former.slice(0, 8)}`);
      await returnTo(parts, name, former, rollout.commit);
      return { type: "returned", worker: name };
    }
  }
}

async function formerOf(parts: RolloutParts, name: WorkerName): Promise<string | null> {
  const { platform, environment } = parts;
  const shares = await sharesNow(platform, name, environment);
  if (shares === undefined || shares.length === 0) return null;
  const [only, second] = shares.toSorted((a, b) => b.percentage - a.percentage);
  if (second !== undefined && second.percentage > 0)
    throw new Failure(`${name} is between two versions: finish or return that deploy first`);
  if (only === undefined) return null;
  const wanted = parts.objectMigration(name);
  const there = await objectMigrationOf(platform, name, environment, only.versionId);
  if (there !== undefined && wanted !== undefined && there !== wanted) {
    throw new Failure(
      `${name}: Durable Object migration ${wanted} is not deployed (${there} is): it can be neither gradual nor taken back, so deploy it alone first, with --durable-objects`,
    );
  }
  return only.versionId;
}

/** Puts a version back in service alone and sees that another commit than the one taken back answers. */
async function returnTo(parts: RolloutParts, name: WorkerName, former: string, taken: string): Promise<void> {
  const { platform, environment, site, pace } = parts;
  await setShares(
    platform,
    name,
    environment,
    [{ versionId: former, percentage: 100 }],
    `back from ${taken.slice(0, 12)}`,
  );
  const until = parts.now() + pace.settleMs;
  for (;;) {
    const shares = (await sharesNow(platform, name, environment)) ?? [];
    const alone = shares.every(({ versionId, percentage: of }) => versionId === former || of === 0);
    const answers = await commitAt(site, name).catch(() => undefined);
    if (alone && answers !== undefined && answers !== taken) return;
    // Two versions of one commit can not be told apart from outside; the platform's word counts.
    if (alone && parts.now() > until) return;
    if (parts.now() > until) throw new Failure(`${name} does not answer from ${former.slice(0, 8)}; try again`);
    await parts.sleep(Math.min(1_000, pace.settleMs / 4));
  }
}

async function check(
  parts: RolloutParts,
  name: WorkerName,
  versionId: string,
  at: Percentage,
  say: (line: string) => void,
): Promise<void> {
  const { site, pace, limits } = parts;
  const headers = overrideOf(parts.deployedName(name), versionId);
  const { commit } = parts.facts;
  const settled = parts.now() + pace.settleMs;
  for (;;) {
    const answered = await commitAt(site, name, headers).catch(() => undefined);
    if (answered === commit || parts.now() > settled) break;
    await parts.sleep(Math.min(1_000, pace.settleMs / 4));
  }
  const before = await readingNow(site, name);
  const began = parts.now();
  const length = at === 0 ? 0 : pace.watchMs;
  for (;;) {
    const faults = [
      ...(await smokeFaults(site, name, headers, commit)),
      ...faultsBetween(before, await readingNow(site, name), limits),
    ];
    if (faults.length > 0) throw new Failure(faults.join("\n"));
    const passed = parts.now() - began;
    if (passed >= length) return;
    say(`${name}: ${at} %, watched ${Math.round(passed / 1_000)} of ${Math.round(length / 1_000)} s, all well`);
    await parts.sleep(Math.min(pace.everyMs, length - passed));
    parts.heed?.();
  }
}

/** What `deploy:rollback` does to a rollout that is over or stands still: halted by a person, it returns everything. */
export function haltedByHand(rollout: Rollout, because: string, at: string): Rollout {
  const { ended: _, ...open } = rollout;
  const last = rollout.workers.findLast(({ set, returned }) => set !== undefined && returned !== true);
  return {
    ...open,
    halted: open.halted ?? { at, worker: last?.worker ?? ORDER[0] ?? "itrans-core", because: [because] },
  };
}
