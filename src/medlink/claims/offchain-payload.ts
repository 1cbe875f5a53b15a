/** What is signed and sent to core for one claim. The same claim always gives the same bytes, so a resend is recognized. */
import { formatMoney, parseMoney } from "../../platform/money.ts";
import type { Claim, ClaimDetails, ClaimType, Diagnosis, ProcedureCode } from "./claim.ts";

export interface Service {
  readonly code: string;
  readonly description: string;
  readonly quantity: number;
  /** Major units. */
  readonly unitPrice: number;
}

export interface OffchainPayload {
  readonly patientId: string;
  readonly providerId: string;
  readonly services: readonly Service[];
  /** Major units. */
  readonly totalAmount: number;
  readonly currency: string;
  readonly insurerId: string;
  readonly notes: string;
  readonly type: ClaimType;
  /** These only where the claim says so. */
  readonly serviceDate?: string;
  readonly category?: NonNullable<ClaimDetails["category"]>;
  readonly diagnoses?: readonly Diagnosis[];
}

/** Codes without a price share what the priced ones leave of the total; minor units that do not divide go to the first. */
function services(claim: Pick<Claim, "amount" | "details">): readonly Service[] {
  const { currency } = claim.amount;
  const major = (minor: number): number => Number(formatMoney({ minor, currency }));
  const parts = claim.details.codes.map((entry) => readCode(entry, currency));
  const priced = parts.reduce((sum, part) => sum + (part.unitMinor ?? 0) * part.quantity, 0);
  const unpriced = parts.filter((part) => part.unitMinor === undefined).length;
  const rest = Math.max(claim.amount.minor - priced, 0);
  const share = unpriced === 0 ? 0 : Math.floor(rest / unpriced);
  let remainder = rest - share * unpriced;
  return parts.map(({ code, description, quantity, unitMinor }) => {
    if (unitMinor !== undefined) return { code, description, quantity, unitPrice: major(unitMinor) };
    const lineMinor = share + remainder;
    remainder = 0;
    return { code, description, quantity, unitPrice: major(Math.floor(lineMinor / quantity)) };
  });
}

function readCode(entry: ProcedureCode, currency: string) {
  if (typeof entry === "string") return { code: entry, description: entry, quantity: 1, unitMinor: undefined };
  return {
    code: entry.code,
    description: entry.description ?? entry.code,
    quantity: entry.quantity ?? 1,
    unitMinor: entry.unitPrice === undefined ? undefined : parseMoney(entry.unitPrice, currency)?.minor,
  };
}

export function offchainPayload(
  claim: Pick<Claim, "patientId" | "providerId" | "insurerId" | "amount" | "details" | "type">,
): OffchainPayload {
  const { serviceDate, category, diagnoses } = claim.details;
  return {
    patientId: claim.patientId,
    providerId: claim.providerId,
    services: services(claim),
    totalAmount: Number(formatMoney(claim.amount)),
    currency: claim.amount.currency,
    insurerId: claim.insurerId,
    notes: claim.details.notes,
    type: claim.type,
    ...(serviceDate === undefined ? {} : { serviceDate }),
    ...(category === undefined ? {} : { category }),
    ...(diagnoses === undefined || diagnoses.length === 0 ? {} : { diagnoses }),
  };
}
