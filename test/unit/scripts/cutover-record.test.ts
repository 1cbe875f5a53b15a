/** Which of the records that are kept under one folder a command is about. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Cutover, StepId } from "../../../scripts/lib/cutover/plan.ts";
import { newestCutover, rehearsalFolder, writeCutover } from "../../../scripts/lib/cutover/run.ts";
import { gather, liveSince } from "../../../scripts/lib/hypercare/gather.ts";

const LIVE = "2026-11-20T10:00:00.000Z";
const REHEARSED = "2026-11-21T10:00:00.000Z";
const nowhere = "http://127.0.0.1:1";
const site = {
  urls: { "itrans-core": nowhere, "itrans-relay": nowhere, "medlink-hub": nowhere },
  keys: { core: "", hub: "", workflow: "" },
  scrapeToken: "",
  values: {},
};

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cutovers-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const passed = (step: StepId, at: string, evidence = {}) => ({
  step,
  startedAt: at,
  endedAt: at,
  status: "passed" as const,
  evidence,
});

function record(directory: string, at: string, over: Partial<Cutover> = {}): string {
  mkdirSync(directory);
  writeCutover(directory, {
    environment: "staging",
    commit: "c0ffee",
    startedAt: at,
    records: [
      passed("enable-auto-submit", at),
      passed("first-ten", at, { successRate: "9/10", failed: 1, claims: [] }),
    ],
    ...over,
  });
  return directory;
}
const folderOf = (at: string): string => join(root, at.replace(/[:.]/g, "-"));

it("a rehearsal, however new, is not taken for the cutover of the environment whose name it goes by", async () => {
  const live = record(folderOf(LIVE), LIVE);
  record(rehearsalFolder(root, "2026-11-21T10-00-00-000Z"), REHEARSED, {
    rollback: { because: "rehearsed", at: REHEARSED, complete: true },
  });
  expect(newestCutover(root, "staging")?.directory).toBe(live);
  expect(liveSince(root, "staging")?.at).toBe(Date.parse(LIVE));
  const data = await gather(site, "staging", root, Date.parse(LIVE), Date.parse(REHEARSED));
  expect(data).toMatchObject({ rollbacks: 0, firstTen: { successRate: "9/10", failed: 1 } });
});

it("where there were rehearsals alone, there was no cutover", () => {
  record(rehearsalFolder(root, "2026-11-21T10-00-00-000Z"), REHEARSED);
  expect(newestCutover(root, "staging")).toBeUndefined();
});

it("a cutover that has only begun leaves hypercare with the one that went live", async () => {
  record(folderOf(LIVE), LIVE);
  const begun = record(folderOf(REHEARSED), REHEARSED, { records: [] });
  expect(newestCutover(root, "staging")?.directory).toBe(begun);
  expect(liveSince(root, "staging")?.at).toBe(Date.parse(LIVE));
  const data = await gather(site, "staging", root, Date.parse(LIVE), Date.parse(REHEARSED));
  expect(data.firstTen).toEqual({ successRate: "9/10", failed: 1 });
});
