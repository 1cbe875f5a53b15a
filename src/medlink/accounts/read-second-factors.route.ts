import { z } from "@hono/zod-openapi";
import { none, ok, operatorOperation } from "../operation.edge.ts";
import { countSecondFactors } from "./second-factor.store.ts";
import { ACCOUNT_ROLES } from "./user.ts";

const GROUPS = 4_000;
const count = z.number().int();

export const readSecondFactors = operatorOperation(
  {
    method: "get",
    path: "/api/admin/second-factors",
    summary: "How many people have a second factor, by clinic and role",
    params: z.object({ clinicId: z.string().max(64).optional() }),
    body: none,
    answers: {
      200: {
        description: "Counts of accounts that are switched on",
        schema: z.object({
          groups: z.array(
            z.object({
              clinicId: z.string().nullable().openapi({ description: "null: the operators" }),
              role: z.enum(ACCOUNT_ROLES),
              users: count,
              withSecondFactor: count,
              fewBackupCodes: count.openapi({ description: "Of those with a second factor: two codes or fewer" }),
            }),
          ),
        }),
      },
    },
  },
  async ({ hub, params }) => ok(200, { groups: await countSecondFactors(hub.db, params.clinicId, GROUPS) }),
);
