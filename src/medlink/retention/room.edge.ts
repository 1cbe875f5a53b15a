import type { Operation } from "../operation.edge.ts";
import { erasePatientRoute, readErasure } from "./erase-patient.route.ts";
import { exportPatient } from "./export-patient.route.ts";

export const RETENTION: readonly Operation[] = [exportPatient, erasePatientRoute, readErasure];
