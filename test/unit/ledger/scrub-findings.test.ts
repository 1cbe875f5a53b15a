/** What the scrub keeps of what it finds, and what a full verification tells of. */
import { beforeAll, describe, expect, it } from "vitest";
import type { Finding, FindingType } from "../../../src/ledger/finding.ts";
import { MAX_FINDINGS, NEVER_SCRUBBED, scrubReport, withFindings } from "../../../src/ledger/scrub-state.ts";
import { type FullVerificationLine, verifyFull } from "../../../src/ledger/verify-full.ts";
import { LedgerWorld } from "../../support/ledger-world.ts";

const port = { now: () => 1 };
const many = (type: FindingType, count: number, from = 0): readonly Finding[] =>
  Array.from({ length: count }, (_, i) => ({ type, seq: from + i, detail: `${type} ${from + i}` }));

const counted = (findings: readonly Finding[]): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {};
  for (const { type } of findings) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
};

describe("the findings that are kept", () => {
  it("leave room for every other type in a flood of one, and count what is left out by type", () => {
    let state = withFindings(NEVER_SCRUBBED, many("payload-missing", 5_000), port);
    expect(scrubReport(state).omittedByType).toEqual({ "payload-missing": 5_000 - MAX_FINDINGS });
    state = withFindings(state, many("anchor-chain-mismatch", 3), port);
    state = withFindings(state, many("tile-mismatch", 700), port);
    const report = scrubReport(state);
    expect(report.findings).toHaveLength(MAX_FINDINGS);
    const counts = counted(report.findings);
    expect(counts["anchor-chain-mismatch"]).toBe(3);
    expect(counts["tile-mismatch"]).toBeGreaterThan(490);
    expect(counts["payload-missing"]).toBeGreaterThan(490);
    expect(report.omittedFindings).toBe(5_703 - MAX_FINDINGS);
    expect(report.omittedByType).toEqual({
      "payload-missing": 5_000 - (counts["payload-missing"] ?? 0),
      "tile-mismatch": 700 - (counts["tile-mismatch"] ?? 0),
    });
  });

  it("stay as they are when they are found again", () => {
    const state = withFindings(NEVER_SCRUBBED, many("seq-gap", MAX_FINDINGS), port);
    const again = withFindings(state, many("seq-gap", MAX_FINDINGS), { now: () => 2 });
    expect(scrubReport(again).omittedFindings).toBe(0);
    expect(scrubReport(again).findings[0]).toMatchObject({ seq: 0, firstSeenAt: 1, lastSeenAt: 2 });
  });
});

describe("a full verification", () => {
  const lines: FullVerificationLine[] = [];
  let result: Awaited<ReturnType<typeof verifyFull>>;

  beforeAll(async () => {
    const world = await LedgerWorld.make();
    await world.addEntries(1_200); // none of their payloads opens
    await world.publish();
    await world.anchor("confirmed");
    world.chain.anchors = [];
    result = await verifyFull(world.port(), async (line) => void lines.push(line));
  });

  it("tells of each finding once, however many there are", () => {
    const told = lines.flatMap((line) => (line.type === "finding" ? [line.finding] : []));
    expect(told.length).toBeGreaterThan(1_200);
    expect(new Set(told.map((finding) => JSON.stringify(finding))).size).toBe(told.length);
    expect(result.found).toBe(told.length);
    expect(counted(told)).toMatchObject({ "anchor-chain-mismatch": 1 });
  });

  it("ends with a report that says how many of each type it has no room for", () => {
    const { report, found } = result;
    expect(report.findings).toHaveLength(MAX_FINDINGS);
    expect(report.omittedFindings).toBe(found - MAX_FINDINGS);
    expect(counted(report.findings)).toMatchObject({ "anchor-chain-mismatch": 1 });
  });
});
