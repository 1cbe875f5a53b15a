/** A hub claim as connectors take it. */
import { parseMoney } from "../../platform/money.ts";
import type { Claim } from "../claims/claim.ts";
import { offchainPayload } from "../claims/offchain-payload.ts";
import type { Coverage, EdiClaim } from "./connector.ts";

export type EdiContent = Omit<EdiClaim, "transactionId" | "reference">;

/** Lines are those that iTrans has: the two must not tell different stories. */
export function ediContent(
  claim: Claim,
  parties: Pick<EdiClaim, "patient" | "provider" | "insurerName">,
  coverage: Coverage,
): EdiContent {
  const { currency, minor } = claim.amount;
  return {
    ...parties,
    type: claim.type,
    serviceDate: claim.details.serviceDate ?? new Date(claim.createdAt).toISOString().slice(0, 10),
    currency,
    totalMinor: minor,
    services: offchainPayload(claim).services.map(({ code, description, quantity, unitPrice }) => ({
      code,
      description,
      quantity,
      totalMinor: (parseMoney(unitPrice, currency)?.minor ?? 0) * quantity,
    })),
    diagnoses: claim.details.diagnoses ?? [],
    coverage,
  };
}
