import { describe, expect, it } from "vitest";
import { makeKeyring } from "../../../src/platform/keyring.ts";
import { decideClaim } from "../../../src/workflow/claim.ts";
import { loadContext, loadHead, writeCommit } from "../../../src/workflow/commit.store.ts";
import { type Command, planCommit } from "../../../src/workflow/commit-plan.ts";
import { completionOf, LAST_LOOK_MS, nextLook, RETRY_AFTER_MS } from "../../../src/workflow/erasure.ts";
import { keepLookupKey } from "../../../src/workflow/id-lookup.store.ts";
import { currentHash } from "../../../src/workflow/request.store.ts";
import { decideRequest } from "../../../src/workflow/request.ts";
import { makeVault } from "../../../src/workflow/vault.ts";
import {
  acknowledgeCommand,
  adjudicateCommand,
  claimState,
  createClaimCommand,
  eraseClaimCommand,
  eraseRequestCommand,
  finalizeCommand,
  hashOf,
  requestState,
  settleCommand,
  submitCommand,
} from "../../support/commands.ts";
import { migratedCore } from "../../support/d1-sqlite.ts";

const T0 = 1_790_000_000_000;

describe("deciding on an erasure", () => {
  it.each(["SUBMITTED", "ACKNOWLEDGED", "APPROVED", "DENIED", "NEEDS_INFO"] as const)(
    "takes a request that is %s",
    (status) => {
      expect(decideRequest(requestState({ status }), eraseRequestCommand("R"))).toEqual({
        type: "accepted",
        commandId: `erase:${hashOf("R")}`,
        events: [{ type: "ERASED", actor: "workflow", reason: "PATIENT_REQUEST" }],
      });
    },
  );

  it.each(["CREATED", "FINALIZED", "SETTLEMENT_PENDING", "SETTLED"] as const)("takes a claim that is %s", (status) => {
    expect(decideClaim(claimState({ status }), eraseClaimCommand("C"))).toMatchObject({
      type: "accepted",
      events: [{ type: "ERASED" }],
    });
  });

  const request = requestState({ erasedSeq: 9 });
  const claim = claimState({ status: "FINALIZED", erasedSeq: 9 });
  const erased = { type: "rejected", rejection: { code: "erased" } };
  it.each([
    ["an erasure again", eraseRequestCommand("R"), { type: "unchanged" }],
    ["a resend, which the edge answers 410", submitCommand("R"), { type: "unchanged" }],
    ["an acknowledgement", acknowledgeCommand("R"), erased],
    ["a decision", adjudicateCommand("R"), erased],
  ])("leaves an erased request as it is: %s", (_what, command, outcome) => {
    expect(decideRequest(request, command)).toEqual(outcome);
  });
  it.each([
    ["an erasure again", eraseClaimCommand("C"), { type: "unchanged" }],
    ["finalizing", finalizeCommand("C"), erased],
  ])("leaves an erased claim as it is: %s", (_what, command, outcome) => {
    expect(decideClaim(claim, command)).toEqual(outcome);
  });

  it("finds nothing to erase where there is nothing", () => {
    const outcome = { type: "rejected", rejection: { code: "not_found" } };
    expect(decideRequest(undefined, eraseRequestCommand("R"))).toEqual(outcome);
    expect(decideClaim(undefined, eraseClaimCommand("C"))).toEqual(outcome);
  });
});

describe("when an erasure is complete", () => {
  it("is when the last copy of the key has aged out: 30 days on", () => {
    expect(completionOf("2026-11-22T10:00:00.500Z")).toMatchObject({
      completeEverywhereBy: "2026-12-22T10:00:00.500Z",
      copies: [{ until: "2026-12-22T10:00:00.500Z" }, { until: "2026-12-22T10:00:00.500Z" }],
    });
  });

  const pending = { subject: hashOf("R"), erasedAt: T0 };
  it.each([
    ["objects left, soon again", false, T0, T0 + RETRY_AFTER_MS],
    ["objects left, however late", false, T0 + 2 * LAST_LOOK_MS, T0 + 2 * LAST_LOOK_MS + RETRY_AFTER_MS],
    ["gone, but a call under way may write one more", true, T0, T0 + LAST_LOOK_MS],
    ["gone, and none can come", true, T0 + LAST_LOOK_MS, undefined],
  ])("%s", (_what, deleted, now, next) => {
    expect(nextLook(pending, deleted, now)).toBe(next);
  });
});

describe("an erasure's commit", () => {
  async function committed(...groups: readonly (readonly Command[])[]) {
    const made = migratedCore();
    const results: string[] = [];
    for (const commands of groups) {
      const head = await loadHead(made.db, "main");
      const context = await loadContext(made.db, "main", commands);
      const plan = planCommit(head, context, commands, T0, { ledgerId: "main", chainId: 31_337 });
      results.push(...plan.results.map((result) => (result.type === "rejected" ? result.rejection.code : result.type)));
      if (plan.changes) await writeCommit(made.db, "main", plan);
    }
    const rows = (sql: string) => made.sqlite.prepare(sql).all();
    return { ...made, results, rows };
  }

  it("takes key, ciphertext, id and amount in one transaction, and leaves what the ledger derives", async () => {
    const { rows } = await committed(
      [
        submitCommand("R"),
        submitCommand("S"),
        acknowledgeCommand("R", { notes: { type: "inline", sealed: "bm90ZXM=" } }),
      ],
      [eraseRequestCommand("R", { lookup: "looked-up" })],
    );
    expect(rows("SELECT subject FROM payload_keys UNION SELECT subject FROM payloads")).toEqual([
      { subject: hashOf("S") },
    ]);
    expect(
      rows("SELECT request_id, state, amount_minor, currency, erased_seq FROM requests ORDER BY submitted_seq"),
    ).toEqual([
      { request_id: hashOf("R"), state: "ACKNOWLEDGED", amount_minor: 0, currency: "XXX", erased_seq: 3 },
      { request_id: "S", state: "SUBMITTED", amount_minor: 12_000, currency: "CAD", erased_seq: null },
    ]);
    expect(rows("SELECT lookup, subject FROM erased_ids")).toEqual([{ lookup: "looked-up", subject: hashOf("R") }]);
    expect(rows("SELECT subject, erased_at, due_at FROM pending_erasures")).toEqual([
      { subject: hashOf("R"), erased_at: T0, due_at: T0 },
    ]);
    expect(
      rows("SELECT body FROM ledger_entries ORDER BY seq").map(({ body }) => JSON.parse(String(body))),
    ).toMatchObject([
      {},
      {},
      {},
      { type: "ERASED", subject: hashOf("R"), data: { actor: "workflow", reason: "PATIENT_REQUEST" } },
    ]);
  });

  it("takes what the same commit brought, in whatever order the commands came", async () => {
    const { rows, results } = await committed([
      submitCommand("R"),
      acknowledgeCommand("R", { notes: { type: "inline", sealed: "bm90ZXM=" } }),
      eraseRequestCommand("R"),
      adjudicateCommand("R"),
      submitCommand("R"),
      createClaimCommand("C"),
      eraseClaimCommand("C"),
      settleCommand("C"),
    ]);
    expect(results).toEqual([
      ...["committed", "committed", "committed", "erased", "unchanged"],
      ...["committed", "committed", "erased"],
    ]);
    expect(rows("SELECT subject FROM payload_keys UNION SELECT subject FROM payloads")).toEqual([]);
    expect(rows("SELECT request_id AS id FROM requests UNION ALL SELECT claim_id FROM claims")).toEqual([
      { id: hashOf("R") },
      { id: hashOf("claim C") },
    ]);
  });

  it("is one erasure for any number of commands, by the old id or by the hash", async () => {
    const first = [eraseRequestCommand("R", { reason: "COURT_ORDER" }), eraseClaimCommand("C")];
    const byHash = [
      eraseRequestCommand(hashOf("R"), { lookup: "of the hash" }),
      eraseClaimCommand(hashOf("claim C"), { lookup: "of the hash" }),
    ];
    const { results, rows } = await committed(
      [submitCommand("R"), createClaimCommand("C")],
      [...first, ...first],
      [...first, ...byHash],
    );
    expect(results.slice(2)).toEqual(["committed", "committed", ...Array<string>(6).fill("unchanged")]);
    expect(rows("SELECT body FROM ledger_entries WHERE body LIKE '%ERASED%'")).toHaveLength(2);
  });

  it("lets a command that was sent before it find the request by the id's lookup", async () => {
    const { results } = await committed(
      [submitCommand("R"), createClaimCommand("C")],
      [eraseRequestCommand("R"), eraseClaimCommand("C")],
      [
        submitCommand("R"),
        acknowledgeCommand("R", { lookup: "R" }),
        adjudicateCommand("R", { lookup: "R" }),
        { ...settleCommand("C"), lookup: "C" },
        submitCommand("R2", { corrects: { requestId: "R", lookup: "R", incidentTicket: undefined } }),
      ],
    );
    expect(results.slice(4)).toEqual(["unchanged", "erased", "erased", "erased", "committed"]);
  });

  it("holds one successor each in the database too", async () => {
    const { sqlite } = await committed([
      submitCommand("R"),
      submitCommand("R2", { corrects: { requestId: "R", lookup: "R", incidentTicket: undefined } }),
      submitCommand("R3"),
    ]);
    expect(() => sqlite.prepare("UPDATE requests SET corrects = ? WHERE request_id = 'R3'").run(hashOf("R"))).toThrow(
      "UNIQUE",
    );
  });

  it("leaves chains to be followed to their end, erased links too", async () => {
    const correcting = (id: string, corrected: string) =>
      submitCommand(id, { corrects: { requestId: corrected, lookup: corrected, incidentTicket: undefined } });
    const { db } = await committed(
      [submitCommand("R1"), correcting("R2", "R1"), correcting("R3", "R2")],
      [eraseRequestCommand("R2")],
      [correcting("R4", "R3")],
    );
    for (const id of ["R1", "R2", "R3", "R4"]) {
      expect(await currentHash(db, "main", hashOf(id))).toEqual({ type: "current", requestIdHash: hashOf("R4") });
    }
  });
});

describe("the lookup of ids", () => {
  const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));
  const vaultOf = async (...secrets: readonly string[]) =>
    makeVault(await makeKeyring(secrets, "payload"), "main", random);

  it("tells kinds, tenants and ids apart, and says nothing without its key", async () => {
    const vault = await vaultOf("a".repeat(32));
    const lookup = await vault.openLookupKey(await vault.createLookupKey());
    const other = await vault.openLookupKey(await vault.createLookupKey());
    const all = [
      lookup("request", "default", "CLM-1"),
      lookup("claim", "default", "CLM-1"),
      lookup("request", "other", "CLM-1"),
      lookup("request", "default", "CLM-2"),
      other("request", "default", "CLM-1"),
    ];
    expect(new Set(all).size).toBe(5);
    expect(all[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(lookup("request", "default", "CLM-1")).toBe(all[0]);
  });

  it("opens with the previous master key during a rotation", async () => {
    const before = await vaultOf("a".repeat(32));
    const key = await before.createLookupKey();
    const during = await vaultOf("b".repeat(32), "a".repeat(32));
    expect((await during.openLookupKey(key))("request", "default", "R")).toBe(
      (await before.openLookupKey(key))("request", "default", "R"),
    );
  });

  it("has one key for good: the first kept counts, and none takes the place of one that is missed", async () => {
    const { db, sqlite } = migratedCore();
    const first = await keepLookupKey(db, "main", { keyId: "k", sealed: "first" });
    expect(await keepLookupKey(db, "main", { keyId: "k", sealed: "second" })).toEqual(first);
    sqlite.exec("INSERT INTO erased_ids VALUES ('main', 'lookup', 'subject'); DELETE FROM id_lookup_keys");
    await expect(keepLookupKey(db, "main", { keyId: "k", sealed: "third" })).rejects.toThrow("is missing");
  });
});
