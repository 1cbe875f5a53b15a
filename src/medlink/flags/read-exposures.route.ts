import { z } from "@hono/zod-openapi";
import { none, ok, operatorOperation } from "../operation.edge.ts";
import { countExposures } from "./flags.store.ts";
import { flagParams } from "./update-flag.route.ts";

export const EXPOSURE_DAYS = 90;

export const readExposures = operatorOperation(
  {
    method: "get",
    path: "/api/admin/flags/{name}/exposures",
    summary: "How many different users met a flag on and off, by UTC day, newest first",
    params: flagParams.extend({ days: z.coerce.number().int().min(1).max(EXPOSURE_DAYS).default(30) }),
    body: none,
    answers: {
      200: {
        description: "Days on which someone met it",
        schema: z.object({
          days: z.array(z.object({ day: z.string(), on: z.number().int(), off: z.number().int() })),
        }),
      },
    },
  },
  async ({ hub, params }) => ok(200, { days: await countExposures(hub.db, params.name, params.days) }),
);
