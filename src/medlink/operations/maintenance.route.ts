/** Maintenance of the hub: pages and reads stay, what changes something answers 503 with Retry-After. */

import { forgetMaintenance } from "../../operations/maintenance/maintenance.edge.ts";
import { maintenanceUpdate, readMaintenance } from "../../operations/maintenance/maintenance.store.ts";
import {
  maintenanceSchema,
  maintenanceView,
  putMaintenanceSchema,
} from "../../operations/maintenance/maintenance-view.ts";
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import { none, ok, operatorOperation } from "../operation.edge.ts";

const answers = { 200: { description: "As it stands now", schema: maintenanceSchema } };
const path = "/api/operations/maintenance";

export const showMaintenance = operatorOperation(
  { method: "get", path, summary: "Whether maintenance is under way", params: none, body: none, answers },
  async ({ hub }) => ok(200, maintenanceView(await readMaintenance(hub.db))),
);

export const putMaintenance = operatorOperation(
  {
    method: "put",
    path,
    summary: "Refuse what changes something, or take it again; signing in, operations and callbacks go on",
    params: none,
    body: putMaintenanceSchema,
    trail: ({ body }) =>
      body.on
        ? { action: "HUB_MAINTENANCE_ON", to: [body.reason, `minutes_${body.minutes}`] }
        : { action: "HUB_MAINTENANCE_OFF" },
    answers,
  },
  async ({ hub, actor, body, correlationId }) => {
    const at = hub.now();
    const started = body.on ? { startedAt: at, until: at + body.minutes * 60_000, reason: body.reason } : undefined;
    await hub.db.batch([
      maintenanceUpdate(hub.db, started, actor.name),
      auditInsert(hub.db, {
        clinicId: WHOLE_HUB,
        actor: actor.name,
        action: body.on ? "maintenance.on" : "maintenance.off",
        subject: "hub",
        detail: body.on ? body.reason : "",
        correlationId,
        at,
      }),
    ]);
    forgetMaintenance(hub.db);
    return ok(200, maintenanceView(await readMaintenance(hub.db)));
  },
);
