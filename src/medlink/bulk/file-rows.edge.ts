/** Files the rows of a file: each valid row once, whatever happens between, and however often the file is sent. */
import type { Deed } from "../audit/audited.edge.ts";
import { wakeConsumers } from "../auto-submit/drain.edge.ts";
import { DECIDE_AGAIN_LIMIT, isTaken } from "../batch.store.ts";
import { cachedInsurers, cachedProviders } from "../cache/record-cache.edge.ts";
import type { Claim } from "../claims/claim.ts";
import { readAmount } from "../claims/show-claim.ts";
import { batchWithEvents } from "../claims/write-events.edge.ts";
import { newId } from "../ids.ts";
import type { FiledSource } from "../keys/filed-sources.store.ts";
import { healthNumberHashes } from "../records/patients.store.ts";
import {
  type FiledRow,
  filedRowsInsert,
  findFilablePatients,
  findFiledRows,
  type JobForClaim,
  queueClaimsStatements,
} from "./bulk.store.ts";
import type { BulkFields, ReadRow, RowFault } from "./bulk-file.ts";

export const ROW_RESULTS = ["valid", "filed", "filed_before", "duplicate", "invalid"] as const;

export interface RowReport {
  readonly row: number;
  readonly result: (typeof ROW_RESULTS)[number];
  readonly claimId: string | null;
  /** Its job on the way to core; null when it has none of this call. */
  readonly jobId: string | null;
  /** The earlier row of this file that says the same. */
  readonly sameAsRow: number | null;
  readonly faults: readonly RowFault[];
}

/** A row whose parties exist, with what it is recognized by. */
interface KnownRow {
  readonly row: number;
  readonly fields: BulkFields;
  readonly patientId: string;
  /** What the hashes are made of. */
  readonly source: FiledSource;
  /** Under the key of now, then under those still accepted. */
  readonly rowKeys: readonly [string, ...string[]];
  readonly contentHashes: readonly [string, ...string[]];
}

type Resolved = KnownRow | { readonly row: number; readonly faults: readonly RowFault[] };

const CHUNK = 100;

const report = (row: number, result: RowReport["result"], more: Partial<RowReport> = {}): RowReport => ({
  row,
  result,
  claimId: null,
  jobId: null,
  sameAsRow: null,
  faults: [],
  ...more,
});

const REUSED: readonly RowFault[] = [
  { column: "reference", rule: "reused", message: "was used for a row that says something else" },
];

/** @returns one report a row, in the file's order. */
export async function fileRows(deed: Deed, rows: readonly ReadRow[], dryRun: boolean): Promise<readonly RowReport[]> {
  const { hub } = deed;
  const reports = new Map<number, RowReport>();
  const resolved = await resolve(deed, rows);
  const byKey = new Map<string, KnownRow>();
  for (const one of resolved) {
    if ("faults" in one) {
      reports.set(one.row, report(one.row, "invalid", { faults: one.faults }));
      continue;
    }
    const [rowKey] = one.rowKeys;
    const first = byKey.get(rowKey);
    if (first === undefined) byKey.set(rowKey, one);
    else if (first.source.content !== one.source.content)
      reports.set(one.row, report(one.row, "invalid", { faults: REUSED }));
    else reports.set(one.row, report(one.row, "duplicate", { sameAsRow: first.row }));
  }
  const distinct = [...byKey.values()];
  for (let at = 0; at < distinct.length; at += CHUNK) {
    const chunk = distinct.slice(at, at + CHUNK);
    const filed = dryRun ? await lookAt(deed, chunk) : await fileChunk(deed, chunk);
    for (const one of filed) reports.set(one.row, one);
  }
  if ([...reports.values()].some(({ jobId }) => jobId !== null)) await wakeConsumers(hub);
  hub.log("info", "bulk", {
    count: reports.size,
    code: dryRun ? "dry-run" : "filed",
    correlationId: deed.correlationId,
    size: byKey.size,
  });
  // Of a duplicate the report names the claim of the row that it repeats.
  const byRow = rows.map(({ row }) => reports.get(row) ?? report(row, "invalid"));
  return byRow.map((one) =>
    one.sameAsRow === null ? one : { ...one, claimId: reports.get(one.sameAsRow)?.claimId ?? null },
  );
}

async function resolve({ hub, user }: Deed, rows: readonly ReadRow[]): Promise<readonly Resolved[]> {
  const { clinicId } = user;
  const hashesOf = (healthNumber: string): readonly string[] => healthNumberHashes(hub.fields, clinicId, healthNumber);
  const valid = rows.flatMap((one) => (one.ok ? [one.fields] : []));
  const [patients, providers, insurers] = await Promise.all([
    findFilablePatients(hub.db, clinicId, {
      ids: valid.flatMap(({ patientId }) => patientId ?? []),
      healthNumberHashes: valid.flatMap(({ healthNumber }) =>
        healthNumber === undefined ? [] : hashesOf(healthNumber),
      ),
    }),
    cachedProviders(
      hub,
      clinicId,
      valid.map(({ providerId }) => providerId),
    ),
    cachedInsurers(
      hub,
      clinicId,
      valid.map(({ insurerId }) => insurerId),
    ),
  ]);
  return rows.map((one): Resolved => {
    if (!one.ok) return one;
    const { row, fields } = one;
    const patientId =
      fields.healthNumber === undefined
        ? [fields.patientId ?? ""].find((id) => patients.ids.has(id))
        : hashesOf(fields.healthNumber).flatMap((hash) => patients.byHealthNumber.get(hash) ?? [])[0];
    const faults: RowFault[] = [];
    const missing = (column: string) =>
      faults.push({ column, rule: "unknown", message: "this clinic has no such record" });
    if (patientId === undefined) missing(fields.healthNumber === undefined ? "patientId" : "healthNumber");
    if (!providers.has(fields.providerId)) missing("providerId");
    if (!insurers.has(fields.insurerId)) missing("insurerId");
    if (patientId === undefined || faults.length > 0) return { row, faults };
    const money = readAmount(fields.amount, fields.currency, []);
    const minor = money.ok ? money.amount.minor : 0;
    const { providerId, insurerId, type, currency, codes, notes, reference } = fields;
    const content = JSON.stringify([patientId, providerId, insurerId, type, minor, currency, codes, notes]);
    const key = JSON.stringify(reference === undefined ? ["content", content] : ["reference", reference]);
    const hashes = (value: string) => hub.fields.hashes("bulk-row", clinicId, value);
    return { row, fields, patientId, source: { key, content }, rowKeys: hashes(key), contentHashes: hashes(content) };
  });
}

/** What filing would do. */
async function lookAt({ hub, user }: Deed, chunk: readonly KnownRow[]): Promise<readonly RowReport[]> {
  const known = await findFiledRows(
    hub.db,
    user.clinicId,
    chunk.flatMap(({ rowKeys }) => rowKeys),
  );
  return chunk.map((one) => reportKnown(one, known) ?? report(one.row, "valid"));
}

function reportKnown(
  { row, rowKeys, contentHashes }: KnownRow,
  known: Awaited<ReturnType<typeof findFiledRows>>,
): RowReport | undefined {
  const filed = rowKeys.flatMap((rowKey) => known.get(rowKey) ?? [])[0];
  if (filed === undefined) return undefined;
  if (!contentHashes.includes(filed.contentHash)) return report(row, "invalid", { faults: REUSED });
  return report(row, "filed_before", { claimId: filed.claimId });
}

async function fileChunk(deed: Deed, chunk: readonly KnownRow[]): Promise<readonly RowReport[]> {
  const { hub, user, correlationId } = deed;
  const { clinicId, userId } = user;
  for (let round = 0; round < DECIDE_AGAIN_LIMIT; round++) {
    const known = await findFiledRows(
      hub.db,
      clinicId,
      chunk.flatMap(({ rowKeys }) => rowKeys),
    );
    const now = hub.now();
    const fresh: FiledRow[] = [];
    const reports = chunk.map((one): RowReport => {
      const before = reportKnown(one, known);
      if (before !== undefined) return before;
      const claim = claimOf(deed, one, now);
      const { source, rowKeys, contentHashes } = one;
      fresh.push({ claim, source, rowKey: rowKeys[0], contentHash: contentHashes[0] });
      return report(one.row, "filed", { claimId: claim.claimId });
    });
    // Rows filed before are queued too, if they are still to be submitted: the queue may have been full then.
    const jobs = reports.flatMap(({ claimId }): JobForClaim[] =>
      claimId === null ? [] : [{ claimId, jobId: newId("job", hub.random) }],
    );
    const by = {
      userId,
      correlationId,
      maxAttempts: hub.settings.ITRANS_AUTO_SUBMIT_MAX_ATTEMPTS,
      queueLimit: hub.settings.ITRANS_AUTO_SUBMIT_QUEUE_LIMIT,
    };
    try {
      const results = await batchWithEvents<JobForClaim>(hub, [
        ...(fresh.length === 0 ? [] : await filedRowsInsert(hub.db, hub.fields, fresh, correlationId)),
        ...queueClaimsStatements(hub.db, clinicId, jobs, by, now),
      ]);
      const queued = new Map(results.at(-1)?.results.map(({ claimId, jobId }) => [claimId, jobId]));
      return reports.map((one) => ({ ...one, jobId: queued.get(one.claimId ?? "") ?? null }));
    } catch (thrown) {
      // The same file, sent twice at once: look again at what the other one filed.
      if (!isTaken(thrown, "bulk_rows.clinic_id") && !isTaken(thrown, "auto_submit_jobs.claim_id")) throw thrown;
    }
  }
  throw new Error("rows were filed by others too often to be filed here");
}

function claimOf({ hub, user }: Deed, { fields, patientId }: KnownRow, now: number): Claim {
  const money = readAmount(fields.amount, fields.currency, []);
  if (!money.ok) throw new Error("a row that was read has an amount");
  return {
    claimId: newId("clm", hub.random),
    clinicId: user.clinicId,
    patientId,
    providerId: fields.providerId,
    insurerId: fields.insurerId,
    type: fields.type,
    status: "draft",
    amount: money.amount,
    details: { codes: fields.codes, notes: fields.notes },
    requestId: undefined,
    requestIdHash: undefined,
    lastEvent: undefined,
    createdBy: user.userId,
    version: 0,
    createdAt: now,
    updatedAt: now,
  };
}
