import { z } from "@hono/zod-openapi";
import { none, ok, operation } from "../operation.edge.ts";
import { isAutoSubmitOn } from "./submit.edge.ts";

export const autoSubmitSettingsSchema = z.object({ enabled: z.boolean() }).openapi("AutoSubmitSettings");

export const readAutoSubmitSettings = operation(
  {
    method: "get",
    path: "/api/itrans/auto-submit/settings",
    summary: "Whether new claims of this clinic are submitted by themselves",
    params: none,
    body: none,
    answers: { 200: { description: "The switch", schema: autoSubmitSettingsSchema } },
  },
  async ({ hub, user }) => ok(200, { enabled: await isAutoSubmitOn(hub, user.clinicId) }),
);
