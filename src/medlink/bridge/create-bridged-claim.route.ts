import { z } from "@hono/zod-openapi";
import { none, operation } from "../operation.edge.ts";
import { bridgeRequestInsert } from "./bridge.store.ts";
import { passOn } from "./forward.edge.ts";

const claimIdSchema = z.object({ claimId: z.string().min(1).max(128) });

function claimIdIn(text: string): string | undefined {
  try {
    return claimIdSchema.parse(JSON.parse(text)).claimId;
  } catch {
    return undefined;
  }
}

export const createBridgedClaim = operation(
  {
    method: "post",
    path: "/api/itrans/claims",
    summary: "Sign a claim and send it to core",
    params: none,
    body: z.object({ offchainPayload: z.record(z.string(), z.unknown()) }),
    answers: { 201: { description: "Core's answer, with claimId" } },
  },
  async ({ hub, user, body, correlationId }) => {
    const answer = await hub.core.call({
      method: "POST",
      path: "/claims",
      surface: "claims",
      body: hub.core.sign(body.offchainPayload),
      correlationId,
    });
    const created = answer.type === "answered" && answer.status >= 200 && answer.status < 300;
    const coreId = created ? claimIdIn(answer.text) : undefined;
    if (coreId !== undefined) {
      const { clinicId, userId: createdBy } = user;
      await bridgeRequestInsert(hub.db, {
        coreId,
        clinicId,
        kind: "claim",
        requestIdHash: undefined,
        createdBy,
        createdAt: hub.now(),
      }).run();
    }
    return passOn(answer, correlationId);
  },
);
