/** A snapshot as files: `itrans-ledger-<time>.tar.gz` for tar and sha256sum, and its wrapped keys apart, which are kept 30 days. */
import { createHash } from "node:crypto";
import {
  createReadStream,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { checkFile, type Manifest, readManifest, sha256Sums } from "../../../src/backup/manifest.ts";
import type { BackupSource } from "../../../src/backup/restore-files.edge.ts";
import { KEYS_KEPT_MS } from "../../../src/backup/retention.ts";
import type { BackupKeys } from "../../../src/backup/sealed-file.ts";
import { rangeOfPath } from "../../../src/backup/segments.ts";
import { Failure } from "../fail.ts";
import { ArchiveWriter, extractArchive, readFirstFile } from "./tar.ts";

/** Where a snapshot is fetched from: a worker over HTTP, or a directory. */
export interface SnapshotSource {
  readonly manifestText: string;
  readonly apart: readonly string[];
  /** When the oldest of these was written, epoch ms; undefined where that is not known: then it counts from now. */
  readonly apartFrom?: number | undefined;
  /** @throws Failure when it can not be had. */
  read(path: string): Promise<Uint8Array<ArrayBuffer>>;
}

export type Progress = (what: string, done: number, total: number) => void;

export const sha256OfFile = (path: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const hash = createHash("sha256");
    createReadStream(path)
      .on("data", (chunk) => hash.update(chunk))
      .on("error", reject)
      .on("end", () => resolve(hash.digest("hex")));
  });

const sha256Of = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

const KINDS = { "itrans-core": "ledger", "medlink-hub": "hub" } as const;

export interface WrittenArchive {
  readonly archive: string;
  readonly keys: string | undefined;
  readonly bytes: number;
  readonly files: number;
}

const FETCHES_AT_ONCE = 8;

/**
 * Fetches a good snapshot, and what is apart from it as it is now. What is under the archive's name is whole, with its keys beside it: it
 * gets the name last. An archive that is there already is kept when it is of this very snapshot; its keys and tail are fetched again.
 * @throws Failure when the archive that is there is of another system, or damaged.
 */
export async function writeArchive(
  source: SnapshotSource,
  directory: string,
  progress: Progress,
): Promise<WrittenArchive> {
  const read = readManifest(source.manifestText, undefined);
  if (!read.ok) throw new Failure(`manifest.json: ${read.reason}`);
  const { manifest } = read;
  mkdirSync(directory, { recursive: true });
  const root = `itrans-${KINDS[manifest.of]}-${manifest.name}`;
  const path = join(directory, `${root}.tar.gz`);
  const partial = `${path}.partial`;
  const isThere = existsSync(path);
  if (isThere) await checkSame(path, root, source.manifestText);
  else await writeFiles(source, manifest, root, partial, progress);
  const keys = await writeKeys(source, directory, `${root}.keys`, Date.parse(manifest.createdAt), progress);
  if (!isThere) {
    await writeSum(path, partial);
    renameSync(partial, path);
  } else if (!existsSync(`${path}.sha256`)) await writeSum(path, path);
  return { archive: path, keys, bytes: statSync(path).size, files: manifest.files.length };
}

async function writeFiles(
  source: SnapshotSource,
  manifest: Manifest,
  root: string,
  partial: string,
  progress: Progress,
): Promise<void> {
  const writer = new ArchiveWriter(partial, Date.parse(manifest.createdAt));
  const encoder = new TextEncoder();
  await writer.add(`${root}/manifest.json`, encoder.encode(source.manifestText));
  const sums = sha256Sums([
    { path: "manifest.json", sha256: sha256Of(encoder.encode(source.manifestText)) },
    ...manifest.files,
  ]);
  await writer.add(`${root}/SHA256SUMS`, encoder.encode(sums));
  let done = 0;
  await inOrder(
    manifest.files,
    async (file) => {
      const bytes = await source.read(file.path);
      const checked = checkFile(file, { bytes: bytes.length, sha256: sha256Of(bytes) });
      if (!checked.ok) throw new Failure(`${checked.path} ${checked.reason}`);
      return bytes;
    },
    async (file, bytes) => {
      await writer.add(`${root}/${file.path}`, bytes);
      progress("fetching", ++done, manifest.files.length);
    },
  );
  await writer.end();
}

/** The manifest is sealed, and names everything: equal manifests are one snapshot of one system, and two systems have no equal ones. */
async function checkSame(path: string, root: string, manifestText: string): Promise<void> {
  await checkSum(path);
  const { name, bytes } = await readFirstFile(path);
  if (name !== `${root}/manifest.json` || bytes.toString("utf8") !== manifestText) {
    throw new Failure(`${path} is of another system than the one that was asked: move it away, or set BACKUP_DIR`);
  }
}

/** @param from where the archive is until it has its name. */
async function writeSum(path: string, from: string): Promise<void> {
  writeFileSync(`${path}.sha256`, `${await sha256OfFile(from)}  ${basename(path)}\n`);
}

/** The archive's own time is that of the oldest file in it: 30 days after, it is deleted. */
async function writeKeys(
  source: SnapshotSource,
  directory: string,
  root: string,
  mtime: number,
  progress: Progress,
): Promise<string | undefined> {
  const path = join(directory, `${root}.tar.gz`);
  const partial = `${path}.partial`;
  if (source.apart.length === 0) {
    if (existsSync(path) && Date.now() < keysEnd(path)) {
      throw new Failure(
        `${path} has wrapped keys, and the system that was asked has none any more: move the file away if a restore may need it, delete it if what it opens was erased`,
      );
    }
    for (const old of [path, `${path}.sha256`]) rmSync(old, { force: true });
    return undefined;
  }
  const writer = new ArchiveWriter(partial, mtime);
  let done = 0;
  await inOrder(source.apart, source.read, async (name, bytes) => {
    await writer.add(`${root}/${name}`, bytes);
    progress("wrapped keys", ++done, source.apart.length);
  });
  await writer.end();
  if (source.apartFrom !== undefined) {
    const from = new Date(Math.min(source.apartFrom, statSync(partial).mtimeMs));
    utimesSync(partial, from, from);
  }
  // Without a checksum rather than with that of the keys before.
  rmSync(`${path}.sha256`, { force: true });
  renameSync(partial, path);
  await writeSum(path, path);
  return path;
}

/** Several at once, handed on in their order. */
async function inOrder<Item, Value>(
  items: readonly Item[],
  fetchOne: (item: Item) => Promise<Value>,
  use: (item: Item, value: Value) => Promise<void>,
): Promise<void> {
  const ahead: { readonly item: Item; readonly value: Promise<Value> }[] = [];
  let next = 0;
  while (next < items.length || ahead.length > 0) {
    while (next < items.length && ahead.length < FETCHES_AT_ONCE) {
      const item = items[next++];
      if (item === undefined) break;
      const value = fetchOne(item);
      value.catch(() => undefined);
      ahead.push({ item, value });
    }
    const first = ahead.shift();
    if (first !== undefined) await use(first.item, await first.value);
  }
}

/** When an archive of wrapped keys must be gone, epoch ms. */
export const keysEnd = (path: string): number => statSync(path).mtimeMs + KEYS_KEPT_MS;

/** Archives of wrapped keys whose oldest file is older than 30 days are deleted. @returns their names. */
export function pruneKeyArchives(directory: string, now: number): readonly string[] {
  if (!existsSync(directory)) return [];
  const old = readdirSync(directory).filter(
    (name) => /^itrans-[a-z]+-.+\.keys\.tar\.gz$/.test(name) && now > keysEnd(join(directory, name)),
  );
  for (const name of old)
    for (const suffix of ["", ".sha256"]) rmSync(join(directory, `${name}${suffix}`), { force: true });
  return old;
}

export interface OpenedArchive {
  readonly manifest: Manifest;
  readonly source: BackupSource;
  readonly hasKeys: boolean;
}

/** Holds an archive against the checksum beside it, where there is one. @throws Failure naming it. */
async function checkSum(path: string): Promise<"checked" | "absent"> {
  const beside = `${path}.sha256`;
  if (!existsSync(beside)) return "absent";
  const [expected] = readFileSync(beside, "utf8").split(/\s+/);
  if ((await sha256OfFile(path)) !== expected) throw new Failure(`${path} is not the archive that ${beside} is about`);
  return "checked";
}

/**
 * Unpacks an archive and what is beside it, and holds every file against the manifest.
 * @param scratch an empty directory that is the caller's to delete.
 * @param keys undefined: the manifest's seal can not be looked at.
 * @throws Failure naming the file that is missing, changed, or too many.
 */
export async function openArchive(
  path: string,
  scratch: string,
  keys: BackupKeys | undefined,
  progress: Progress,
): Promise<OpenedArchive> {
  if (!existsSync(path)) throw new Failure(`${path} is not there`);
  await checkSum(path);
  const total = statSync(path).size;
  const names = await extractArchive(path, scratch, (done) => progress("unpacking", done, total));
  const root = names[0]?.split("/")[0] ?? "";
  const opened = await openDirectory(
    join(scratch, root),
    names.map((name) => name.slice(root.length + 1)),
    keys,
    progress,
  );
  const beside = path.replace(/\.tar\.gz$/, ".keys.tar.gz");
  const hasKeys = beside !== path && existsSync(beside);
  const apart: string[] = [];
  if (hasKeys) {
    await checkSum(beside);
    const keysRoot = basename(beside, ".tar.gz");
    for (const name of await extractArchive(beside, scratch)) {
      if (!name.startsWith(`${keysRoot}/`)) throw new Failure(`${beside}: it holds what no backup holds`);
      apart.push(name.slice(keysRoot.length + 1));
    }
    return { manifest: opened, source: directorySource(join(scratch, root), join(scratch, keysRoot), apart), hasKeys };
  }
  return { manifest: opened, source: directorySource(join(scratch, root), scratch, []), hasKeys };
}

/** @param names of the files that were found there. */
export async function openDirectory(
  directory: string,
  names: readonly string[],
  keys: BackupKeys | undefined,
  progress: Progress,
): Promise<Manifest> {
  const manifestFile = join(directory, "manifest.json");
  if (!existsSync(manifestFile)) throw new Failure("manifest.json is missing");
  const text = readFileSync(manifestFile, "utf8");
  const read = readManifest(text, keys);
  if (!read.ok) throw new Failure(`manifest.json: ${read.reason}`);
  const { files } = read.manifest;
  for (const [i, file] of files.entries()) {
    const place = join(directory, file.path);
    const found = existsSync(place) ? { bytes: statSync(place).size, sha256: await sha256OfFile(place) } : undefined;
    const checked = checkFile(file, found);
    if (!checked.ok) throw new Failure(`${checked.path} ${checked.reason}`);
    progress("checking files", i + 1, files.length);
  }
  const sums = existsSync(join(directory, "SHA256SUMS")) ? readFileSync(join(directory, "SHA256SUMS"), "utf8") : "";
  const expected = sha256Sums([{ path: "manifest.json", sha256: sha256Of(Buffer.from(text)) }, ...files]);
  if (sums !== expected) throw new Failure("SHA256SUMS is not what the manifest says");
  const known = new Set(["manifest.json", "SHA256SUMS", ...files.map(({ path }) => path)]);
  const stray = names.find((name) => !known.has(name));
  if (stray !== undefined) throw new Failure(`${stray} is not in the manifest`);
  return read.manifest;
}

function directorySource(directory: string, apartDirectory: string, apart: readonly string[]): BackupSource {
  return {
    async read(path) {
      const place = join(rangeOfPath(path) === undefined ? directory : apartDirectory, path);
      return existsSync(place) ? new Uint8Array(readFileSync(place)) : undefined;
    },
    list: async (kind) => apart.filter((path) => dirname(path) === kind),
  };
}
