import { and, asc, eq, gte, isNull, sql } from "drizzle-orm";
import { drizzle } from "drizzle-orm/d1";
import * as z from "zod";
import type { Job } from "../auto-submit/job.ts";
import { type JobRow, liveJobSelect, readJobRow } from "../auto-submit/jobs.store.ts";
import { columnsOf } from "../columns.store.ts";
import type { Fields } from "../fields.ts";
import { cutPage, type Page, type PageKey } from "../page.ts";
import { claimEvents, claims } from "../schema.ts";
import { CLAIM_CATEGORIES, type Claim, type ClaimDetails, type ClaimStatus, type ClaimType } from "./claim.ts";
import { type ClaimFilter, indexFor } from "./claim-filter.ts";

const detailsSchema = z.object({
  codes: z.array(
    z.union([
      z.string(),
      z.object({
        code: z.string(),
        description: z.string().optional(),
        quantity: z.number().optional(),
        unitPrice: z.string().optional(),
      }),
    ]),
  ),
  notes: z.string(),
  diagnoses: z
    .array(z.object({ system: z.string().optional(), code: z.string(), display: z.string().optional() }))
    .optional(),
  identifiers: z.array(z.object({ system: z.string().optional(), value: z.string() })).optional(),
  category: z.enum(CLAIM_CATEGORIES).optional(),
  serviceDate: z.string().optional(),
});

export const claimPlace = (claimId: string): string => `claims/${claimId}`;

async function readRow(fields: Fields, row: typeof claims.$inferSelect): Promise<Claim> {
  const details: ClaimDetails = detailsSchema.parse(await fields.open(row.detailsSealed, claimPlace(row.claimId)));
  return {
    claimId: row.claimId,
    clinicId: row.clinicId,
    patientId: row.patientId,
    providerId: row.providerId,
    insurerId: row.insurerId,
    type: row.type,
    status: row.status,
    amount: { minor: row.amountMinor, currency: row.currency },
    details,
    requestId: row.requestId ?? undefined,
    requestIdHash: row.requestIdHash ?? undefined,
    lastEvent:
      row.eventStatus === null || row.eventOccurredAt === null
        ? undefined
        : {
            status: row.eventStatus,
            ledgerId: row.eventLedgerId ?? undefined,
            seq: row.eventSeq ?? undefined,
            occurredAt: row.eventOccurredAt,
          },
    corrects:
      row.correctsClaimId === null || row.correctsHash === null
        ? undefined
        : {
            claimId: row.correctsClaimId,
            requestIdHash: row.correctsHash,
            incidentTicket: row.incidentTicket ?? undefined,
          },
    createdBy: row.createdBy,
    version: row.version,
    createdAt: row.createdAt,
    updatedAt: row.updatedAt,
  };
}

export type ClaimRow = typeof claims.$inferSelect;

const COLUMNS = columnsOf(claims, "c");

/** For a batch; `readClaimRow` reads its row. */
export const claimSelect = (db: D1Database, clinicId: string, claimId: string): D1PreparedStatement =>
  db.prepare(`SELECT ${COLUMNS} FROM claims AS c WHERE c.claim_id = ? AND c.clinic_id = ?`).bind(claimId, clinicId);

/** @param rows of `claimSelect`. */
export async function readClaimRow(fields: Fields, rows: D1Result<ClaimRow> | undefined): Promise<Claim | undefined> {
  const [row] = rows?.results ?? [];
  return row === undefined ? undefined : readRow(fields, row);
}

export const findClaim = async (
  db: D1Database,
  fields: Fields,
  clinicId: string,
  claimId: string,
): Promise<Claim | undefined> => readClaimRow(fields, await claimSelect(db, clinicId, claimId).all<ClaimRow>());

/** For a batch: the claim of a job, as `claimSelect` gives it. */
export const claimOfJobSelect = (db: D1Database, jobId: string): D1PreparedStatement =>
  db
    .prepare(
      `SELECT ${COLUMNS} FROM claims AS c WHERE (c.claim_id, c.clinic_id) =
         (SELECT claim_id, clinic_id FROM auto_submit_jobs WHERE job_id = ?)`,
    )
    .bind(jobId);

/** For a batch: when the claim of a job was queued first. */
export const queuedAtSelect = (db: D1Database, jobId: string): D1PreparedStatement =>
  db
    .prepare(
      `SELECT MIN(at) AS queuedAt FROM claim_events
       WHERE claim_id = (SELECT claim_id FROM auto_submit_jobs WHERE job_id = ?) AND kind = 'queued'`,
    )
    .bind(jobId);

/** What a webhook is about. */
export interface CalledBack {
  readonly claim: Claim;
  /** This event was applied to it before. */
  readonly isKnown: boolean;
  /** Another event of iTrans was. */
  readonly wasCalledBack: boolean;
  /** When it was queued first. */
  readonly queuedAt: number | undefined;
}

interface EventFacts {
  readonly known: number | null;
  readonly others: number;
  readonly queuedAt: number | null;
}

const EVENT_FACTS = `MAX(event_id = ?2) AS known, COUNT(event_id) AS others,
  MIN(CASE WHEN kind = 'queued' THEN at END) AS queuedAt`;

/** For webhooks, which name a request by its hash and no clinic. One way to the database. */
export async function findCalledBack(
  db: D1Database,
  fields: Fields,
  { requestIdHash, eventId }: { readonly requestIdHash: string; readonly eventId: string },
): Promise<CalledBack | undefined> {
  const [rows, facts] = await db.batch<ClaimRow & EventFacts>([
    db.prepare(`SELECT ${COLUMNS} FROM claims AS c WHERE c.request_id_hash = ?`).bind(requestIdHash),
    db
      .prepare(
        `SELECT ${EVENT_FACTS} FROM claim_events
         WHERE claim_id = (SELECT claim_id FROM claims WHERE request_id_hash = ?1)`,
      )
      .bind(requestIdHash, eventId),
  ]);
  const claim = await readClaimRow(fields, rows);
  if (claim === undefined) return undefined;
  const [seen] = facts?.results ?? [];
  return {
    claim,
    isKnown: seen?.known === 1,
    wasCalledBack: (seen?.others ?? 0) > 0,
    queuedAt: seen?.queuedAt ?? undefined,
  };
}

/**
 * The statement of a filtered page: keys from one index alone, then their rows. One row more than `limit` tells that there
 * is a next page.
 */
export function claimsQuery(
  clinicId: string,
  filter: ClaimFilter,
  page: { readonly limit: number; readonly after: PageKey | undefined },
): { readonly sql: string; readonly bound: readonly (string | number)[] } {
  const { after } = page;
  // The smaller of two upper bounds: an index seeks one of them, and steps over what is between.
  const to = after !== undefined && filter.to !== undefined && filter.to > after.createdAt ? undefined : filter.to;
  const index = indexFor(filter);
  // The plus keeps the planner from walking all of the clinic's claims where a few are named by key.
  const clinic = index === "primary key" ? "+clinic_id" : "clinic_id";
  const conditions: readonly (readonly [string, readonly (string | number | undefined)[]])[] = [
    [`${clinic} = ?`, [clinicId]],
    ["patient_id = ?", [filter.patientId]],
    ["status = ?", [filter.status]],
    ["provider_id = ?", [filter.providerId]],
    ["insurer_id = ?", [filter.insurerId]],
    ["type = ?", [filter.type]],
    ["created_at >= ?", [filter.from]],
    ["created_at < ?", [to]],
    ["(created_at, claim_id) < (?, ?)", [after?.createdAt, after?.id]],
    [
      filter.named?.by === "claimId"
        ? "claim_id >= ? AND claim_id < ?"
        : "request_id_hash >= ? AND request_id_hash < ?",
      [filter.named?.from, filter.named?.to],
    ],
  ];
  const bound: (string | number)[] = [];
  const where: string[] = [];
  for (const [text, values] of conditions) {
    const known = values.filter((value) => value !== undefined);
    if (known.length < values.length) continue;
    where.push(text);
    bound.push(...known);
  }
  const walked = index === "primary key" ? "NOT INDEXED" : `INDEXED BY ${index}`;
  return {
    sql: `SELECT ${COLUMNS} FROM (
        SELECT claim_id, created_at FROM claims ${walked} WHERE ${where.join(" AND ")}
        ORDER BY created_at DESC, claim_id DESC LIMIT ?
      ) AS page CROSS JOIN claims AS c ON c.claim_id = page.claim_id
      ORDER BY page.created_at DESC, page.claim_id DESC`,
    bound: [...bound, page.limit + 1],
  };
}

/** Newest first. @param beside run with it in one batch: one way to the database. */
export async function listClaims(
  db: D1Database,
  fields: Fields,
  clinicId: string,
  query: ClaimFilter & { readonly limit: number; readonly after: PageKey | undefined },
  beside: readonly D1PreparedStatement[] = [],
): Promise<Page<Claim>> {
  const { limit, after, ...filter } = query;
  const { sql: text, bound } = claimsQuery(clinicId, filter, { limit, after });
  const [read] = await db.batch<ClaimRow>([db.prepare(text).bind(...bound), ...beside]);
  const page = cutPage(read?.results ?? [], limit, (row) => ({ createdAt: row.createdAt, id: row.claimId }));
  return { ...page, items: await Promise.all(page.items.map((row) => readRow(fields, row))) };
}

interface Correction {
  readonly claimId: string;
  readonly requestId: string | null;
}

const correctionSelect = (db: D1Database, clinicId: string, claimId: string): D1PreparedStatement =>
  db
    .prepare(
      `SELECT claim_id AS claimId, request_id AS requestId FROM claims WHERE corrects_claim_id = ? AND clinic_id = ?`,
    )
    .bind(claimId, clinicId);

/** The claim that supersedes this one, sent or not. */
export const findCorrection = async (
  db: D1Database,
  clinicId: string,
  claimId: string,
): Promise<Correction | undefined> => (await correctionSelect(db, clinicId, claimId).first<Correction>()) ?? undefined;

/** What names a claim, without what it says. */
export interface ClaimKey {
  readonly claimId: string;
  readonly clinicId: string;
  readonly createdAt: number;
}

const keyColumns = { claimId: claims.claimId, clinicId: claims.clinicId, createdAt: claims.createdAt };

/** @param clinicId undefined: of all clinics. Ids that name no claim are left out. */
export async function findClaimKeys(
  db: D1Database,
  clinicId: string | undefined,
  claimIds: readonly string[],
): Promise<readonly ClaimKey[]> {
  return drizzle(db)
    .select(keyColumns)
    .from(claims)
    .where(
      and(
        sql`${claims.claimId} IN (SELECT value FROM json_each(${JSON.stringify(claimIds)}))`,
        clinicId === undefined ? undefined : eq(claims.clinicId, clinicId),
      ),
    )
    .orderBy(asc(claims.createdAt), asc(claims.claimId));
}

/** Claims that core has not taken, oldest first. */
export async function listUnsubmittedClaims(
  db: D1Database,
  filter: {
    /** undefined: of all clinics. */
    readonly clinicId: string | undefined;
    readonly status: ClaimStatus;
    readonly type: ClaimType | undefined;
    readonly since: number;
  },
  page: { readonly limit: number; readonly after: PageKey | undefined },
): Promise<Page<ClaimKey>> {
  const { after } = page;
  const rows = await drizzle(db)
    .select(keyColumns)
    .from(claims)
    .where(
      and(
        eq(claims.status, filter.status),
        isNull(claims.requestId),
        gte(claims.createdAt, filter.since),
        filter.clinicId === undefined ? undefined : eq(claims.clinicId, filter.clinicId),
        filter.type === undefined ? undefined : eq(claims.type, filter.type),
        after === undefined
          ? undefined
          : sql`(${claims.createdAt}, ${claims.claimId}) > (${after.createdAt}, ${after.id})`,
      ),
    )
    .orderBy(asc(claims.createdAt), asc(claims.claimId))
    .limit(page.limit + 1);
  return cutPage(rows, page.limit, (row) => ({ createdAt: row.createdAt, id: row.claimId }));
}

export async function claimInsert(db: D1Database, fields: Fields, claim: Claim): Promise<D1PreparedStatement> {
  return db
    .prepare(
      `INSERT INTO claims (claim_id, clinic_id, patient_id, provider_id, insurer_id, type, status, amount_minor, currency,
         details_sealed, created_by, version, created_at, updated_at, corrects_claim_id, corrects_hash, incident_ticket)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .bind(
      claim.claimId,
      claim.clinicId,
      claim.patientId,
      claim.providerId,
      claim.insurerId,
      claim.type,
      claim.status,
      claim.amount.minor,
      claim.amount.currency,
      await fields.seal(claim.details, claimPlace(claim.claimId)),
      claim.createdBy,
      claim.version,
      claim.createdAt,
      claim.updatedAt,
      claim.corrects?.claimId ?? null,
      claim.corrects?.requestIdHash ?? null,
      claim.corrects?.incidentTicket ?? null,
    );
}

/** Writes what a person edited. The row must still have the version before `claim.version`, or the batch fails. */
export async function claimFieldsUpdate(db: D1Database, fields: Fields, claim: Claim): Promise<D1PreparedStatement> {
  return db
    .prepare(
      `UPDATE claims SET patient_id = ?, provider_id = ?, insurer_id = ?, type = ?, status = ?, amount_minor = ?,
         currency = ?, details_sealed = ?, version = ?, updated_at = ?
       WHERE claim_id = ? AND clinic_id = ?`,
    )
    .bind(
      claim.patientId,
      claim.providerId,
      claim.insurerId,
      claim.type,
      claim.status,
      claim.amount.minor,
      claim.amount.currency,
      await fields.seal(claim.details, claimPlace(claim.claimId)),
      claim.version,
      claim.updatedAt,
      claim.claimId,
      claim.clinicId,
    );
}

/**
 * Writes where a claim stands. The row must still have the version before `claim.version`, or the batch fails.
 * @param before as it was read, at that version. What did not change since is then not named: each index of a column that a
 * statement names is written again, and billed, whether or not the value moved.
 */
export function claimStateUpdate(db: D1Database, claim: Claim, before?: Claim): D1PreparedStatement {
  const moved = (of: (one: Claim) => string | undefined): boolean => before === undefined || of(before) !== of(claim);
  const columns: readonly (readonly [string, string | number | null])[] = [
    ...(moved(({ status }) => status) ? [["status", claim.status] as const] : []),
    ...(moved(({ requestId }) => requestId) ? [["request_id", claim.requestId ?? null] as const] : []),
    ...(moved(({ requestIdHash }) => requestIdHash) ? [["request_id_hash", claim.requestIdHash ?? null] as const] : []),
    ["event_status", claim.lastEvent?.status ?? null],
    ["event_ledger_id", claim.lastEvent?.ledgerId ?? null],
    ["event_seq", claim.lastEvent?.seq ?? null],
    ["event_occurred_at", claim.lastEvent?.occurredAt ?? null],
    ["version", claim.version],
    ["updated_at", claim.updatedAt],
  ];
  return db
    .prepare(
      `UPDATE claims SET ${columns.map(([name]) => `${name} = ?`).join(", ")} WHERE claim_id = ? AND clinic_id = ?`,
    )
    .bind(...columns.map(([, value]) => value), claim.claimId, claim.clinicId);
}

export interface TimelineEntry {
  readonly claimId: string;
  readonly clinicId: string;
  readonly kind:
    | "created"
    | "edited"
    | "moved"
    | "queued"
    | "attemptFailed"
    | "submissionFailed"
    | "submissionAccepted"
    | "corrected"
    | "remitted"
    | "attached"
    | "detached"
    | "REQUEST_SUBMITTED"
    | "REQUEST_ACKNOWLEDGED"
    | "REQUEST_ADJUDICATED"
    | "ediSent"
    | "ediAcknowledged"
    | "ediAdjudicated"
    | "ediRejected";
  readonly status: ClaimStatus;
  readonly actor: string;
  readonly detail?: string | undefined;
  readonly eventId?: string | undefined;
  readonly ledgerSeq?: number | undefined;
  readonly entryHash?: string | undefined;
  readonly at: number;
}

/** Statements that write events, and of which kind: what they wrote is counted once the batch stands. */
const kinds = new WeakMap<D1PreparedStatement, TimelineEntry["kind"]>();

/** Marks a statement as one that writes an event a row. */
export function writesEvents(kind: TimelineEntry["kind"], statement: D1PreparedStatement): D1PreparedStatement {
  kinds.set(statement, kind);
  return statement;
}

/** @returns undefined for a statement that writes no events. */
export const eventsWrittenBy = (statement: D1PreparedStatement): TimelineEntry["kind"] | undefined =>
  kinds.get(statement);

/** The number of a claim's next event. @param claimId SQL. */
export const nextEventId = (claimId: string): string =>
  `(SELECT COALESCE(MAX(n.claim_event_id), 0) + 1 FROM claim_events AS n WHERE n.claim_id = ${claimId})`;

/**
 * An event of iTrans is written once, however often it comes.
 * @param onlyWithJob writes the entry only when this job exists: its insert, earlier in the batch, took effect.
 */
export const timelineInsert = (db: D1Database, entry: TimelineEntry, onlyWithJob?: string): D1PreparedStatement =>
  writesEvents(
    entry.kind,
    db
      .prepare(
        `INSERT INTO claim_events (claim_id, claim_event_id, clinic_id, kind, status, actor, detail, event_id, ledger_seq,
           entry_hash, at)
         SELECT ?1, ${nextEventId("?1")}, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
         WHERE (?11 IS NULL OR EXISTS (SELECT 1 FROM auto_submit_jobs WHERE job_id = ?11))
           AND (?7 IS NULL OR NOT EXISTS (SELECT 1 FROM claim_events WHERE claim_id = ?1 AND event_id = ?7))`,
      )
      .bind(
        entry.claimId,
        entry.clinicId,
        entry.kind,
        entry.status,
        entry.actor,
        entry.detail ?? null,
        entry.eventId ?? null,
        entry.ledgerSeq ?? null,
        entry.entryHash ?? null,
        entry.at,
        onlyWithJob ?? null,
      ),
  );

/** What is shown of one claim. */
export interface WholeClaim {
  readonly claim: Claim;
  readonly timeline: readonly (typeof claimEvents.$inferSelect)[];
  /** Its job on the way to core. */
  readonly job: Job | undefined;
  /** The claim that supersedes it, sent or not. */
  readonly correction: { readonly claimId: string; readonly requestId: string | null } | undefined;
}

/** A claim and all that the hub knows of it, in one way to the database. @param beside run in the same batch. */
export async function readWholeClaim(
  db: D1Database,
  fields: Fields,
  clinicId: string,
  claimId: string,
  beside: readonly D1PreparedStatement[] = [],
): Promise<WholeClaim | undefined> {
  // Each row has the columns of its own statement.
  const [rows, timeline, jobs, corrections] = await db.batch<ClaimRow & EventRow & JobRow & Correction>([
    claimSelect(db, clinicId, claimId),
    timelineSelect(db, clinicId, claimId),
    liveJobSelect(db, clinicId, claimId),
    correctionSelect(db, clinicId, claimId),
    ...beside,
  ]);
  const claim = await readClaimRow(fields, rows);
  if (claim === undefined) return undefined;
  const [job] = jobs?.results ?? [];
  const [correction] = corrections?.results ?? [];
  return {
    claim,
    timeline: timeline?.results ?? [],
    job: job === undefined ? undefined : readJobRow(job),
    correction,
  };
}

type EventRow = typeof claimEvents.$inferSelect;

const EVENT_COLUMNS = columnsOf(claimEvents, "e");

const TIMELINE_LIMIT = 500;

const timelineSelect = (db: D1Database, clinicId: string, claimId: string): D1PreparedStatement =>
  db
    .prepare(
      `SELECT ${EVENT_COLUMNS} FROM claim_events AS e WHERE e.claim_id = ? AND e.clinic_id = ?
       ORDER BY e.claim_event_id LIMIT ${TIMELINE_LIMIT}`,
    )
    .bind(claimId, clinicId);

/** In the order in which things happened here; at most 500. */
export const readTimeline = async (db: D1Database, clinicId: string, claimId: string): Promise<readonly EventRow[]> =>
  (await timelineSelect(db, clinicId, claimId).all<EventRow>()).results;

export async function hasClaim(db: D1Database, clinicId: string, claimId: string): Promise<boolean> {
  const row = await drizzle(db)
    .select({ claimId: claims.claimId })
    .from(claims)
    .where(and(eq(claims.claimId, claimId), eq(claims.clinicId, clinicId)))
    .get();
  return row !== undefined;
}

/** True when a claim of another clinic has this id: it must not be submitted under it. */
export async function isForeignClaim(db: D1Database, clinicId: string, claimId: string): Promise<boolean> {
  const row = await drizzle(db)
    .select({ clinicId: claims.clinicId })
    .from(claims)
    .where(eq(claims.claimId, claimId))
    .get();
  return row !== undefined && row.clinicId !== clinicId;
}
