import { z } from "@hono/zod-openapi";
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import { none, ok, staffOperation } from "../operation.edge.ts";
import { sandboxReset } from "./sandbox.store.ts";

export const resetSandbox = staffOperation(
  {
    method: "post",
    path: "/api/edi/sandbox/reset",
    summary: "Empty the EDI sandbox: the clinic's, or for the operator the whole hub's; its fates begin anew",
    roles: ["admin"],
    params: none,
    body: none,
    trail: () => ({ action: "HUB_SANDBOX_RESET" }),
    answers: {
      200: {
        description: "What was forgotten",
        schema: z.object({
          claims: z.number().int(),
          transactions: z.number().int().openapi({ description: "That waited for the sandbox, and wait no more" }),
        }),
      },
    },
  },
  async ({ hub, actor, correlationId }) => {
    const at = hub.now();
    const clinicId = actor.clinicId ?? WHOLE_HUB;
    const [claims, transactions] = await hub.db.batch([
      ...sandboxReset(hub.db, actor.clinicId, at),
      auditInsert(hub.db, {
        clinicId,
        actor: actor.name,
        action: "edi.sandboxReset",
        subject: "edi",
        correlationId,
        at,
      }),
    ]);
    return ok(200, { claims: claims?.meta.changes ?? 0, transactions: transactions?.meta.changes ?? 0 });
  },
);
