import type { Operation } from "../operation.edge.ts";
import { createAttachment } from "./create-attachment.route.ts";
import { deleteAttachment } from "./delete-attachment.route.ts";
import { listAttachmentsRoute } from "./list-attachments.route.ts";
import { readAttachment } from "./read-attachment.route.ts";

export const ATTACHMENTS: readonly Operation[] = [
  createAttachment,
  listAttachmentsRoute,
  readAttachment,
  deleteAttachment,
];
