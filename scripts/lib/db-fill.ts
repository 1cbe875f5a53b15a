/** Grows a copy of core's database to a real size through the code that commits: what a migration costs shows only on many rows. */
import type { DatabaseSync } from "node:sqlite";
import { loadHead, writeCommit } from "../../src/workflow/commit.store.ts";
import { type Command, planCommit } from "../../src/workflow/commit-plan.ts";
import { d1On } from "./d1-sqlite.ts";

const hex = (n: number, of: string): string => `0x${of}${n.toString(16).padStart(64 - of.length, "0")}`;

const COMMIT = 500;

/** @param claims how many more requests, each submitted, with payload and key. @returns entries the ledger then has. */
export async function fillWithRequests(sqlite: DatabaseSync, ledgerId: string, claims: number): Promise<number> {
  const db = d1On(sqlite);
  // Settling the disk after each commit is not what is measured; a copy that is lost is made again.
  sqlite.exec("PRAGMA synchronous = OFF");
  let head = await loadHead(db, ledgerId);
  const from = head.frontier.size;
  for (let begun = 0; begun < claims; begun += COMMIT) {
    const commands: Command[] = Array.from({ length: Math.min(COMMIT, claims - begun) }, (_, i) => {
      const n = from + begun + i;
      return {
        type: "SubmitRequest",
        tenantId: "default",
        requestId: `fill-${n}`,
        lookup: hex(n, "f1").slice(2),
        requestIdHash: hex(n, "f2"),
        requestType: "CLAIM",
        insurerAddress: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
        submitter: "fill",
        payloadHash: hex(n, "f3"),
        amountMinor: 12_000,
        currency: "CAD",
        payload: { type: "inline", sealed: "A".repeat(900) },
        wrappedKey: { keyId: "00000000", sealed: "B".repeat(132) },
        correlationId: `fill-${n}`,
      };
    });
    const destinations = [
      {
        destinationId: "fill",
        tenantId: "default",
        kind: "MEDLINK",
        insurerAddress: undefined,
        deliverAfter: "commit",
        eventTypes: ["REQUEST_SUBMITTED"],
      } as const,
    ];
    const plan = planCommit(
      head,
      { requests: new Map(), claims: new Map(), settlements: new Map(), destinations },
      commands,
      Date.now(),
      {
        ledgerId,
        chainId: 31_337,
      },
    );
    await writeCommit(db, ledgerId, plan);
    head = plan.head;
  }
  return head.frontier.size;
}
