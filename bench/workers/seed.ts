/**
 * Fills a ledger fast, with the real planning and the real statements but without the sequencer: nothing else writes here.
 * Every hundredth request has a payload that opens, for the reads to be real.
 */
import type { CoreEnv } from "../../src/core/env.ts";
import { systemNow, systemRandomBytes } from "../../src/platform/clock.edge.ts";
import { makeKeyring } from "../../src/platform/keyring.ts";
import { loadHead, writeCommit } from "../../src/workflow/commit.store.ts";
import { planCommit } from "../../src/workflow/commit-plan.ts";
import type { SubmitRequest } from "../../src/workflow/request.ts";
import { makeVault, type Vault } from "../../src/workflow/vault.ts";
import { READABLE_EVERY } from "../seeded.ts";
import { preparedSubmit } from "./prepared.ts";

const LEDGER = { ledgerId: "main", chainId: 31_337 };
const GROUP = 500;

const payload = {
  patientId: "patient-1",
  providerId: "provider-1",
  services: [{ code: "11101", description: "Scaling", quantity: 1, unitPrice: 120 }],
  totalAmount: 120,
  type: "claim",
};

async function readableSubmit(vault: Vault, requestId: string): Promise<SubmitRequest> {
  const { opened, wrappedKey } = await vault.create(requestId);
  return {
    ...preparedSubmit(requestId),
    requestIdHash: opened.subject,
    payloadHash: opened.commit(payload),
    payload: { type: "inline", sealed: await opened.seal("payload", JSON.stringify(payload)) },
    wrappedKey,
  };
}

export default {
  /** `?count=N`: appends N requests, named `seed-` and their place in the ledger. Called again it goes on where it was. */
  async fetch(request, env) {
    const { searchParams } = new URL(request.url);
    const keyring = await makeKeyring([env.PAYLOAD_MASTER_KEY], "payload");
    const vault = makeVault(keyring, LEDGER.ledgerId, systemRandomBytes);
    let head = await loadHead(env.DB, LEDGER.ledgerId);
    const from = head.frontier.size;
    const until = from + Number(searchParams.get("count"));
    for (let start = from; start < until; start += GROUP) {
      const commands: SubmitRequest[] = [];
      for (let i = start; i < Math.min(start + GROUP, until); i++) {
        const id = `seed-${i}`;
        commands.push(i % READABLE_EVERY === 0 ? await readableSubmit(vault, id) : preparedSubmit(id));
      }
      const context = { requests: new Map(), claims: new Map(), settlements: new Map(), destinations: [] };
      const plan = planCommit(head, context, commands, systemNow(), LEDGER);
      await writeCommit(env.DB, LEDGER.ledgerId, plan);
      head = plan.head;
    }
    return Response.json({ size: head.frontier.size });
  },
} satisfies ExportedHandler<Pick<CoreEnv, "DB" | "PAYLOAD_MASTER_KEY">>;
