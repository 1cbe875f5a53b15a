/**
 * An attachment in a backup: one sealed file, named by what it is of before its bytes are read, so that one which is held already costs
 * no more than its row. The file begins with a line that says which object it is.
 */
import { concatBytes, fromUtf8, utf8 } from "../platform/encoding.ts";
import { type BackupKeys, digestOf } from "./sealed-file.ts";

export interface AttachmentObject {
  /** Of the object in the hub's bucket. */
  readonly key: string;
  /** 64 hex, of its bytes. */
  readonly sha256: string;
}

const nameOf = (key: BackupKeys["current"], object: AttachmentObject): string =>
  `objects/attachments/${digestOf(key, utf8(`${object.key}\n${object.sha256}`))}.sealed`;

export const attachmentPath = (keys: BackupKeys, object: AttachmentObject): string => nameOf(keys.current, object);

/** Under the present key and those before it. */
export const attachmentPaths = (keys: BackupKeys, object: AttachmentObject): readonly string[] =>
  keys.all.map((key) => nameOf(key, object));

export const packAttachment = ({ key, sha256 }: AttachmentObject, bytes: Uint8Array): Uint8Array<ArrayBuffer> =>
  concatBytes(utf8(`${JSON.stringify({ key, sha256 })}\n`), bytes);

/** @returns undefined when it is no attachment. */
export function unpackAttachment(
  contents: Uint8Array<ArrayBuffer>,
): (AttachmentObject & { readonly bytes: Uint8Array<ArrayBuffer> }) | undefined {
  const end = contents.indexOf(0x0a);
  if (end < 0) return undefined;
  const head: unknown = JSON.parse(fromUtf8(contents.slice(0, end)));
  if (typeof head !== "object" || head === null || !("key" in head) || !("sha256" in head)) return undefined;
  const { key, sha256 } = head;
  return typeof key === "string" && typeof sha256 === "string"
    ? { key, sha256, bytes: contents.slice(end + 1) }
    : undefined;
}
