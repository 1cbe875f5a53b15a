import { describe, expect, it } from "vitest";
import {
  afterSend,
  dueOf,
  evaluatedAtOf,
  firstWatch,
  stepWatch,
  type WatchState,
} from "../../../src/medlink/watch/watch.ts";

const MINUTE = 60_000;
const SILENT = 5 * MINUTE;
const AUDIENCE = { contacts: [], pagedFrom: "critical" } as const;

/** A look a minute; an undefined answer is none. */
const play = (
  evaluatedAt: readonly (number | undefined)[],
  from: WatchState = firstWatch(0),
  startAt = 0,
): WatchState =>
  evaluatedAt.reduce<WatchState>(
    (state, answer, minute) => stepWatch(state, answer, startAt + minute * MINUTE, SILENT, AUDIENCE, 1),
    from,
  );

const kinds = ({ waiting }: WatchState) =>
  waiting.filter(({ notification }) => notification.channel === "slack").map(({ notification }) => notification.kind);

describe("the dead man's switch", () => {
  it("says nothing while the evaluator is heard of, or was not for a short time", () => {
    const heard = Array.from({ length: 20 }, (_, minute) => minute * MINUTE);
    expect(play(heard).waiting).toEqual([]);
    expect(play([0, undefined, undefined, undefined, undefined, undefined]).waiting).toEqual([]);
  });

  it("tells every channel once when core says an old time, and once that it ended", () => {
    const silent = play(Array.from({ length: 9 }, () => 0));
    expect(silent.alert.phase).toBe("open");
    expect(kinds(silent)).toEqual(["opened"]);
    expect(silent.waiting.map(({ notification }) => notification.channel)).toEqual(["pagerduty", "slack", "email"]);
    const back = play([9 * MINUTE], silent, 9 * MINUTE);
    expect(kinds(back)).toEqual(["opened", "resolved"]);
    expect(back.alert.phase).toBe("quiet");
  });

  it("takes no answer for silence, and an evaluator that was never heard of too, after its time", () => {
    expect(kinds(play(Array.from({ length: 7 }, () => undefined)))).toEqual(["opened"]);
    expect(evaluatedAtOf('{"status":"ok"}')).toBeUndefined();
    expect(evaluatedAtOf('{"alerts":{"evaluatedAt":null}}')).toBeUndefined();
    expect(evaluatedAtOf("no JSON")).toBeUndefined();
    expect(evaluatedAtOf('{"alerts":{"evaluatedAt":"1970-01-01T00:01:00.000Z"}}')).toBe(MINUTE);
  });

  it("is escalated while it lasts", () => {
    expect(kinds(play(Array.from({ length: 45 }, () => undefined)))).toEqual(["opened", "escalated", "escalated"]);
  });

  it("sends one after another on each channel, again what failed, and gives up in the end", () => {
    let state = play([...Array.from({ length: 7 }, () => undefined), 7 * MINUTE]);
    const now = 8 * MINUTE;
    expect(dueOf(state, now).map(({ notification }) => notification.kind)).toEqual(["opened", "opened", "opened"]);
    const [first] = dueOf(state, now);
    const id = first?.notification.id ?? "";
    state = afterSend(state, id, "again", now);
    expect(dueOf(state, now).map(({ notification }) => notification.channel)).toEqual(["slack", "email"]);
    expect(dueOf(state, now + MINUTE).map(({ notification }) => notification.id)).toContain(id);
    for (let attempt = 0; attempt < 11; attempt++) state = afterSend(state, id, "again", now);
    expect(state.waiting.some(({ notification }) => notification.id === id)).toBe(false);
  });
});
