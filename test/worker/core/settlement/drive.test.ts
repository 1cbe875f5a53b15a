/** The driver at every point where it can break: whatever it was, in the end the money moved once and the ledger says so. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { CoreEnv } from "../../../../src/core/env.ts";
import { drainSettlements, driveOne } from "../../../../src/settlement/drive.edge.ts";
import { leaseDrives, nextDriveDue } from "../../../../src/settlement/drive.store.ts";
import type { SettlementCommand } from "../../../../src/settlement/settlement.ts";
import { Fault, faultyDatabase, type When } from "../faults/faulty.ts";
import { call, EMPTY, makeKey, migrate, testEnv } from "../support.ts";
import {
  ask,
  type Behaviour,
  clock,
  drive,
  entryTypes,
  expectValid,
  finalClaim,
  LIMITS,
  MemoryOperator,
  OPERATOR,
  parts,
  shown,
} from "./support.ts";

const WHENS: readonly When[] = ["failed", "failed, but persisted"];
const PAID = ["CLAIM_CREATED", "CLAIM_FINALIZED", "SETTLEMENT_CREATED", "SETTLEMENT_STARTED", "CLAIM_SETTLED"];

let refId = "";
let subject = "";
let operator = new MemoryOperator();

beforeAll(migrate);
beforeEach(async () => {
  operator = new MemoryOperator();
  const claim = await finalClaim();
  subject = claim.claimIdHash;
  refId = (await ask({ claimId: claim.claimId, type: "payment" })).json.refId;
});

async function expectPaidOnce(): Promise<void> {
  expect((await shown(refId)).json).toMatchObject({ status: "COMPLETED", operator: { dueAt: null } });
  expect(await entryTypes(subject)).toEqual(PAID);
  expect(operator.done.size).toBe(1);
}

describe("an answer that is lost", () => {
  it.each<[string, readonly Behaviour[], readonly ("lost" | "not_sent")[], number]>([
    ["after it took effect: is found by asking, and not sent again", ["lost, but done"], [], 1],
    ["before it took effect: is asked about, and sent again", ["lost"], [], 2],
    ["time after time", ["lost", "lost", "lost", "lost, but done"], ["lost", "lost", "not_sent"], 4],
    ["and the question too", ["lost, but done"], ["lost", "lost", "lost"], 1],
    ["or a permit", ["not_sent", "not_sent", "completed"], [], 3],
  ])("%s", async (_what, next, nextAsks, sends) => {
    operator.next = [...next];
    operator.nextAsks = [...nextAsks];
    await drive(operator, 60);
    expect(operator.sends).toHaveLength(sends);
    await expectPaidOnce();
  });

  it("never makes two sends without a question between them", async () => {
    operator.next = ["lost", "lost", "lost", "lost", "lost"];
    const calls: string[] = [];
    await drive(
      {
        send: (transaction) => {
          calls.push("send");
          return operator.send(transaction);
        },
        find: (id) => {
          calls.push("ask");
          return operator.find(id);
        },
      },
      60,
    );
    expect(calls.join(" ")).toBe("send ask send ask send ask send ask send ask send");
    await expectPaidOnce();
  });

  it("of eight sends that surely came to nothing is a failure, which an operator may replay under the same refId", async () => {
    operator.next = Array.from({ length: 8 }, () => "lost" as const);
    await drive(operator, 200);
    expect((await shown(refId)).json).toMatchObject({ status: "FAILED", reason: "ATTEMPTS-SPENT" });
    expect(operator.sends).toHaveLength(8);
    // The operator is not configured here: whether it has the transaction can not be asked, so it is not sent again.
    expect((await call(`/settlements/${refId}/replay`, { ...EMPTY, key: OPERATOR })).status).toBe(502);
  });

  it("while the operator is down is waited for, however long, and nothing is assumed", async () => {
    operator.next = ["lost, but done"];
    operator.nextAsks = Array.from({ length: 40 }, () => "lost" as const);
    await drive(operator, 180);
    expect((await shown(refId)).json).toMatchObject({ status: "PROCESSING", operator: { inDoubt: true, sends: 0 } });
    operator.nextAsks = [];
    await drive(operator, 15);
    await expectPaidOnce();
  });
});

describe("a transaction that the operator accepted", () => {
  it("is asked about until it completes, and never sent again", async () => {
    operator.next = ["accepted"];
    operator.completes = false;
    await drive(operator, 30);
    expect((await shown(refId)).json).toMatchObject({ status: "PROCESSING", operator: { lastAnswer: "accepted" } });
    operator.completes = true;
    await drive(operator, 10);
    expect(operator.sends).toHaveLength(1);
    await expectPaidOnce();
  });

  it("and no longer has is left to a person, and not sent again", async () => {
    operator.next = ["accepted"];
    operator.completes = false;
    await drive(operator, 2);
    operator.done.clear();
    await drive(operator, 200);
    expect((await shown(refId)).json).toMatchObject({ status: "PROCESSING", operator: { lastAnswer: "vanished" } });
    expect(operator.sends).toHaveLength(1);
    const body = { outcome: "FAILED", reason: "TICKET-3" };
    await call(`/settlements/${refId}/resolve`, { method: "POST", key: OPERATOR, body });
  });
});

describe("a driver that breaks", () => {
  interface Row {
    readonly step: string;
    readonly call: string;
    readonly times?: number;
    readonly next?: readonly Behaviour[];
  }
  const STEPS: readonly Row[] = [
    { step: "leasing", call: "UPDATE settlement_drives SET due_at = ?4, lease_token" },
    { step: "reading what it leased", call: "SELECT s.* FROM json_each(?2)" },
    { step: "recording that it begins", call: "SEQUENCER.append" },
    { step: "recording that it begins, until it gives up", call: "SEQUENCER.append", times: 3 },
    { step: "marking the send", call: "SET asked_at" },
    { step: "saving what an answer told", call: "SET due_at = ?4, in_doubt = ?5", next: ["lost"] },
    {
      step: "saving that a send was lost that took effect",
      call: "SET due_at = ?4, in_doubt = ?5",
      next: ["lost, but done"],
    },
  ];

  const appends = (fault: Fault): CoreEnv => ({
    ...testEnv,
    DB: faultyDatabase(testEnv.DB, fault),
    SEQUENCER: new Proxy(testEnv.SEQUENCER, {
      get: (target, method) => {
        if (method !== "getByName") return Reflect.get(target, method);
        return (name: string) => ({
          append: (command: SettlementCommand) =>
            fault.through<unknown>(`SEQUENCER.append ${command.type}`, () => target.getByName(name).append(command)),
        });
      },
    }),
  });

  for (const when of WHENS) {
    it.each(STEPS)(`$step ${when}: the next one finds what is due`, async ({ call: part, times, next = [] }) => {
      operator.next = [...next];
      const fault = new Fault(part, when, times);
      await drive(operator, 1, appends(fault)).catch(() => {});
      expect(fault.hits, "the step was reached").toBe(times ?? 1);
      clock.aheadMs += 300_000;
      await drive(operator, 20);
      await expectPaidOnce();
    });

    it(`recording the confirmation ${when}: the operator is asked, not sent to again`, async () => {
      const fault = new Fault("SEQUENCER.append CompleteSettlement", when, 3);
      await drive(operator, 1, appends(fault));
      expect(fault.hits).toBe(3);
      clock.aheadMs += 300_000;
      await drive(operator, 5);
      expect(operator.sends).toHaveLength(1);
      await expectPaidOnce();
    });
  }
});

describe("several isolates", () => {
  it("never send one twice, nor at once", async () => {
    const refIds = [refId];
    for (let i = 0; i < 11; i++) {
      const { claimId } = await finalClaim();
      refIds.push((await ask({ claimId, type: "payment" })).json.refId);
    }
    operator.next = ["lost, but done", "lost", "completed", "not_sent", "lost, but done", "lost", "accepted"];
    for (let minute = 0; minute < 20; minute++) {
      await Promise.all(Array.from({ length: 5 }, () => drainSettlements(parts(operator), LIMITS)));
      clock.aheadMs += 60_000;
    }
    expect(operator.done.size).toBe(12);
    for (const one of refIds) expect((await shown(one)).json.status).toBe("COMPLETED");
  });

  it("that lost its lease does not send", async () => {
    const [leased] = await leaseDrives(testEnv.DB, "main", clock.now(), 1);
    if (leased === undefined) throw new Error("something is due");
    clock.aheadMs += 300_000;
    const [taken] = await leaseDrives(testEnv.DB, "main", clock.now(), 1);
    expect(taken?.drive.refId).toBe(leased.drive.refId);
    await driveOne(parts(operator), leased);
    expect(operator.sends).toEqual([]);
    if (taken !== undefined) await driveOne(parts(operator), taken);
    await expectPaidOnce();
  });
});

describe("fairness", () => {
  it("gives a clinic with one settlement its turn among another's many", async () => {
    await drive(operator, 5);
    const key = await makeKey("small-clinic", { surface: "claims", scopes: ["submit", "read"] });
    for (let i = 0; i < 6; i++) {
      const { claimId } = await finalClaim();
      await ask({ claimId, type: "payment" });
    }
    await testEnv.DB.prepare(
      "INSERT INTO settlement_drives (ledger_id, ref_id, tenant_id, correlation_id, due_at) VALUES ('main', 'stl_small', 'small-clinic', 'c', ?)",
    )
      .bind(clock.now())
      .run();
    expect(key).not.toBe("");
    await testEnv.DB.prepare("UPDATE settlement_drives SET due_at = ? WHERE due_at IS NOT NULL")
      .bind(clock.now() - 1)
      .run();
    await leaseDrives(testEnv.DB, "main", clock.now(), 2);
    const row = await testEnv.DB.prepare(
      "SELECT lease_token FROM settlement_drives WHERE ref_id = 'stl_small'",
    ).first<number>("lease_token");
    expect(row).toBe(1);
    await testEnv.DB.prepare("DELETE FROM settlement_drives WHERE ref_id = 'stl_small'").run();
  });
});

describe("an erasure", () => {
  it("of the claim while its money is on its way leaves the money on its way", async () => {
    const { claimId, claimIdHash } = await finalClaim();
    const { json } = await ask({ claimId, type: "payment" });
    await call(`/claims/${claimId}/personal-data`, {
      method: "DELETE",
      key: OPERATOR,
      body: { reason: "COURT_ORDER" },
    });
    clock.aheadMs += 300_000;
    await drive(operator, 5);
    expect((await shown(json.refId)).json).toMatchObject({
      status: "COMPLETED",
      claimId: claimIdHash,
      amountCents: 12_000,
    });
    await expectValid();
  });
});

it("in the end nothing is left to do", async () => {
  clock.aheadMs += 300_000;
  await drive(operator, 5);
  expect(await nextDriveDue(testEnv.DB, "main")).toBeUndefined();
  await expectValid();
});
