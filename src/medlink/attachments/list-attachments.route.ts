import { z } from "@hono/zod-openapi";
import { findClaim } from "../claims/claims.store.ts";
import { none, notFound, ok, operation } from "../operation.edge.ts";
import { MAX_CLAIM_ATTACHMENT_BYTES, MAX_CLAIM_ATTACHMENTS } from "./attachment.ts";
import { listAttachments } from "./attachments.store.ts";
import { attachmentSchema, showAttachment } from "./show-attachment.ts";

export const listAttachmentsRoute = operation(
  {
    method: "get",
    path: "/api/claims/{claimId}/attachments",
    summary: "A claim's attachments, oldest first, and how much room is left",
    params: z.object({ claimId: z.string() }),
    body: none,
    answers: {
      200: {
        description: "The attachments",
        schema: z.object({
          attachments: z.array(attachmentSchema),
          room: z.object({ files: z.number().int(), bytes: z.number().int() }),
        }),
      },
    },
  },
  async ({ hub, user, params }) => {
    const claim = await findClaim(hub.db, hub.fields, user.clinicId, params.claimId);
    if (claim === undefined) return notFound("claim");
    const attachments = await listAttachments(hub.db, hub.fields, user.clinicId, claim.claimId);
    const used = attachments.reduce((sum, { size }) => sum + size, 0);
    return ok(200, {
      attachments: attachments.map(showAttachment),
      room: { files: MAX_CLAIM_ATTACHMENTS - attachments.length, bytes: MAX_CLAIM_ATTACHMENT_BYTES - used },
    });
  },
);
