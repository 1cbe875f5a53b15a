import { none, operation } from "../operation.edge.ts";
import { createWorkflow, workflowBody } from "./create-workflow.edge.ts";

export const createWorkflowPreauth = operation(
  {
    method: "post",
    path: "/api/itrans/workflow/preauths",
    summary: "Sign a pre-authorization and send it to core as a workflow request",
    params: none,
    body: workflowBody,
    answers: { 201: { description: "Core's answer, with requestId and requestIdHash" } },
  },
  (input) => createWorkflow(input, "preauth"),
);
