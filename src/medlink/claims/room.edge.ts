import type { Operation } from "../operation.edge.ts";
import { correctClaim } from "./correct-claim.route.ts";
import { createClaim } from "./create-claim.route.ts";
import { listClaimsRoute } from "./list-claims.route.ts";
import { readClaim } from "./read-claim.route.ts";
import { readProof } from "./read-proof.route.ts";
import { readTimelineRoute } from "./read-timeline.route.ts";
import { requeueClaim } from "./requeue-claim.route.ts";
import { submitClaim } from "./submit-claim.route.ts";
import { updateClaim } from "./update-claim.route.ts";

export const CLAIMS: readonly Operation[] = [
  listClaimsRoute,
  createClaim,
  readClaim,
  updateClaim,
  submitClaim,
  requeueClaim,
  correctClaim,
  readTimelineRoute,
  readProof,
];
