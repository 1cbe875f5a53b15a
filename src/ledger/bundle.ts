/**
 * The offline proof of one entry, in one file: as text (c2sp.org/tlog-proof), or as JSON with the entry's bytes and the anchor.
 * In JSON hashes are lower-case hex; the entry's bytes are base64 of the very bytes that were hashed.
 */
import * as z from "zod";
import { fromHex, toBase64, toHex } from "../platform/encoding.ts";
import { parseSize } from "./checkpoint.ts";
import { HASH_BYTES, type Hash } from "./hash.ts";
import { strictBase64 } from "./note.ts";

export const PROOF_HEADER = "c2sp.org/tlog-proof@v1";

/** An inclusion proof has a hash for each level at most; sizes are below 2^53. */
export const MAX_PROOF_HASHES = 63;

export interface TextProof {
  readonly index: number;
  readonly hashes: readonly Hash[];
  /** The signed note, verbatim. */
  readonly checkpoint: string;
}

export const formatTextProof = ({ index, hashes, checkpoint }: TextProof): string =>
  `${[PROOF_HEADER, `index ${index}`, ...hashes.map(toBase64)].join("\n")}\n\n${checkpoint}`;

/** One base64 hash per line. @returns undefined when one is not, or there are too many. */
export function parseHashLines(lines: readonly string[]): readonly Hash[] | undefined {
  if (lines.length > MAX_PROOF_HASHES) return undefined;
  const hashes: Hash[] = [];
  for (const line of lines) {
    const hash = strictBase64(line);
    if (hash?.length !== HASH_BYTES) return undefined;
    hashes.push(hash);
  }
  return hashes;
}

/** An `extra` line is read over: it is not authenticated. */
export function parseTextProof(text: string): TextProof | undefined {
  const split = text.indexOf("\n\n");
  if (split === -1) return undefined;
  const [header, ...lines] = text.slice(0, split).split("\n");
  if (header !== PROOF_HEADER) return undefined;
  if (lines[0]?.startsWith("extra ") === true) lines.shift();
  const indexLine = lines.shift() ?? "";
  const index = indexLine.startsWith("index ") ? parseSize(indexLine.slice("index ".length)) : undefined;
  const hashes = parseHashLines(lines);
  if (index === undefined || hashes === undefined) return undefined;
  return { index, hashes, checkpoint: text.slice(split + 2) };
}

const hexHash = z.string().regex(/^[0-9a-f]{64}$/);
const prefixedHash = z.string().regex(/^0x[0-9a-f]{64}$/);
const count = z.number().int().nonnegative();

export const bundleSchema = z.object({
  format: z.literal("itrans-proof@v1"),
  ledgerId: z.string(),
  index: count,
  /** Base64 of the canonical JSON. */
  entry: z.string(),
  entryHash: hexHash,
  inclusionProof: z.array(hexHash).max(MAX_PROOF_HASHES),
  checkpoint: z.string(),
  /** Null while the chain holds no final anchor that covers the entry. */
  anchor: z
    .object({
      chainId: count,
      contractAddress: z.string().regex(/^0x[0-9a-fA-F]{40}$/),
      txHash: prefixedHash,
      blockNumber: count,
      blockHash: prefixedHash,
      logIndex: count,
      size: count,
      rootHash: hexHash,
      /** From the anchored tree to the checkpoint's. */
      consistencyProof: z.array(hexHash).max(2 * MAX_PROOF_HASHES),
    })
    .nullable(),
});

export type ProofBundle = Readonly<z.output<typeof bundleSchema>>;

/** @returns undefined when the value is not a bundle. */
export function parseBundle(value: unknown): ProofBundle | undefined {
  const parsed = bundleSchema.safeParse(value);
  return parsed.success ? parsed.data : undefined;
}

export const hexHashes = (hashes: readonly Hash[]): string[] => hashes.map(toHex);
export const hashesFromHex = (hashes: readonly string[]): readonly Hash[] => hashes.map(fromHex);
