import { z } from "@hono/zod-openapi";
import { VERSION } from "../../platform/version.ts";
import { none, ok, openOperation } from "../operation.edge.ts";

export const readVersion = openOperation(
  {
    method: "get",
    path: "/api/version",
    summary: "What runs here",
    params: none,
    body: none,
    answers: {
      200: {
        description: "Version, commit, build time",
        schema: z.object({ version: z.string(), commit: z.string(), builtAt: z.string() }),
      },
    },
  },
  async () => ok(200, { ...VERSION }),
);
