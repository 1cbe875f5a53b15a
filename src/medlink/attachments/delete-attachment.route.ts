import { z } from "@hono/zod-openapi";
import { changed } from "../audit/audited.edge.ts";
import { findClaim, timelineInsert } from "../claims/claims.store.ts";
import { batchWithEvents } from "../claims/write-events.edge.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { objectKey } from "./attachment.ts";
import { attachmentDelete, attachmentDeleting, findAttachment } from "./attachments.store.ts";

export const deleteAttachment = operation(
  {
    method: "delete",
    path: "/api/claims/{claimId}/attachments/{attachmentId}",
    summary: "Delete an attachment",
    params: z.object({ claimId: z.string(), attachmentId: z.string() }),
    body: none,
    answers: { 204: { description: "Deleted" } },
  },
  async (input) => {
    const { hub, user, params } = input;
    const { clinicId, userId } = user;
    const claim = await findClaim(hub.db, hub.fields, clinicId, params.claimId);
    const attachment = await findAttachment(hub.db, hub.fields, { clinicId, ...params });
    if (claim === undefined || attachment === undefined) return notFound("attachment");
    const { claimId, attachmentId } = attachment;
    const { status } = claim;
    const at = hub.now();
    const [hidden] = await batchWithEvents(hub, [
      attachmentDeleting(hub.db, attachmentId, at),
      timelineInsert(hub.db, { claimId, clinicId, kind: "detached", status, actor: userId, detail: attachmentId, at }),
      changed(input, "attachment.delete", attachmentId, claimId),
    ]);
    if (hidden?.meta.changes !== 1) return notFound("attachment");
    await hub.attachments.delete(objectKey(attachment));
    await attachmentDelete(hub.db, attachmentId).run();
    return ok(204, undefined);
  },
);
