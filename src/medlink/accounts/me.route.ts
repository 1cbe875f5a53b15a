import { z } from "@hono/zod-openapi";
import { none, ok, operation } from "../operation.edge.ts";
import { userSchema } from "./login.route.ts";

export const me = operation(
  {
    method: "get",
    path: "/api/auth/me",
    summary: "Who is signed in",
    params: none,
    body: none,
    answers: { 200: { description: "The user", schema: z.object({ user: userSchema }) } },
  },
  async ({ user }) => ok(200, { user }, { "cache-control": "no-store" }),
);
