import * as z from "zod";
import { viewed } from "../../audit/audited.edge.ts";
import { listClaims } from "../../claims/claims.store.ts";
import { decodeCursor } from "../../page.ts";
import { findPatient, listPatients } from "../../records/patients.store.ts";
import { findErasure } from "../../retention/erasure.store.ts";
import { page } from "../page.edge.tsx";
import { claimLines } from "./parties.edge.ts";
import { NewPatientView, PatientsView, PatientView } from "./patients.view.tsx";

const ROWS = 50;
const CLAIMS = 20;

const text = (max: number) =>
  z
    .string()
    .trim()
    .max(max)
    .optional()
    .transform((value) => (value === "" ? undefined : value));

/** The search is posted to the page itself: a name in an address would be in logs and histories. */
export const patientsPage = page(
  {
    path: "/patients",
    params: z.object({ q: text(200), healthNumber: text(40), cursor: z.string().max(100).optional() }),
    form: true,
  },
  async (input) => {
    const { hub, ui, user, params, request } = input;
    const searched = request.method === "POST" && (params.q !== undefined || params.healthNumber !== undefined);
    const search = searched ? { q: params.q, healthNumber: params.healthNumber } : undefined;
    const [found] = await Promise.all([
      listPatients(hub.db, hub.fields, user.clinicId, {
        q: search?.q,
        healthNumber: search?.healthNumber,
        limit: ROWS,
        after: params.cursor === undefined || searched ? undefined : decodeCursor(params.cursor),
      }),
      viewed(input, "patients.view", "patients"),
    ]);
    return {
      type: "page",
      title: ui.t("patients.title"),
      body: (
        <PatientsView
          ui={ui}
          patients={found.items}
          search={search}
          cursor={params.cursor}
          nextCursor={found.nextCursor}
        />
      ),
    };
  },
);

export const newPatientPage = page({ path: "/patients/new", params: z.object({}) }, async ({ ui }) => ({
  type: "page",
  title: ui.t("patient.new"),
  body: <NewPatientView ui={ui} />,
}));

export const patientPage = page(
  { path: "/patients/{patientId}", params: z.object({ patientId: z.string().max(64) }) },
  async (input) => {
    const { hub, ui, user, params } = input;
    const { clinicId } = user;
    const patient = await findPatient(hub.db, hub.fields, clinicId, params.patientId);
    if (patient === undefined) return { type: "error", status: 404 };
    const { patientId } = patient;
    const [claims, erasure] = await Promise.all([
      listClaims(hub.db, hub.fields, clinicId, { patientId, limit: CLAIMS, after: undefined }),
      findErasure(hub.db, clinicId, patientId),
      viewed(input, "patient.view", patientId),
    ]);
    return {
      type: "page",
      // Not the name: titles stand in histories and on shared screens.
      title: ui.t("patients.title"),
      body: (
        <PatientView
          ui={ui}
          patient={patient}
          claims={await claimLines(hub, clinicId, claims.items)}
          moreClaims={claims.nextCursor !== undefined}
          erasingSince={erasure?.requestedAt}
          mayErase={user.role === "admin"}
        />
      ),
    };
  },
);
