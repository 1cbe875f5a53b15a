import { z } from "@hono/zod-openapi";
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import { toldId } from "../audit/trail.ts";
import { isMissingClinic } from "../batch.store.ts";
import { clinicInReach, none, notFound, ok, staffOperation } from "../operation.edge.ts";
import { wakeConsumers } from "./drain.edge.ts";
import { autoSubmitSettingsSchema } from "./read-settings.route.ts";
import { clinicSwitchUpsert, hubSwitchUpsert, readSwitches } from "./settings.store.ts";
import { isOn } from "./switches.ts";

/**
 * A clinic's off stops its new claims from being queued by themselves; jobs queued already, and those a person asks for,
 * still run. The hub's off, which only its operator sets, holds those back too; an attempt under way ends by itself.
 */
export const updateAutoSubmitSettings = staffOperation(
  {
    method: "put",
    path: "/api/itrans/auto-submit/settings",
    summary: "Switch auto-submit on or off at once: for a clinic, or by the operator for the whole hub",
    roles: ["admin"],
    params: none,
    body: z.object({
      enabled: z
        .boolean()
        .nullable()
        .openapi({ description: "null takes the word back: what stands behind it decides again" }),
      clinicId: z.string().max(64).optional(),
    }),
    trail: ({ body }) => ({
      action: "HUB_AUTO_SUBMIT_SETTINGS",
      to: [
        body.clinicId === undefined ? WHOLE_HUB : toldId(body.clinicId),
        body.enabled === null ? "as-before" : body.enabled ? "on" : "off",
      ],
    }),
    answers: { 200: { description: "The switch", schema: autoSubmitSettingsSchema } },
  },
  async ({ hub, actor, body, correlationId }) => {
    const reach = clinicInReach(actor, body.clinicId);
    if (!reach.ok) return reach.answer;
    const { clinicId } = reach;
    const at = hub.now();
    const change = { enabled: body.enabled, by: actor.name, at };
    const audited = clinicId ?? WHOLE_HUB;
    try {
      await hub.db.batch([
        clinicId === undefined ? hubSwitchUpsert(hub.db, change) : clinicSwitchUpsert(hub.db, { ...change, clinicId }),
        auditInsert(hub.db, {
          clinicId: audited,
          actor: actor.name,
          action: "autoSubmit.settings",
          subject: audited,
          detail: body.enabled === null ? "as before" : body.enabled ? "on" : "off",
          correlationId,
          at,
        }),
      ]);
    } catch (thrown) {
      if (!isMissingClinic(thrown)) throw thrown;
      return notFound("clinic");
    }
    if (clinicId === undefined && body.enabled !== false) await wakeConsumers(hub);
    const switches = await readSwitches(hub.db, clinicId);
    const enabled = isOn({ ...switches, setting: hub.settings.ITRANS_AUTO_SUBMIT_ENABLED });
    return ok(200, { enabled, heldByOperator: switches.hub === false });
  },
);
