import { z } from "@hono/zod-openapi";
import { none, operation } from "../operation.edge.ts";
import { forwardOwned } from "./forward.edge.ts";

export const finalizeClaim = operation(
  {
    method: "post",
    path: "/api/itrans/claims/{id}/finalize",
    summary: "Finalize a claim at core",
    params: z.object({ id: z.string() }),
    body: none,
    answers: { 200: { description: "Core's answer" } },
  },
  (input) =>
    forwardOwned(input, input.params.id, { method: "POST", surface: "claims", path: (id) => `/claims/${id}/finalize` }),
);
