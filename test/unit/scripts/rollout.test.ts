import { describe, expect, it } from "vitest";
import { unsafeReasons } from "../../../scripts/lib/deploy/migration-safety.ts";
import {
  applyEvent,
  DEFAULT_LIMITS,
  faultsBetween,
  newRollout,
  nextAction,
  ORDER,
  type Reading,
  type Rollout,
  type RolloutAction,
  type RolloutEvent,
  shareDone,
} from "../../../scripts/lib/deploy/rollout.ts";
import { chooseRoute } from "../../../scripts/lib/deploy/router.ts";

const AT = "2026-11-22T10:00:00.000Z";
const begun = (): Rollout => newRollout("staging", "c".repeat(40), AT);

/** What became of an action when all is well. */
function well(action: RolloutAction, former: string | null = "old"): RolloutEvent {
  switch (action.type) {
    case "look":
      return { type: "looked", worker: action.worker, former };
    case "upload":
    case "first":
      return { type: "uploaded", worker: action.worker, next: "new" };
    case "set":
      return { type: "set", worker: action.worker, percentage: action.percentage };
    case "check":
      return { type: "checked", worker: action.worker, percentage: action.percentage };
    case "triggers":
      return { type: "triggers", worker: action.worker };
    case "return":
      return { type: "returned", worker: action.worker };
    case "end":
    case "ended":
      return { type: "ended", outcome: action.outcome, at: AT };
  }
}

/** @param haltAt the action, counted from 0, in whose place a fault is seen. */
function play(haltAt = Number.POSITIVE_INFINITY, former: string | null = "old") {
  const words: string[] = [];
  let rollout = begun();
  for (let i = 0; i < 100; i++) {
    const action = nextAction(rollout);
    if (action.type === "ended") return { words, rollout };
    const of = "worker" in action ? ` ${action.worker.split("-")[1]}` : "";
    words.push(`${action.type}${of}${"percentage" in action ? ` ${action.percentage}` : ""}`);
    const event: RolloutEvent =
      i === haltAt && "worker" in action
        ? { type: "halted", worker: action.worker, because: ["planted"], at: AT }
        : well(action, former);
    // Written down and read again, as an interrupted rollout is.
    rollout = JSON.parse(JSON.stringify(applyEvent(rollout, event)));
  }
  throw new Error("it does not end");
}

describe("a rollout", () => {
  it("goes core, relay, hub, each at 0 % by name, then 5, 25, 50 and 100 %, checked at every share", () => {
    const { words, rollout } = play();
    const of = (name: string) => [
      `look ${name}`,
      `upload ${name}`,
      ...[0, 5, 25, 50, 100].flatMap((p) => [`set ${name} ${p}`, `check ${name} ${p}`]),
      `triggers ${name}`,
    ];
    expect(words).toEqual([...of("core"), ...of("relay"), ...of("hub"), "end"]);
    expect(rollout.ended?.outcome).toBe("done");
    expect(shareDone(rollout)).toBe(1);
  });

  const { words: all } = play();
  it.each(all.slice(0, -1).map((word, index) => [word, index] as const))(
    "halted at '%s' returns what requests could reach, the last first, and nothing else",
    (_, haltAt) => {
      const { words, rollout } = play(haltAt);
      const reached = ["core", "relay", "hub"].filter((name) => words.slice(0, haltAt).includes(`set ${name} 0`));
      expect(words.slice(haltAt + 1)).toEqual([...reached.toReversed().map((name) => `return ${name}`), "end"]);
      expect(rollout.ended?.outcome).toBe("returned");
    },
  );

  it("of a worker that was never deployed is all at once", () => {
    expect(play(undefined, null).words.slice(0, 5)).toEqual([
      "look core",
      "first core",
      "set core 100",
      "check core 100",
      "triggers core",
    ]);
  });

  it("of some workers keeps their order", () => {
    expect(newRollout("staging", "c", AT, ["medlink-hub", "itrans-core"]).workers.map(({ worker }) => worker)).toEqual([
      "itrans-core",
      "medlink-hub",
    ]);
    expect(ORDER).toHaveLength(3);
  });
});

const reading = (requests: number, serverErrors = 0, slow = 0, deadLetters = 0): Reading => ({
  requests,
  serverErrors,
  deadLetters,
  buckets: [
    [0.1, requests - slow],
    [0.4, requests - slow],
    [1, requests],
    [Number.POSITIVE_INFINITY, requests],
  ],
});

describe("what speaks against going on", () => {
  it.each([
    ["nothing", reading(100), reading(200), 0],
    ["errors over 1 %", reading(100), reading(200, 2), 1],
    ["errors of before do not count", reading(100, 50), reading(200, 50), 0],
    ["too few requests say nothing", reading(100), reading(110, 9, 9), 0],
    ["a slow p95", reading(100), reading(200, 0, 6), 1],
    ["a dead letter", reading(100), reading(100, 0, 0, 1), 1],
  ] as const)("%s", (_, before, after, faults) => {
    expect(faultsBetween(before, after, DEFAULT_LIMITS)).toHaveLength(faults);
  });
});

describe("a migration", () => {
  const file = (up: string, down: string | undefined) => ({ name: "0099_x.up.sql", up, down });
  it("that only adds is safe, so is one that rebuilds a table under its name", () => {
    expect(unsafeReasons(file("CREATE TABLE a (b TEXT);", "DROP TABLE a;"))).toEqual([]);
    const rebuilt = "CREATE TABLE a2 (b TEXT); DROP TABLE a; ALTER TABLE a2 RENAME TO a;";
    expect(unsafeReasons(file(rebuilt, rebuilt))).toEqual([]);
  });

  it.each([
    [
      "takes a column away",
      file("ALTER TABLE requests DROP COLUMN kind;", "ALTER TABLE requests ADD COLUMN kind TEXT;"),
    ],
    ["takes a table away", file("DROP TABLE outbox;", "CREATE TABLE outbox (x);")],
    ["has no way back", file("CREATE TABLE a (b TEXT);", undefined)],
    ["says so", file("-- rollback: unsafe because rows change meaning\nUPDATE a SET b = 1;", "SELECT 1;")],
    [
      "would drop the ledger's rows on the way back",
      file("ALTER TABLE requests ADD COLUMN x TEXT;", "ALTER TABLE requests DROP COLUMN x;"),
    ],
  ])("that %s is not safe", (_, migration) => {
    expect(unsafeReasons(migration)).toHaveLength(1);
  });
});

describe("the router of a rehearsal", () => {
  const routes = [
    { versionId: "new", port: 1, percentage: 25 },
    { versionId: "old", port: 2, percentage: 75 },
  ];
  it("follows the override header for its own worker, and the percentages otherwise", () => {
    expect(chooseRoute(routes, 'core-staging="old", other="new"', "core-staging", 3)?.port).toBe(2);
    expect(chooseRoute(routes, 'other="old"', "core-staging", 3)?.port).toBe(1);
    expect(chooseRoute(routes, 'core-staging="gone"', "core-staging", 99)?.port).toBe(2);
    const shares = Array.from({ length: 100 }, (_, i) => chooseRoute(routes, undefined, "core-staging", i)?.port);
    expect(shares.filter((port) => port === 1)).toHaveLength(25);
  });
});
