import { z } from "@hono/zod-openapi";
import { passwordFault } from "../accounts/password.ts";
import { emailField, passwordField } from "../accounts/schemas.ts";
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import { none, ok, operatorOperation, refuse } from "../operation.edge.ts";
import { insurerFields } from "../records/schemas.ts";
import { seedDemo } from "./seed.edge.ts";
import { seededSchema } from "./seed.route.ts";

export const seedAdmin = operatorOperation(
  {
    method: "post",
    path: "/api/admin/seed",
    summary: "First administrator, operator, demo clinic and its records; accounts that are there stay as they are",
    params: none,
    body: z.object({
      adminEmail: emailField,
      adminPassword: passwordField.openapi({ description: "Of the accounts that are made now" }),
      insurerAddress: insurerFields.shape.insurerAddress,
    }),
    trail: () => ({ action: "HUB_SEED" }),
    answers: {
      200: { description: "What is there now", schema: seededSchema.extend({ created: z.array(z.string()) }) },
    },
  },
  async ({ hub, actor, body, correlationId }) => {
    const { ENVIRONMENT, SEED_ALLOWED_ENVIRONMENT } = hub.settings;
    if (ENVIRONMENT === "production" && SEED_ALLOWED_ENVIRONMENT !== "production") {
      return refuse("forbidden", "This is production. Set SEED_ALLOWED_ENVIRONMENT to production to seed it.");
    }
    const fault = passwordFault(body.adminPassword, body.adminEmail);
    if (fault !== undefined) {
      return refuse("invalid_body", fault.message, { issues: [{ path: "adminPassword", ...fault }] });
    }
    const seeded = await seedDemo(hub, body, "keep");
    await auditInsert(hub.db, {
      clinicId: WHOLE_HUB,
      actor: actor.name,
      action: "hub.seed",
      subject: seeded.clinicId,
      detail: `created_${seeded.created.length}`,
      correlationId,
      at: hub.now(),
    }).run();
    return ok(200, seeded);
  },
);
