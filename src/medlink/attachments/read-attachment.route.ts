import { z } from "@hono/zod-openapi";
import { viewed } from "../audit/audited.edge.ts";
import { none, notFound, operation, refuse } from "../operation.edge.ts";
import { dispositionOf, objectKey } from "./attachment.ts";
import { findAttachment } from "./attachments.store.ts";

/** Whatever the bytes are, a browser saves them and runs nothing of them. */
export const readAttachment = operation(
  {
    method: "get",
    path: "/api/claims/{claimId}/attachments/{attachmentId}",
    summary: "Download an attachment",
    params: z.object({ claimId: z.string(), attachmentId: z.string() }),
    body: none,
    answers: { 200: { description: "The file as it was received" } },
  },
  async (input) => {
    const { hub, user, params } = input;
    const attachment = await findAttachment(hub.db, hub.fields, { clinicId: user.clinicId, ...params });
    if (attachment === undefined) return notFound("attachment");
    const [object] = await Promise.all([
      hub.attachments.get(objectKey(attachment)),
      viewed(input, "attachment.view", attachment.attachmentId, { detail: attachment.claimId }),
    ]);
    if (object === null) return refuse("unavailable", "The file cannot be read now. Try again.");
    return {
      type: "raw",
      response: new Response(object.body, {
        headers: {
          "content-type": attachment.contentType,
          "content-length": String(object.size),
          "content-disposition": dispositionOf(attachment.name),
          "content-security-policy": "default-src 'none'; sandbox",
          "x-content-type-options": "nosniff",
          "cache-control": "private, no-store",
          etag: `"${attachment.sha256}"`,
        },
      }),
    };
  },
);
