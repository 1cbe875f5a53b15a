import { z } from "@hono/zod-openapi";
import { none, ok, openOperation, refuse } from "../operation.edge.ts";
import { checkDatabase } from "./health.route.ts";

export const readyz = openOperation(
  {
    method: "get",
    path: "/readyz",
    summary: "Whether requests can be served now",
    params: none,
    body: none,
    answers: { 200: { description: "Ready", schema: z.object({ status: z.literal("ready") }) } },
  },
  async ({ hub }) => {
    const db = await checkDatabase(hub);
    return db.ok ? ok(200, { status: "ready" }) : refuse("unavailable", "The database does not answer.");
  },
);
