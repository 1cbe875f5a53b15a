/** The demo clinic. Its ids are fixed, so that seeding twice is seeding once; its people are invented. */
import type { OperatorUser, User } from "../accounts/user.ts";
import type { PatientDetails } from "../records/record.ts";

/** Of the insurer that `npm start` runs beside the hub. */
export const DEMO_INSURER_ADDRESS = "0x00000000000000000000000000000000000a11ce";

export const DEMO = {
  clinicId: "cln_demo",
  clinicName: "Maple Street Dental (demo)",
  adminId: "usr_demo_admin",
  patients: [
    {
      patientId: "pat_demo_1",
      details: { firstName: "Avery", lastName: "Tremblay", birthDate: "1984-03-12", healthNumber: "9990 001 111" },
    },
    {
      patientId: "pat_demo_2",
      details: { firstName: "Jordan", lastName: "Okafor", birthDate: "2011-09-30", healthNumber: "9990 002 222" },
    },
  ],
  providers: [{ providerId: "prv_demo_1", name: "Dr. Demo Provider", licenceNumber: "DEMO-001" }],
  insurer: { insurerId: "ins_demo_1", name: "Demo Mutual" },
} as const satisfies {
  readonly patients: readonly { readonly patientId: string; readonly details: PatientDetails }[];
} & Record<string, unknown>;

/** The clinic's staff beside the administrator; they share the password that seeding was given. */
export const DEMO_STAFF = [
  { userId: "usr_demo_provider", role: "provider", email: "provider@demo.invalid", name: "Demo Provider" },
  { userId: "usr_demo_billing", role: "billing", email: "billing@demo.invalid", name: "Demo Billing" },
] as const satisfies readonly Omit<User, "clinicId">[];

/** Of no clinic: sees the operations pages. The same password. */
export const DEMO_OPERATOR = {
  userId: "usr_demo_operator",
  clinicId: null,
  role: "operator",
  email: "operator@demo.invalid",
  name: "Demo Operator",
} as const satisfies OperatorUser;
