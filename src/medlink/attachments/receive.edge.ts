/** Receives a file into R2 as it arrives: looked at, counted and hashed on the way, never held whole. */
import { concatBytes, toHex } from "../../platform/encoding.ts";
import { type AttachmentType, MAGIC_BYTES, typeOfBytes } from "./attachment.ts";

export type Received =
  | { readonly type: "stored"; readonly sha256: string }
  /** Its first bytes are of another kind of file, or of none that is taken. */
  | { readonly type: "other-type" }
  /** It ended early, or went on past the length it came with. */
  | { readonly type: "other-length" };

/** @throws when the bucket fails; what it may hold then is deleted by the sweep. */
export async function receive(
  bucket: R2Bucket,
  key: string,
  body: ReadableStream<Uint8Array>,
  claimed: { readonly contentType: AttachmentType; readonly size: number },
): Promise<Received> {
  const reader = body.getReader();
  let head: Uint8Array = new Uint8Array();
  let ended = false;
  while (head.length < MAGIC_BYTES && !ended) {
    const { done, value } = await reader.read();
    if (value !== undefined) head = concatBytes(head, value);
    ended = done;
  }
  if (typeOfBytes(head) !== claimed.contentType) {
    await reader.cancel();
    return { type: "other-type" };
  }
  const file = new FixedLengthStream(claimed.size);
  const digest = new crypto.DigestStream("SHA-256");
  const [toBucket, toDigest] = [file.writable.getWriter(), digest.getWriter()];
  // Each of these also fails when the whole does; what came of it is read off `stored` and `size`.
  for (const end of [reader.closed, toBucket.closed, toDigest.closed, digest.digest]) end.catch(() => undefined);
  const stored = bucket.put(key, file.readable, { httpMetadata: { contentType: claimed.contentType } }).then(
    () => undefined,
    (thrown: unknown) => ({ thrown }),
  );
  let size = 0;
  try {
    for (let chunk: Uint8Array | undefined = head; chunk !== undefined; ) {
      size += chunk.byteLength;
      if (size > claimed.size) break;
      await Promise.all([toBucket.write(chunk), toDigest.write(chunk)]);
      const next = ended ? undefined : await reader.read();
      chunk = next === undefined || next.done ? undefined : next.value;
    }
  } catch {
    size = -1; // the sender went away, or the bucket does not take it: `stored` tells which
  }
  if (size !== claimed.size) {
    const reason = new Error("the file is not as long as it says");
    await Promise.allSettled([toBucket.abort(reason), toDigest.abort(reason), reader.cancel(), digest.digest, stored]);
    return { type: "other-length" };
  }
  await Promise.all([toBucket.close(), toDigest.close()]);
  const failed = await stored;
  if (failed !== undefined) throw failed.thrown;
  return { type: "stored", sha256: toHex(new Uint8Array(await digest.digest)) };
}
