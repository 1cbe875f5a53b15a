/** Linking entries: each takes the next seq, the last hash and a time that never runs backwards. */
import { type EncodedEntry, type EntryData, type EntryType, encodeEntry } from "./entry.ts";
import { appendLeaf } from "./frontier.ts";
import type { Head } from "./head.ts";

export interface Draft {
  readonly type: EntryType;
  readonly subject: string;
  readonly commitment?: string;
  readonly data: EntryData;
}

/** @param nowIso RFC 3339 UTC with milliseconds; when the clock stepped back the last entry's time is used again. */
export function linkEntry(
  head: Head,
  draft: Draft,
  nowIso: string,
): { readonly encoded: EncodedEntry; readonly head: Head } {
  const at = nowIso < head.lastAt ? head.lastAt : nowIso;
  const encoded = encodeEntry({
    v: 1,
    seq: head.frontier.size,
    prev: head.headHash,
    at,
    type: draft.type,
    subject: draft.subject,
    ...(draft.commitment === undefined ? {} : { commitment: draft.commitment }),
    data: draft.data,
  });
  return {
    encoded,
    head: {
      version: head.version,
      headHash: encoded.hashHex,
      frontier: appendLeaf(head.frontier, encoded.hash),
      lastAt: at,
    },
  };
}
