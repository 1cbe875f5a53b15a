import { describe, expect, test } from "vitest";
import { cutObjects, isWanted, linesOfTail, readEvent, showEvent, sinceOf } from "../../../scripts/lib/log-lines.ts";
import { formatLogLine } from "../../../src/platform/log.ts";

const AT = "2026-01-31T12:00:00.000Z";
const eventOf = (event: string, fields: Parameters<typeof formatLogLine>[3] = {}, level: "info" | "error" = "info") => {
  const read = readEvent(formatLogLine("itrans-core", level, event, fields, AT));
  if (read === undefined) throw new Error("the line cannot be read");
  return read;
};

describe("log lines", () => {
  test("of the workers are read, and what the runtime says is passed over", () => {
    expect(eventOf("request", { route: "/health", status: 200 })).toMatchObject({ event: "request", status: 200 });
    for (const line of ["workerd/server.c++: warning", "{}", '"text"', ""]) expect(readEvent(line)).toBeUndefined();
  });

  test("are chosen by time, level, worker, name and correlation id", () => {
    const event = eventOf("relay.delivered", { correlationId: "abc" });
    const wanted = (filter: object) => isWanted(event, { least: "debug", ...filter });
    expect(wanted({})).toBe(true);
    expect([wanted({ since: Date.parse(AT) }), wanted({ since: Date.parse(AT) + 1 })]).toEqual([true, false]);
    expect([wanted({ least: "info" }), wanted({ least: "error" })]).toEqual([true, false]);
    expect([wanted({ worker: "itrans-core" }), wanted({ worker: "medlink-hub" })]).toEqual([true, false]);
    expect([wanted({ event: "relay.*" }), wanted({ event: "relay" })]).toEqual([true, false]);
    expect([wanted({ correlationId: "abc" }), wanted({ correlationId: "x" })]).toEqual([true, false]);
  });

  test("of EDI are those named so, and requests to its routes", () => {
    const isEdi = (event: string, route?: string) =>
      isWanted(eventOf(event, route === undefined ? {} : { route }), { least: "debug", edi: true });
    expect([isEdi("edi.sent"), isEdi("request", "/api/claims/{claimId}/edi"), isEdi("request", "/fhir/Claim")]).toEqual(
      [true, true, true],
    );
    expect([isEdi("request", "/api/claims"), isEdi("sweep")]).toEqual([false, false]);
  });

  test("are shown with their fields", () => {
    expect(showEvent(eventOf("cron", { durationMs: 7 }))).toBe(`${AT} info  itrans-core  cron durationMs=7`);
  });
});

test("a time is an age or RFC 3339, and nothing else", () => {
  const now = Date.parse(AT);
  expect([sinceOf("15m", now), sinceOf("2h", now)]).toEqual([now - 900_000, now - 7_200_000]);
  expect([sinceOf("1 hour ago", now), sinceOf("15 minutes", now)]).toEqual([now - 3_600_000, now - 900_000]);
  expect(sinceOf(AT, 0)).toBe(now);
  expect(() => sinceOf("yesterday", now)).toThrow("--since");
  expect(() => sinceOf("15 miles ago", now)).toThrow("--since");
});

test("the objects of a tail are cut from whatever pieces they come in", () => {
  const line = formatLogLine("medlink-hub", "info", "request", { reason: 'a "}" in it' }, AT);
  const object = JSON.stringify({ outcome: "ok", logs: [{ message: [line], level: "log" }] }, null, 2);
  const stream = `${object}\n${object}`;
  let rest = "";
  const lines: string[] = [];
  for (let i = 0; i < stream.length; i += 7) {
    const cut = cutObjects(rest + stream.slice(i, i + 7));
    rest = cut.rest;
    for (const one of cut.objects) lines.push(...linesOfTail(one));
  }
  expect(lines).toEqual([line, line]);
});
