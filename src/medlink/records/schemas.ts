/** The records of a clinic as its API shows them. */
import { z } from "@hono/zod-openapi";
import { iso } from "../page-query.ts";
import type { Insurer, Patient, Provider } from "./record.ts";

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

// `id` says the same as the id named after its kind: clients read either.
const shown = { id: z.string(), createdAt: z.string() };

export const patientSchema = patientFields.extend({ ...shown, patientId: z.string() }).openapi("Patient");
export const providerSchema = providerFields.extend({ ...shown, providerId: z.string() }).openapi("Provider");
export const insurerSchema = insurerFields.extend({ ...shown, insurerId: z.string() }).openapi("Insurer");

export const nextCursor = z.string().nullable();

export const showPatient = (patient: Patient) => ({
  ...patient,
  id: patient.patientId,
  createdAt: iso(patient.createdAt),
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
