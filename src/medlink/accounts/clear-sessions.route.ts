import { z } from "@hono/zod-openapi";
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import { toldId } from "../audit/trail.ts";
import { none, ok, operatorOperation } from "../operation.edge.ts";
import { clearSessions, type SessionScope } from "./accounts.store.ts";

const scopeSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("user"), userId: z.string().max(64) }),
  z.object({ type: z.literal("clinic"), clinicId: z.string().max(64) }),
  z.object({ type: z.literal("everyone") }),
]);

function subjectOf(scope: SessionScope): string {
  switch (scope.type) {
    case "user":
      return scope.userId;
    case "clinic":
      return scope.clinicId;
    case "everyone":
      return WHOLE_HUB;
  }
}

const toldSubject = (scope: SessionScope): string => (scope.type === "everyone" ? WHOLE_HUB : toldId(subjectOf(scope)));

export const clearSessionsRoute = operatorOperation(
  {
    method: "post",
    path: "/api/admin/sessions/clear",
    summary: "End the sessions of one person, of a clinic, or of everyone; API tokens stay",
    params: none,
    body: z.object({ scope: scopeSchema }),
    trail: ({ body }) => ({ action: "HUB_SESSIONS_CLEAR", to: [toldSubject(body.scope)] }),
    answers: { 200: { description: "How many ended", schema: z.object({ cleared: z.number().int() }) } },
  },
  async ({ hub, actor, body, correlationId }) => {
    const cleared = await clearSessions(hub.db, body.scope);
    await auditInsert(hub.db, {
      clinicId: body.scope.type === "clinic" ? body.scope.clinicId : WHOLE_HUB,
      actor: actor.name,
      action: "sessions.clear",
      subject: subjectOf(body.scope),
      correlationId,
      at: hub.now(),
    }).run();
    return ok(200, { cleared });
  },
);
