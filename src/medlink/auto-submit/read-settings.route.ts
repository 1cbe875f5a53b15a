import { z } from "@hono/zod-openapi";
import { none, ok, operation } from "../operation.edge.ts";
import { readSwitches } from "./settings.store.ts";
import { isOn } from "./switches.ts";

export const autoSubmitSettingsSchema = z
  .object({
    enabled: z.boolean().openapi({ description: "New claims are queued by themselves" }),
    heldByOperator: z.boolean().openapi({ description: "Off for the whole hub: queued claims wait too" }),
  })
  .openapi("AutoSubmitSettings");

export const readAutoSubmitSettings = operation(
  {
    method: "get",
    path: "/api/itrans/auto-submit/settings",
    summary: "Whether new claims of this clinic are submitted by themselves",
    params: none,
    body: none,
    answers: { 200: { description: "The switch", schema: autoSubmitSettingsSchema } },
  },
  async ({ hub, user }) => {
    const switches = await readSwitches(hub.db, user.clinicId);
    const enabled = isOn({ ...switches, setting: hub.settings.ITRANS_AUTO_SUBMIT_ENABLED });
    return ok(200, { enabled, heldByOperator: switches.hub === false });
  },
);
