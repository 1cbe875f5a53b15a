import { z } from "@hono/zod-openapi";
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import { none, ok, refuse, staffOperation } from "../operation.edge.ts";
import { channelOf, exchange, isAdmitted } from "./channel.edge.ts";
import { applyElsewhere } from "./edi.edge.ts";
import { connectorName } from "./show-edi.ts";

export const testConnector = staffOperation(
  {
    method: "post",
    path: "/api/edi/connectors/{name}/test",
    summary: "Ask an EDI network for a sign of life",
    roles: ["admin"],
    params: z.object({ name: connectorName }),
    body: none,
    trail: ({ params }) => ({ action: "HUB_CONNECTOR_TEST", to: [params.name] }),
    answers: {
      200: {
        description: "Whether it answered in order",
        schema: z.object({
          name: connectorName,
          mode: z.string(),
          ok: z.boolean(),
          outcome: z.string(),
          status: z.number().int().nullable(),
          durationMs: z.number().int(),
        }),
      },
    },
  },
  async ({ hub, actor, params, correlationId }) => {
    const { name } = params;
    const channel = channelOf(hub, name);
    const { mode } = channel;
    const refused = (outcome: string) => ok(200, { name, mode, ok: false, outcome, status: null, durationMs: 0 });
    if (channel.fault !== undefined) return refused(channel.fault);
    if (!(await isAdmitted(hub, channel))) return refused("breaker_open");
    const prepared = channel.connector.test();
    if (!prepared.ok) return refuse("internal", "The test message can not be written.");
    const clinicId = actor.clinicId ?? WHOLE_HUB;
    const at = hub.now();
    const subject = { clinicId, claimId: undefined, transactionId: undefined, correlationId };
    const audit = auditInsert(hub.db, {
      clinicId,
      actor: actor.name,
      action: "edi.test",
      subject: name,
      correlationId,
      at,
    });
    const exchanged = await exchange(hub, channel, prepared.outgoing, subject, [audit]);
    await applyElsewhere(hub, channel, exchanged);
    const { ok: inOrder, outcome, status, durationMs } = exchanged;
    return ok(200, { name, mode, ok: inOrder, outcome, status: status ?? null, durationMs });
  },
);
