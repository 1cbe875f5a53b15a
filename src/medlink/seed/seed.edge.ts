/** Puts the demo clinic into the database; run again, it sets names, addresses and passwords to what it is given. */
import { userUpsert } from "../accounts/accounts.store.ts";
import { hashPassword } from "../accounts/password.ts";
import type { Account } from "../accounts/user.ts";
import type { Hub } from "../hub.edge.ts";
import { clinicUpsert, insurerUpsert, patientUpsert, providerUpsert } from "../records/records.store.ts";
import { DEMO, DEMO_OPERATOR, DEMO_STAFF } from "./demo.ts";

export interface SeedInput {
  readonly adminEmail: string;
  readonly adminPassword: string;
  /** `0x` and 40 hex digits. */
  readonly insurerAddress: string;
}

export interface SeededIds {
  readonly clinicId: string;
  readonly users: readonly { readonly userId: string; readonly role: string; readonly email: string }[];
  readonly patientIds: readonly string[];
  readonly providerIds: readonly string[];
  readonly insurerIds: readonly string[];
}

export async function seedDemo(hub: Hub, input: SeedInput): Promise<SeededIds> {
  const now = hub.now();
  const { clinicId, insurer } = DEMO;
  const passwordHash = await hashPassword(input.adminPassword, hub.random);
  const users: readonly Account[] = [
    { userId: DEMO.adminId, clinicId, role: "admin", email: input.adminEmail, name: "Demo Administrator" },
    ...DEMO_STAFF.map((user) => ({ ...user, clinicId })),
    DEMO_OPERATOR,
  ];
  const people = await Promise.all([
    ...users.map((user) => userUpsert(hub.db, hub.fields, user, passwordHash, now)),
    ...DEMO.patients.map((patient) => patientUpsert(hub.db, hub.fields, { ...patient, clinicId }, now)),
  ]);
  await hub.db.batch([
    clinicUpsert(hub.db, clinicId, DEMO.clinicName, now),
    ...people,
    ...DEMO.providers.map((provider) => providerUpsert(hub.db, { ...provider, clinicId }, now)),
    insurerUpsert(hub.db, { ...insurer, insurerAddress: input.insurerAddress, clinicId }, now),
  ]);
  return {
    clinicId,
    users: users.map(({ userId, role, email }) => ({ userId, role, email })),
    patientIds: DEMO.patients.map(({ patientId }) => patientId),
    providerIds: DEMO.providers.map(({ providerId }) => providerId),
    insurerIds: [insurer.insurerId],
  };
}
