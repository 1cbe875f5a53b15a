import type { Operation } from "../operation.edge.ts";
import { createFhirClaim } from "./create-claim.route.ts";
import { processBundle } from "./process-bundle.route.ts";
import { readFhirClaim } from "./read-claim.route.ts";
import { readFhirClaimResponse } from "./read-claim-response.route.ts";
import { readFhirMetadata } from "./read-metadata.route.ts";
import { searchFhirClaimResponse } from "./search-claim-response.route.ts";

export const FHIR: readonly Operation[] = [
  readFhirMetadata,
  processBundle,
  createFhirClaim,
  readFhirClaim,
  readFhirClaimResponse,
  searchFhirClaimResponse,
];
