/** Puts the demo clinic and the people around it into the database. */
import { existingUserIds, userInsertIfNew, userUpsert } from "../accounts/accounts.store.ts";
import { hashPassword } from "../accounts/password.ts";
import type { Account } from "../accounts/user.ts";
import type { Hub } from "../hub.edge.ts";
import { patientUpsert } from "../records/patients.store.ts";
import { clinicUpsert, insurerUpsert, providerUpsert } from "../records/records.store.ts";
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
  /** Ids of the accounts made now. */
  readonly created: readonly string[];
}

/** @param accounts `set`: those that are there get the given address and password; `keep`: they stay as they are. */
export async function seedDemo(hub: Hub, input: SeedInput, accounts: "set" | "keep"): Promise<SeededIds> {
  const now = hub.now();
  const { clinicId, insurer } = DEMO;
  const passwordHash = await hashPassword(input.adminPassword, hub.random);
  const users: readonly Account[] = [
    { userId: DEMO.adminId, clinicId, role: "admin", email: input.adminEmail, name: "Demo Administrator" },
    ...DEMO_STAFF.map((user) => ({ ...user, clinicId })),
    DEMO_OPERATOR,
  ];
  const userIds = users.map(({ userId }) => userId);
  const before = await existingUserIds(hub.db, userIds);
  const put = accounts === "set" ? userUpsert : userInsertIfNew;
  const staff = await Promise.all(users.map((user) => put(hub.db, hub.fields, user, passwordHash, now)));
  const patients = await Promise.all(
    DEMO.patients.map((patient) => patientUpsert(hub.db, hub.fields, { ...patient, clinicId }, now)),
  );
  await hub.db.batch([
    clinicUpsert(hub.db, clinicId, DEMO.clinicName, now),
    ...staff,
    ...patients.flat(),
    ...DEMO.providers.map((provider) => providerUpsert(hub.db, { ...provider, clinicId }, now)),
    insurerUpsert(hub.db, { ...insurer, insurerAddress: input.insurerAddress, clinicId }, now),
  ]);
  const after = await existingUserIds(hub.db, userIds);
  return {
    clinicId,
    created: userIds.filter((userId) => after.has(userId) && !before.has(userId)),
    users: users.map(({ userId, role, email }) => ({ userId, role, email })),
    patientIds: DEMO.patients.map(({ patientId }) => patientId),
    providerIds: DEMO.providers.map(({ providerId }) => providerId),
    insurerIds: [insurer.insurerId],
  };
}
