/** Archives that were changed, cut short, or had files dropped and swapped: each is refused, with the file named. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openArchive, type SnapshotSource, writeArchive } from "../../../scripts/lib/backup/archive.ts";
import { ArchiveWriter, extractArchive } from "../../../scripts/lib/backup/tar.ts";
import { readManifestText } from "../../../src/backup/snapshot.edge.ts";
import { seededRandom } from "../../e2e/support/random.ts";
import { type BackupWorld, backupWorld, sourceOf, TEST_BACKUP_KEYS, takeSnapshot } from "../../support/backups.ts";
import { grownWorld } from "../../support/ledger-world.ts";

const CASES = 200;

let directory = "";
let archive = "";
let files: readonly { readonly name: string; readonly bytes: Buffer }[] = [];
let backups: BackupWorld;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "itrans-damage-"));
  const world = await grownWorld(40);
  backups = backupWorld(world.db, world.bucket);
  const manifest = await takeSnapshot(backups);
  const source = sourceOf(backups.bucket);
  const snapshot: SnapshotSource = {
    manifestText: (await readManifestText(backups.parts, manifest.name)) ?? "",
    apart: [...(await source.list("keys")), ...(await source.list("tail"))],
    read: async (path) => (await source.read(path)) ?? new Uint8Array(),
  };
  ({ archive } = await writeArchive(snapshot, join(directory, "whole"), () => {}));
  const unpacked = join(directory, "unpacked");
  mkdirSync(unpacked);
  files = (await extractArchive(archive, unpacked)).map((name) => ({
    name,
    bytes: readFileSync(join(unpacked, name)),
  }));
});

afterAll(() => rmSync(directory, { recursive: true, force: true }));

let opened = 0;

/** @returns what is said of an archive; undefined when it is taken. */
async function complaintOf(path: string): Promise<string | undefined> {
  const scratch = join(directory, `scratch-${opened++}`);
  mkdirSync(scratch);
  try {
    await openArchive(path, scratch, TEST_BACKUP_KEYS, () => {});
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

async function packed(changed: readonly { readonly name: string; readonly bytes: Uint8Array }[]): Promise<string> {
  const path = join(directory, `case-${opened}.tar.gz`);
  const writer = new ArchiveWriter(path, 0);
  for (const { name, bytes } of changed) await writer.add(name, bytes);
  await writer.end();
  return path;
}

const shortName = (name: string): string => name.slice(name.indexOf("/") + 1);

test("the archive as it was written is taken", async () => {
  expect(await complaintOf(archive)).toBeUndefined();
  expect(await complaintOf(await packed(files))).toBeUndefined();
});

test(`${CASES} archives, each with one byte changed, cut short, or a file dropped, swapped or added, are refused with it named`, async () => {
  const random = seededRandom(20_261_122);
  const pick = (below: number): number => Math.floor(random.next() * below);
  const taken: string[] = [];
  for (let i = 0; i < CASES; i++) {
    const at = pick(files.length);
    const file = files[at];
    const other = files[(at + 1 + pick(files.length - 1)) % files.length];
    if (file === undefined || other === undefined) throw new Error("there are files");
    const change = ["byte", "cut", "drop", "swap", "archive-byte", "archive-cut", "add"][i % 7];
    let path: string;
    let named: readonly string[];
    const replaced = (name: string, bytes: Uint8Array) =>
      files.map((one) => (one.name === name ? { name, bytes } : one));
    switch (change) {
      case "byte": {
        const bytes = Buffer.from(file.bytes);
        const place = pick(bytes.length);
        bytes[place] = (bytes[place] ?? 0) ^ (1 << pick(8));
        path = await packed(replaced(file.name, bytes));
        named = [shortName(file.name)];
        break;
      }
      case "cut":
        path = await packed(replaced(file.name, file.bytes.subarray(0, pick(file.bytes.length))));
        named = [shortName(file.name)];
        break;
      case "drop":
        path = await packed(files.filter(({ name }) => name !== file.name));
        named = [shortName(file.name)];
        break;
      case "swap":
        path = await packed(
          files.map((one) => {
            if (one.name === file.name) return { ...one, bytes: other.bytes };
            return one.name === other.name ? { ...one, bytes: file.bytes } : one;
          }),
        );
        named = [shortName(file.name), shortName(other.name)];
        break;
      case "add":
        path = await packed([
          ...files,
          { name: `${files[0]?.name.split("/")[0]}/objects/stray-${i}`, bytes: file.bytes },
        ]);
        named = [`objects/stray-${i}`];
        break;
      default: {
        const bytes = readFileSync(archive);
        path = join(directory, `case-${opened}.tar.gz`);
        const place = pick(bytes.length);
        bytes[place] = (bytes[place] ?? 0) ^ (1 << pick(8));
        writeFileSync(path, change === "archive-cut" ? readFileSync(archive).subarray(0, place) : bytes);
        // Without its checksum beside it: by the archive's own form, or by the file that came out different.
        named = [path, ...files.map(({ name }) => shortName(name))];
      }
    }
    const complaint = await complaintOf(path);
    const harmless = change === "archive-byte" && complaint === undefined && (await sameFiles(path));
    if (!harmless && !named.some((name) => complaint?.includes(name) === true))
      taken.push(`${i} ${change}: ${complaint}`);
    rmSync(path, { force: true });
  }
  expect(taken).toEqual([]);
});

/** A bit of gzip's own header, such as its time: what comes out is the same to the last byte. */
async function sameFiles(path: string): Promise<boolean> {
  const scratch = join(directory, `same-${opened++}`);
  mkdirSync(scratch);
  const names = await extractArchive(path, scratch);
  return (
    names.length === files.length && files.every(({ name, bytes }) => readFileSync(join(scratch, name)).equals(bytes))
  );
}

test("with its checksum beside it, any byte of the archive counts", async () => {
  const copy = join(directory, "summed.tar.gz");
  const sum = readFileSync(`${archive}.sha256`, "utf8");
  for (const place of [4, 9, 100, readFileSync(archive).length - 1]) {
    const bytes = readFileSync(archive);
    bytes[place] = (bytes[place] ?? 0) ^ 1;
    writeFileSync(copy, bytes);
    writeFileSync(`${copy}.sha256`, sum);
    expect(await complaintOf(copy)).toContain(`${copy} is not the archive that`);
  }
});

test("an archive that names a place outside is refused before anything is written there", async () => {
  const path = await packed([{ name: "root/../../outside", bytes: new Uint8Array(1) }]);
  expect(await complaintOf(path)).toContain("it holds what no backup holds");
  expect(readdirSync(directory)).not.toContain("outside");
});
