/** A document beside a claim: what is taken, and how its bytes show what it is. */
export const ATTACHMENT_TYPES = ["application/pdf", "image/png", "image/jpeg"] as const;
export type AttachmentType = (typeof ATTACHMENT_TYPES)[number];

export const MAX_ATTACHMENT_BYTES = 10 * 1024 * 1024;
export const MAX_CLAIM_ATTACHMENTS = 20;
export const MAX_CLAIM_ATTACHMENT_BYTES = 50 * 1024 * 1024;

const MAGIC: Readonly<Record<AttachmentType, readonly number[]>> = {
  "application/pdf": [0x25, 0x50, 0x44, 0x46, 0x2d],
  "image/png": [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
  "image/jpeg": [0xff, 0xd8, 0xff],
};

/** Bytes that must be seen before a type is known. */
export const MAGIC_BYTES = Math.max(...Object.values(MAGIC).map((magic) => magic.length));

/** @param head the file's first bytes, at least MAGIC_BYTES of them unless it is shorter. */
export const typeOfBytes = (head: Uint8Array): AttachmentType | undefined =>
  ATTACHMENT_TYPES.find((type) => MAGIC[type].every((byte, at) => head[at] === byte));

export interface Attachment {
  readonly attachmentId: string;
  readonly clinicId: string;
  readonly claimId: string;
  readonly name: string;
  readonly contentType: AttachmentType;
  readonly size: number;
  /** 64 hex digits. */
  readonly sha256: string;
  readonly createdBy: string;
  readonly createdAt: number;
}

/** Nothing of a person is in it; a claim's objects share a prefix. */
export const claimPrefix = (clinicId: string, claimId: string): string => `${clinicId}/${claimId}/`;
export const objectKey = (place: Pick<Attachment, "clinicId" | "claimId" | "attachmentId">): string =>
  `${claimPrefix(place.clinicId, place.claimId)}${place.attachmentId}`;

export const MAX_NAME_LENGTH = 200;

/** A name as it may be shown and saved: no path, no control or direction characters. @returns undefined when nothing is left. */
export function cleanName(name: string): string | undefined {
  const last = name.split(/[/\\]/).at(-1) ?? "";
  const clean = last
    .normalize("NFC")
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "")
    .trim()
    .slice(0, MAX_NAME_LENGTH);
  return clean === "" || /^\.+$/.test(clean) ? undefined : clean;
}

/** RFC 6266 with RFC 8187: always saved, never shown in place. */
export const dispositionOf = (name: string): string =>
  `attachment; filename*=UTF-8''${encodeURIComponent(name).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  )}`;
