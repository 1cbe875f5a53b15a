import type { Operation } from "../operation.edge.ts";
import { createBridgedClaim } from "./create-bridged-claim.route.ts";
import { createWorkflowClaim } from "./create-workflow-claim.route.ts";
import { createWorkflowPreauth } from "./create-workflow-preauth.route.ts";
import { finalizeClaim } from "./finalize-claim.route.ts";
import { readAnchorStatus } from "./read-anchor-status.route.ts";
import { readBridgedClaim } from "./read-bridged-claim.route.ts";
import { readWorkflowRequest } from "./read-workflow-request.route.ts";
import { settleClaim } from "./settle-claim.route.ts";

export const BRIDGE: readonly Operation[] = [
  createBridgedClaim,
  readBridgedClaim,
  finalizeClaim,
  settleClaim,
  readAnchorStatus,
  createWorkflowClaim,
  createWorkflowPreauth,
  readWorkflowRequest,
];
