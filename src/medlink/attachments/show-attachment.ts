/** An attachment as the API shows it. */
import { z } from "@hono/zod-openapi";
import { iso } from "../page-query.ts";
import { ATTACHMENT_TYPES, type Attachment } from "./attachment.ts";

export const attachmentSchema = z
  .object({
    id: z.string(),
    attachmentId: z.string(),
    claimId: z.string(),
    name: z.string(),
    contentType: z.enum(ATTACHMENT_TYPES),
    size: z.number().int(),
    sha256: z.string(),
    createdBy: z.string(),
    createdAt: z.string(),
  })
  .openapi("Attachment");

export const showAttachment = ({ clinicId: _, createdAt, ...attachment }: Attachment) => ({
  id: attachment.attachmentId,
  ...attachment,
  createdAt: iso(createdAt),
});
