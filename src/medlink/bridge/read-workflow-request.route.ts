import { z } from "@hono/zod-openapi";
import { none, operation } from "../operation.edge.ts";
import { forwardOwned } from "./forward.edge.ts";

export const readWorkflowRequest = operation(
  {
    method: "get",
    path: "/api/itrans/workflow/requests/{id}",
    summary: "A request as core has it",
    params: z.object({ id: z.string() }),
    body: none,
    answers: { 200: { description: "Core's answer" } },
  },
  (input) =>
    forwardOwned(input, input.params.id, {
      method: "GET",
      surface: "workflow",
      path: (id) => `/workflow/requests/${id}`,
    }),
);
