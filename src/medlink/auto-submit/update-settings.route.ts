import { z } from "@hono/zod-openapi";
import { auditInsert } from "../audit/audit.store.ts";
import { none, ok, operation } from "../operation.edge.ts";
import { autoSubmitSettingsSchema } from "./read-settings.route.ts";
import { autoSubmitEnabledUpsert } from "./settings.store.ts";

/** Off stops new claims from being queued by themselves; jobs queued already, and those a person asks for, still run. */
export const updateAutoSubmitSettings = operation(
  {
    method: "put",
    path: "/api/itrans/auto-submit/settings",
    summary: "Switch auto-submit on or off for this clinic, at once",
    roles: ["admin"],
    params: none,
    body: z.object({ enabled: z.boolean() }),
    answers: { 200: { description: "The switch", schema: autoSubmitSettingsSchema } },
  },
  async ({ hub, user, body, correlationId }) => {
    const { clinicId, userId } = user;
    const at = hub.now();
    await hub.db.batch([
      autoSubmitEnabledUpsert(hub.db, { clinicId, enabled: body.enabled, userId, at }),
      auditInsert(hub.db, {
        clinicId,
        actor: userId,
        action: "autoSubmit.settings",
        subject: clinicId,
        detail: body.enabled ? "on" : "off",
        correlationId,
        at,
      }),
    ]);
    return ok(200, { enabled: body.enabled });
  },
);
