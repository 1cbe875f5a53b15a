import { z } from "@hono/zod-openapi";
import { changed } from "../audit/audited.edge.ts";
import { isMissingReference } from "../batch.store.ts";
import { findClaim, timelineInsert } from "../claims/claims.store.ts";
import { batchWithEvents } from "../claims/write-events.edge.ts";
import { newId } from "../ids.ts";
import { type Answer, mediaTypeOf, none, notFound, ok, operation, refuse } from "../operation.edge.ts";
import { ATTACHMENT_TYPES, cleanName, MAX_ATTACHMENT_BYTES, objectKey } from "./attachment.ts";
import { attachmentDelete, attachmentReserve, attachmentStored } from "./attachments.store.ts";
import { receive } from "./receive.edge.ts";
import { attachmentSchema, showAttachment } from "./show-attachment.ts";

/** Percent-encoded UTF-8. A header, since addresses are logged in many places and a file's name often names a person. */
export const NAME_HEADER = "x-file-name";

const DEFAULT_NAME = "document";

function nameOf(header: string | null): string | undefined {
  if (header === null || header === "") return DEFAULT_NAME;
  try {
    return header.length > 3_000 ? undefined : cleanName(decodeURIComponent(header));
  } catch {
    return undefined;
  }
}

export const createAttachment = operation(
  {
    method: "post",
    path: "/api/claims/{claimId}/attachments",
    summary: `Attach a file to a claim: at most ${MAX_ATTACHMENT_BYTES} bytes, its name percent-encoded in ${NAME_HEADER}`,
    params: z.object({ claimId: z.string() }),
    body: none,
    takes: ATTACHMENT_TYPES,
    answers: { 201: { description: "The attachment", schema: attachmentSchema } },
  },
  async (input) => {
    const { hub, user, params, request } = input;
    const { clinicId, userId } = user;
    if (new URL(request.url).searchParams.has("name")) {
      return refuse("invalid_query", `A file's name is no part of an address: it goes into the header ${NAME_HEADER}.`);
    }
    const claim = await findClaim(hub.db, hub.fields, clinicId, params.claimId);
    if (claim === undefined) return notFound("claim");
    const { claimId, status } = claim;
    const type = mediaTypeOf(request.headers.get("content-type") ?? undefined);
    const contentType = ATTACHMENT_TYPES.find((taken) => taken === type);
    if (contentType === undefined) return WRONG_TYPE;
    const name = nameOf(request.headers.get(NAME_HEADER));
    if (name === undefined) return refuse("invalid_body", `The header ${NAME_HEADER} holds no file name.`);
    const length = request.headers.get("content-length") ?? "";
    const size = /^[1-9]\d{0,14}$/.test(length) ? Number(length) : undefined;
    if (size === undefined || request.body === null)
      return refuse("invalid_body", "Send a file with its Content-Length.");
    if (size > MAX_ATTACHMENT_BYTES) {
      return refuse("body_too_large", `An attachment has at most ${MAX_ATTACHMENT_BYTES} bytes.`);
    }
    const now = hub.now();
    const attachmentId = newId("att", hub.random);
    const attachment = { attachmentId, clinicId, claimId, name, contentType, size, createdBy: userId, createdAt: now };
    const reserved = await (await attachmentReserve(hub.db, hub.fields, attachment)).run();
    if (reserved.meta.changes !== 1) return refuse("conflict", "This claim has as many attachments as it may have.");
    const key = objectKey(attachment);
    const received = await receive(hub.attachments, key, request.body, { contentType, size });
    if (received.type !== "stored") {
      await hub.attachments.delete(key);
      await attachmentDelete(hub.db, attachmentId).run();
      return received.type === "other-type"
        ? WRONG_TYPE
        : refuse("invalid_body", "The file is not as long as it says.");
    }
    const { sha256 } = received;
    const at = hub.now();
    const event = { claimId, clinicId, kind: "attached", status, actor: userId, detail: attachmentId, at } as const;
    try {
      const [stored] = await batchWithEvents(hub, [
        attachmentStored(hub.db, attachmentId, sha256, at),
        timelineInsert(hub.db, event),
        changed(input, "attachment.create", attachmentId, claimId),
      ]);
      if (stored?.meta.changes === 1) return ok(201, showAttachment({ ...attachment, sha256 }));
    } catch (thrown) {
      if (!isMissingReference(thrown)) throw thrown;
    }
    // The claim was erased meanwhile, or the sweep took the upload for lost: nothing of it stays.
    await hub.attachments.delete(key);
    return refuse("conflict", "The claim is gone, or the file took too long to arrive.");
  },
);

const WRONG_TYPE: Answer = refuse(
  "unsupported_media_type",
  `The file must be what its type says, and one of ${ATTACHMENT_TYPES.join(", ")}.`,
);
