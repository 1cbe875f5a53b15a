import { expect, it } from "vitest";
import { operatorActionFaults, type StoredOperatorAction } from "../../../src/audit/check-operator-action.ts";
import { mayPrecedeEntry, operatorActionCommand } from "../../../src/audit/operator-action.ts";
import { readEntry } from "../../../src/ledger/check-entry.ts";
import { EMPTY_HEAD } from "../../../src/ledger/head.ts";
import { planCommit } from "../../../src/workflow/commit-plan.ts";

const NOW = Date.parse("2026-11-22T10:00:00.500Z");
const SETTINGS = { ledgerId: "main", chainId: 31_337 };
const NOTHING = { requests: new Map(), claims: new Map(), settlements: new Map(), destinations: [] };

const command = operatorActionCommand(
  {
    tenantId: "default",
    action: "DEAD_LETTER_DISCARD",
    actor: "key_1",
    target: "17",
    reason: "INC-1",
    correlationId: "c-1",
  },
  "act_1",
  new Uint8Array(32).fill(7),
);

const planned = planCommit(EMPTY_HEAD, NOTHING, [command, command], NOW, SETTINGS);
const entry = readEntry(planned.entries[0]?.encoded.body ?? "");
const [action] = planned.operatorActions;
if (entry === undefined || action === undefined) throw new Error("an action has an entry and a row");
const row: StoredOperatorAction = { ...action, reason: action.reason ?? null };

it("makes one entry of an action, however often its command comes, and says only code, actor and reason in it", () => {
  expect(planned.results.map(({ type }) => type)).toEqual(["committed", "unchanged"]);
  expect(planned.entries).toHaveLength(1);
  expect(entry.data).toEqual({ action: "DEAD_LETTER_DISCARD", actor: "key_1", reason: "INC-1" });
  const later = planCommit(
    planned.head,
    { ...NOTHING, operatorActions: new Set([command.subject]) },
    [command],
    NOW,
    SETTINGS,
  );
  expect(later).toMatchObject({ changes: false, entries: [], results: [{ type: "unchanged" }] });
});

it("finds nothing wrong with the row that was written", () => {
  expect(operatorActionFaults(entry, row)).toEqual([]);
});

it.each([
  ["seq", { seq: 1 }],
  ["action", { action: "RELAY_PAUSE" }],
  ["actor", { actor: "key_2" }],
  ["reason", { reason: null }],
  ["details", { details: row.details.replace('"17"', '"18"') }],
  ["details", { details: "no JSON" }],
  ["details", { salt: "00".repeat(32) }],
  ["salt", { salt: "short" }],
])("names %s when it was changed behind the entry", (column, change) => {
  expect(operatorActionFaults(entry, { ...row, ...change })).toEqual([column]);
});

it("holds no action up that only stops something, and every action that starts or changes something", () => {
  expect((["RELAY_PAUSE", "KEY_REVOKE"] as const).every(mayPrecedeEntry)).toBe(true);
  expect((["RELAY_RESUME", "KEY_CREATE", "DESTINATION_PUT"] as const).some(mayPrecedeEntry)).toBe(false);
});
