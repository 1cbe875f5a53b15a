/** Batches that write events of claims: what they wrote is counted once they stand. */
import { claimEventLabel } from "../../operations/metrics.ts";
import type { Hub } from "../hub.edge.ts";
import { eventsWrittenBy } from "./claims.store.ts";

/** Runs a batch, and counts each event that it wrote. @throws as the batch does; then nothing is counted. */
export async function batchWithEvents<Row = Record<string, unknown>>(
  { db, measure }: Pick<Hub, "db" | "measure">,
  statements: readonly D1PreparedStatement[],
): Promise<readonly D1Result<Row>[]> {
  const results = await db.batch<Row>([...statements]);
  for (const [at, statement] of statements.entries()) {
    const kind = eventsWrittenBy(statement);
    const written = results[at]?.meta.changes ?? 0;
    if (kind !== undefined && written > 0) {
      measure.add("medlink_claim_events_total", { kind: claimEventLabel(kind) }, written);
    }
  }
  return results;
}
