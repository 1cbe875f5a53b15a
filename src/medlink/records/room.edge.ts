import type { Operation } from "../operation.edge.ts";
import { createInsurer } from "./create-insurer.route.ts";
import { createPatient } from "./create-patient.route.ts";
import { createProvider } from "./create-provider.route.ts";
import { listInsurersRoute } from "./list-insurers.route.ts";
import { listPatientsRoute, searchPatients } from "./list-patients.route.ts";
import { listProvidersRoute } from "./list-providers.route.ts";
import { readClinic } from "./read-clinic.route.ts";
import { readInsurer } from "./read-insurer.route.ts";
import { readPatient } from "./read-patient.route.ts";
import { readProvider } from "./read-provider.route.ts";
import { updateClinic } from "./update-clinic.route.ts";
import { updateInsurer } from "./update-insurer.route.ts";
import { updatePatient } from "./update-patient.route.ts";
import { updateProvider } from "./update-provider.route.ts";

export const RECORDS: readonly Operation[] = [
  listPatientsRoute,
  createPatient,
  searchPatients,
  readPatient,
  updatePatient,
  listProvidersRoute,
  createProvider,
  readProvider,
  updateProvider,
  listInsurersRoute,
  createInsurer,
  readInsurer,
  updateInsurer,
  readClinic,
  updateClinic,
];
