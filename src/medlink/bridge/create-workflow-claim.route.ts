import { none, operation } from "../operation.edge.ts";
import { createWorkflow, workflowBody } from "./create-workflow.edge.ts";

export const createWorkflowClaim = operation(
  {
    method: "post",
    path: "/api/itrans/workflow/claims",
    summary: "Sign a claim and send it to core as a workflow request",
    params: none,
    body: workflowBody,
    answers: { 201: { description: "Core's answer, with requestId and requestIdHash" } },
  },
  (input) => createWorkflow(input, "claim"),
);
