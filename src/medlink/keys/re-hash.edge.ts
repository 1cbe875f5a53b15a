/**
 * Every keyed hash made anew under the current HASH_KEY from what is sealed beside it, and with it what rows of before have
 * none of: the words that a patient is found by. Two rows with one unique value can only come from a worker that did not know the
 * new key yet: the older one is held, for a person to look at.
 */
import { emailHash } from "../accounts/accounts.store.ts";
import type { Fields } from "../fields.ts";
import { patientHashes } from "../records/patients.store.ts";
import {
  countFiled,
  countHashed,
  emailsUpdate,
  filedUpdate,
  patientsUpdate,
  readEmails,
  readFiled,
  readPatientHashes,
  readTakenEmails,
  readTakenHealthNumbers,
} from "./re-hash.store.ts";
import type { Place, Renewal } from "./renewal.edge.ts";

export const RE_HASH: Renewal = {
  task: "re-hash",
  keyId: ({ fields }) => fields.currentHashKeyId,
  places: async ({ db, fields }) => [
    emails(db, fields, "users"),
    emails(db, fields, "invitations"),
    patients(db, fields),
    filed(db, fields, "bulk"),
    filed(db, fields, "fhir"),
  ],
  // A hash does not tell its key: it is done when a whole pass found nothing to change.
  left: async (_, { changedInPass }) => changedInPass,
};

const emails = (db: D1Database, fields: Fields, table: "users" | "invitations"): Place => ({
  name: table,
  count: () => countHashed(db, table),
  async renew(after, limit) {
    const rows = await readEmails(db, fields, table, after, limit);
    const stale = rows.flatMap(({ id, email, hash }) => {
      const next = emailHash(fields, email);
      return next === hash ? [] : [{ id, hash, next }];
    });
    const taken =
      table === "invitations" || stale.length === 0
        ? new Set()
        : await readTakenEmails(
            db,
            stale.map(({ next }) => next),
          );
    const changed = stale.filter(({ next }) => !taken.has(next));
    return {
      read: rows.length,
      changed: changed.length,
      held: stale.length - changed.length,
      lastKey: rows.at(-1)?.id,
      statements: changed.length === 0 ? [] : [emailsUpdate(db, table, changed)],
    };
  },
});

const patients = (db: D1Database, fields: Fields): Place => ({
  name: "patients",
  count: () => countHashed(db, "patients"),
  async renew(after, limit) {
    const rows = await readPatientHashes(db, fields, after, limit);
    const wanted = rows.map(({ stored, sealed, ...patient }) => ({
      id: patient.patientId,
      clinicId: patient.clinicId,
      sealed,
      stored,
      ...patientHashes(fields, patient),
    }));
    const stale = wanted.filter(
      ({ stored, healthNumber, name, terms }) =>
        stored.healthNumber !== healthNumber ||
        stored.name !== name ||
        stored.terms.length !== terms.length ||
        terms.some((term) => !stored.terms.includes(term)),
    );
    const taken = await readTakenHealthNumbers(db, stale);
    const changed = stale
      .map((patient) => (taken.has(patient.id) ? { ...patient, healthNumber: patient.stored.healthNumber } : patient))
      .filter(({ id, stored, name }) => !taken.has(id) || stored.name !== name);
    return {
      read: rows.length,
      changed: changed.length,
      held: taken.size,
      lastKey: rows.at(-1)?.patientId,
      statements: changed.length === 0 ? [] : patientsUpdate(db, changed),
    };
  },
});

const filed = (db: D1Database, fields: Fields, kind: "bulk" | "fhir"): Place => ({
  name: `filed.${kind}`,
  count: () => countFiled(db, kind),
  async renew(after, limit) {
    const rows = await readFiled(db, fields, kind, after, limit);
    const changed = rows.flatMap(({ claimId, clinicId, source, keyHash, contentHash }) => {
      const [ofKey, ofContent] =
        kind === "bulk" ? (["bulk-row", "bulk-row"] as const) : (["identifier", "content"] as const);
      const key = fields.hash(ofKey, clinicId, source.key);
      const content = fields.hash(ofContent, clinicId, source.content);
      return key === keyHash && content === contentHash ? [] : [{ claimId, key, content }];
    });
    return {
      read: rows.length,
      changed: changed.length,
      held: 0,
      lastKey: rows.at(-1)?.claimId,
      statements: changed.length === 0 ? [] : [filedUpdate(db, kind, changed)],
    };
  },
});
