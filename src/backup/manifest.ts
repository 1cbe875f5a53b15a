/** What a snapshot holds and promises: every file with its size and SHA-256, and the tree that its entries must give. */
import * as z from "zod";
import { canonicalJson } from "../ledger/canonical.ts";
import { timingSafeEqual } from "../platform/timing-safe.ts";
import { type BackupKeys, manifestMac } from "./sealed-file.ts";

const hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const count = z.number().int().nonnegative();

const PATH = /^(?:objects|keys)\/[a-z0-9_/.-]{1,200}$/;

export const manifestFileSchema = z.strictObject({
  path: z.string().regex(PATH),
  kind: z.enum(["entries", "payloads", "keys", "table", "attachment"]),
  bytes: count,
  sha256: hex64,
  rows: count,
  table: z
    .string()
    .regex(/^[a-z0-9_]+$/)
    .optional(),
  from: count.optional(),
  to: count.optional(),
});
export type ManifestFile = z.output<typeof manifestFileSchema>;

const anchorSchema = z.strictObject({
  size: count,
  rootHash: hex64,
  chainId: z.number().int(),
  contractAddress: z.string(),
  txHash: z.string(),
  blockNumber: z.number().int().nullable(),
  blockHash: z.string().nullable(),
});

const ledgerSchema = z.strictObject({
  id: z.string(),
  size: count,
  headHash: hex64,
  rootHash: hex64,
  lastAt: z.string(),
  /** The newest signed checkpoint that is not larger than the snapshot: the note. */
  checkpoint: z.strictObject({ size: count, rootHash: hex64, note: z.string() }).nullable(),
  /** The newest confirmed anchor that is not larger. */
  anchor: anchorSchema.nullable(),
});

export const manifestSchema = z.strictObject({
  format: z.literal("itrans-backup/1"),
  name: z.string().regex(/^[0-9A-Za-z-]{1,80}$/),
  of: z.enum(["itrans-core", "medlink-hub"]),
  createdAt: z.string(),
  /** Migrations applied, in order. */
  schema: z.array(z.string()).readonly(),
  ledger: ledgerSchema.nullable(),
  /** Settings in force that are no secrets. */
  settings: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
  files: z.array(manifestFileSchema).readonly(),
  /** HMAC-SHA256 over all the rest in canonical form, under a key made from the backup key. */
  mac: hex64,
});
export type Manifest = z.output<typeof manifestSchema>;

export type ManifestFacts = Omit<Manifest, "mac" | "format">;

export function sealManifest(facts: ManifestFacts, keys: BackupKeys): Manifest {
  const body = { format: "itrans-backup/1" as const, ...facts };
  return { ...body, mac: manifestMac(keys.current, canonicalJson(body)) };
}

export type ReadManifest =
  | { readonly ok: true; readonly manifest: Manifest }
  | { readonly ok: false; readonly reason: string };

/** @param keys undefined: the manifest's own seal is not looked at, only its form. */
export function readManifest(text: string, keys: BackupKeys | undefined): ReadManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ok: false, reason: "it is not JSON" };
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return { ok: false, reason: `it is not a manifest: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}` };
  }
  const { mac, ...body } = parsed.data;
  if (keys !== undefined) {
    const sealed = canonicalJson(body);
    if (!keys.all.some((key) => timingSafeEqual(manifestMac(key, sealed), mac))) {
      return { ok: false, reason: "its seal is not by the backup key that is held" };
    }
  }
  const faults = faultsOf(parsed.data);
  return faults === undefined ? { ok: true, manifest: parsed.data } : { ok: false, reason: faults };
}

/** Files that do not cover the ledger from its first entry to its last, each once. */
function faultsOf({ files, ledger }: Manifest): string | undefined {
  const paths = new Set(files.map(({ path }) => path));
  if (paths.size < files.length) return "a file stands in it twice";
  let at = 0;
  for (const { path, from, to } of files.filter(({ kind }) => kind === "entries")) {
    if (from !== at || to === undefined || to <= from) return `${path} does not follow the entries before it`;
    at = to;
  }
  if (at !== (ledger?.size ?? 0)) return `its files hold ${at} entries, it promises ${ledger?.size ?? 0}`;
  return undefined;
}

export type FileCheck = { readonly ok: true } | { readonly ok: false; readonly path: string; readonly reason: string };

/** @param sha256 of the bytes that were found; undefined: there is no such file. */
export function checkFile(
  file: Pick<ManifestFile, "path" | "bytes" | "sha256">,
  found: { readonly bytes: number; readonly sha256: string } | undefined,
): FileCheck {
  const { path } = file;
  if (found === undefined) return { ok: false, path, reason: "is missing" };
  if (found.bytes !== file.bytes) return { ok: false, path, reason: `has ${found.bytes} bytes, not ${file.bytes}` };
  if (found.sha256 !== file.sha256) return { ok: false, path, reason: "has other bytes than were written" };
  return { ok: true };
}

/** What `sha256sum -c` reads. */
export const sha256Sums = (files: readonly Pick<ManifestFile, "path" | "sha256">[]): string =>
  files.map(({ path, sha256 }) => `${sha256}  ${path}\n`).join("");
