/** Ends what a crash left between the database and the bucket. */
import type { Hub } from "../hub.edge.ts";
import { objectKey } from "./attachment.ts";
import { attachmentDelete, unfinishedAttachments } from "./attachments.store.ts";

/** Ten megabytes over a slow line arrive well within it. */
const UNFINISHED_AFTER_MS = 3_600_000;
const SWEEP_LIMIT = 50;

/** @returns how many were cleared away. */
export async function sweepAttachments(hub: Hub): Promise<number> {
  const unfinished = await unfinishedAttachments(hub.db, hub.now() - UNFINISHED_AFTER_MS, SWEEP_LIMIT);
  if (unfinished.length === 0) return 0;
  await hub.attachments.delete(unfinished.map(objectKey));
  await hub.db.batch(unfinished.map(({ attachmentId }) => attachmentDelete(hub.db, attachmentId)));
  return unfinished.length;
}
