import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import {
  MISBEHAVIOURS,
  type Misbehaviour,
  type Receiver,
  startReceiver,
} from "../../../scripts/lib/certify/receiver.ts";
import { markdownOf, writeReport } from "../../../scripts/lib/certify/report.ts";
import { Certification, SCENARIOS, type ScenarioName } from "../../../scripts/lib/certify/scenarios.ts";

const SECRET = "certification-secret-for-tests-5d21";

const receivers: Receiver[] = [];
afterEach(async () => {
  for (const receiver of receivers.splice(0)) await receiver.close();
});

async function certify(
  misbehave: readonly Misbehaviour[],
  only: readonly ScenarioName[],
  options: { readonly control?: boolean; readonly loadMs?: number } = {},
) {
  const receiver = await startReceiver({ port: 0, secret: SECRET, misbehave });
  receivers.push(receiver);
  const said: string[] = [];
  const certification = new Certification({
    url: receiver.url,
    secret: SECRET,
    controlUrl: options.control === false ? undefined : receiver.controlUrl,
    insurerAddress: "0x00000000000000000000000000000000000a11ce",
    timeoutMs: 8_000,
    loadMs: options.loadMs ?? 1_000,
    loadPerMinute: 3_000,
    say: (line) => said.push(line),
  });
  return { results: await certification.run(only), said };
}

test.each([true, false])("a receiver that does as it should passes all nine (control: %s)", async (control) => {
  const { results, said } = await certify([], SCENARIOS, { control });
  expect(results.filter(({ passed }) => !passed)).toEqual([]);
  expect(results.map(({ name }) => name)).toEqual([...SCENARIOS]);
  expect(results.at(-1)?.figures).toMatchObject({ failed: 0, posts: expect.any(Number) });
  expect(said).toHaveLength(9);
});

const FAILS: readonly (readonly [Misbehaviour, ScenarioName])[] = [
  ["refuse-submitted", "SUBMITTED is received"],
  ["accept-old", "the signature is verified"],
  ["apply-duplicates", "a duplicate is answered 200 without effect"],
  ["refuse-duplicates", "a duplicate is answered 200 without effect"],
  ["accept-any-secret", "a bad signature is refused"],
  ["refuse-acknowledged", "acknowledge emits ACKNOWLEDGED"],
  ["refuse-approved", "adjudicate APPROVED emits ADJUDICATED"],
  ["refuse-denied", "adjudicate DENIED emits ADJUDICATED"],
  ["answer-500", "load without error, p99 under 5 s"],
  ["slow", "load without error, p99 under 5 s"],
];

test.each(FAILS)("a receiver that does %s fails: %s", async (misbehaviour, scenario) => {
  const { results } = await certify([misbehaviour], [scenario], { loadMs: 500 });
  expect(results).toMatchObject([{ name: scenario, passed: false }]);
  expect(results[0]?.findings.some((line) => line.startsWith("not: "))).toBe(true);
});

test("a receiver that takes an event it answered 503 to for a duplicate fails the retries, for it had no effect", async () => {
  const { results } = await certify(["remember-failed"], ["503 is retried with backoff"]);
  expect(results).toMatchObject([{ passed: false }]);
});

test("every misbehaviour is one that some scenario catches", () => {
  const caught = new Set<string>([...FAILS.map(([name]) => name), "remember-failed"]);
  expect(Object.keys(MISBEHAVIOURS).filter((name) => !caught.has(name))).toEqual([]);
});

test("the report says the same in JSON and in Markdown, and never the secret", async () => {
  const { results } = await certify(
    ["refuse-denied"],
    ["SUBMITTED is received", "adjudicate DENIED emits ADJUDICATED"],
  );
  const directory = mkdtempSync(join(tmpdir(), "certify-"));
  const report = {
    url: "https://hooks.insurer.ca/x",
    at: "2026-11-22T12:00:00.000Z",
    version: "1",
    passed: false,
    scenarios: results,
  };
  const { json, markdown } = writeReport(directory, report);
  expect(JSON.parse(readFileSync(json, "utf8"))).toEqual(report);
  expect(readFileSync(markdown, "utf8")).toBe(markdownOf(report));
  expect(markdownOf(report)).toContain("| 2 | adjudicate DENIED emits ADJUDICATED | **fail** |");
  expect(readFileSync(json, "utf8") + readFileSync(markdown, "utf8")).not.toContain(SECRET);
  rmSync(directory, { recursive: true });
});
