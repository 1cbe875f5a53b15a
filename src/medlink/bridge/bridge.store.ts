/** Whose a request sent through the bridge is. The hub's keys open every clinic's requests at core; this table does not. */
export interface BridgeRequest {
  readonly coreId: string;
  readonly clinicId: string;
  readonly kind: "claim" | "workflow";
  readonly requestIdHash: string | undefined;
  readonly createdBy: string;
  readonly createdAt: number;
}

/** Keeps the first owner: a resend changes nothing. */
export const bridgeRequestInsert = (db: D1Database, request: BridgeRequest): D1PreparedStatement =>
  db
    .prepare(
      `INSERT INTO bridge_requests (core_id, clinic_id, kind, request_id_hash, created_by, created_at)
       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    )
    .bind(
      request.coreId,
      request.clinicId,
      request.kind,
      request.requestIdHash ?? null,
      request.createdBy,
      request.createdAt,
    );

export async function findBridgeRequestByHash(
  db: D1Database,
  requestIdHash: string,
): Promise<{ readonly coreId: string; readonly clinicId: string } | undefined> {
  const row = await db
    .prepare("SELECT core_id AS coreId, clinic_id AS clinicId FROM bridge_requests WHERE request_id_hash = ?")
    .bind(requestIdHash)
    .first<{ coreId: string; clinicId: string }>();
  return row ?? undefined;
}

/** The clinic that sent this workflow request through the bridge first; undefined when none did. */
export async function ownerOfWorkflowRequest(db: D1Database, coreId: string): Promise<string | undefined> {
  const row = await db
    .prepare("SELECT clinic_id AS clinicId FROM bridge_requests WHERE kind = 'workflow' AND core_id = ?")
    .bind(coreId)
    .first<{ clinicId: string }>();
  return row?.clinicId;
}

/** True when `id` (an id at core, or a hash of one) is this clinic's, sent by auto-submit or through the bridge. */
export async function ownsCoreId(db: D1Database, clinicId: string, id: string): Promise<boolean> {
  const row = await db
    .prepare(
      `SELECT EXISTS (SELECT 1 FROM bridge_requests WHERE kind = 'claim' AND core_id = ?2 AND clinic_id = ?1)
           OR EXISTS (SELECT 1 FROM bridge_requests WHERE kind = 'workflow' AND core_id = ?2 AND clinic_id = ?1)
           OR EXISTS (SELECT 1 FROM bridge_requests WHERE request_id_hash = ?2 AND clinic_id = ?1)
           OR EXISTS (SELECT 1 FROM claims WHERE claim_id = ?2 AND clinic_id = ?1)
           OR EXISTS (SELECT 1 FROM claims WHERE request_id_hash = ?2 AND clinic_id = ?1) AS owned`,
    )
    .bind(clinicId, id)
    .first<{ owned: number }>();
  return row?.owned === 1;
}
