import { and, eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import * as z from "zod";
import type { Fields } from "../fields.ts";
import { insurers, patients, providers } from "../schema.ts";
import type { EdiClaim } from "./connector.ts";

const personalSchema = z.object({
  firstName: z.string(),
  lastName: z.string(),
  birthDate: z.string().optional(),
  healthNumber: z.string().optional(),
});

export type Parties = Pick<EdiClaim, "patient" | "provider" | "insurerName">;

/** Who a claim is about. @returns undefined when the clinic has one of them no more. */
export async function readParties(
  db: D1Database,
  fields: Fields,
  claim: {
    readonly clinicId: string;
    readonly patientId: string;
    readonly providerId: string;
    readonly insurerId: string;
  },
): Promise<Parties | undefined> {
  const { clinicId, patientId, providerId, insurerId } = claim;
  const orm = drizzle(db);
  const [[patient], [provider], [insurer]] = await orm.batch([
    orm
      .select({ sealed: patients.personalSealed })
      .from(patients)
      .where(and(eq(patients.patientId, patientId), eq(patients.clinicId, clinicId))),
    orm
      .select({ name: providers.name, licenceNumber: providers.licenceNumber })
      .from(providers)
      .where(and(eq(providers.providerId, providerId), eq(providers.clinicId, clinicId))),
    orm
      .select({ name: insurers.name })
      .from(insurers)
      .where(and(eq(insurers.insurerId, insurerId), eq(insurers.clinicId, clinicId))),
  ]);
  if (patient === undefined || provider === undefined || insurer === undefined) return undefined;
  const { firstName, lastName, birthDate, healthNumber } = personalSchema.parse(
    await fields.open(patient.sealed, `patients/${patientId}`),
  );
  return {
    patient: { firstName, lastName, birthDate, healthNumber },
    provider: { name: provider.name, licenceNumber: provider.licenceNumber ?? undefined },
    insurerName: insurer.name,
  };
}
