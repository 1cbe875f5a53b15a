/** The records of a clinic as its API shows them. */
import { z } from "@hono/zod-openapi";
import { LOCALES } from "../accounts/user.ts";
import { iso } from "../page-query.ts";
import { type Clinic, type Insurer, type Patient, type Provider, RETENTION_YEARS } from "./record.ts";

const name = z.string().trim().min(1).max(200);

export const patientFields = z.object({
  firstName: name,
  lastName: name,
  birthDate: z.iso.date().optional(),
  healthNumber: z.string().trim().min(1).max(40).optional(),
  notes: z.string().max(10_000).optional(),
});

export const providerFields = z.object({ name, licenceNumber: z.string().trim().min(1).max(40).optional() });

export const insurerFields = z.object({
  name,
  insurerAddress: z.string().regex(/^0x[0-9a-fA-F]{40}$/, "0x and 40 hex digits"),
});

/** null takes a field away; what is not named stays. */
export const patientPatch = z
  .object({
    firstName: name,
    lastName: name,
    birthDate: patientFields.shape.birthDate.nullable(),
    healthNumber: patientFields.shape.healthNumber.nullable(),
    notes: patientFields.shape.notes.nullable(),
  })
  .partial();

export const providerPatch = z.object({ name, licenceNumber: providerFields.shape.licenceNumber.nullable() }).partial();

export const insurerPatch = insurerFields.partial();

/** What a list of names is searched by: part of a name. */
export const nameQuery = z.string().trim().min(1).max(100).optional();

export const clinicPatch = z
  .object({
    name,
    locale: z.enum(LOCALES),
    retentionYears: z.number().int().min(RETENTION_YEARS.min).max(RETENTION_YEARS.max),
  })
  .partial();

// `id` says the same as the id named after its kind: clients read either.
const shown = { id: z.string(), createdAt: z.string() };

export const patientSchema = patientFields.extend({ ...shown, patientId: z.string() }).openapi("Patient");
export const providerSchema = providerFields.extend({ ...shown, providerId: z.string() }).openapi("Provider");
export const insurerSchema = insurerFields.extend({ ...shown, insurerId: z.string() }).openapi("Insurer");

export const clinicSchema = clinicPatch
  .required()
  .extend({ id: z.string(), clinicId: z.string(), createdAt: z.string() })
  .openapi("Clinic");

export const nextCursor = z.string().nullable();

export const showPatient = ({
  patientId,
  firstName,
  lastName,
  birthDate,
  healthNumber,
  notes,
  createdAt,
}: Patient) => ({
  id: patientId,
  patientId,
  firstName,
  lastName,
  birthDate,
  healthNumber,
  notes,
  createdAt: iso(createdAt),
});

export const showProvider = (provider: Provider) => ({
  ...provider,
  id: provider.providerId,
  createdAt: iso(provider.createdAt),
});

export const showInsurer = (insurer: Insurer) => ({
  ...insurer,
  id: insurer.insurerId,
  createdAt: iso(insurer.createdAt),
});

export const showClinic = (clinic: Clinic) => ({ ...clinic, id: clinic.clinicId, createdAt: iso(clinic.createdAt) });
