/** Who a claim is about, who treated, who pays, and the clinic that keeps the records. */
import type { Locale } from "../accounts/user.ts";

export interface PatientDetails {
  readonly firstName: string;
  readonly lastName: string;
  /** `YYYY-MM-DD`. */
  readonly birthDate?: string | undefined;
  readonly healthNumber?: string | undefined;
  readonly notes?: string | undefined;
}

export interface Patient extends PatientDetails {
  readonly patientId: string;
  readonly createdAt: number;
}

export interface Provider {
  readonly providerId: string;
  readonly name: string;
  readonly licenceNumber: string | undefined;
  readonly createdAt: number;
}

export interface Insurer {
  readonly insurerId: string;
  readonly name: string;
  /** EVM address, `0x` and 40 hex digits. */
  readonly insurerAddress: string;
  readonly createdAt: number;
}

export interface Clinic {
  readonly clinicId: string;
  readonly name: string;
  readonly locale: Locale;
  /** How long personal data is kept after a claim's last change. */
  readonly retentionYears: number;
  readonly createdAt: number;
}

export const RETENTION_YEARS = { min: 1, max: 100 } as const;
