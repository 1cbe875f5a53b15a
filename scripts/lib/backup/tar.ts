/** Archives as tar and gzip make them (POSIX ustar): written and read in one stream, so that no size of ledger fills the memory. */

import { once } from "node:events";
import { closeSync, createReadStream, createWriteStream, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { createGunzip, createGzip } from "node:zlib";
import { Failure, messageOf } from "../fail.ts";

const BLOCK = 512;
const NAME = /^[A-Za-z0-9][A-Za-z0-9_./-]*$/;

function sumOf(header: Uint8Array): number {
  let sum = 0;
  for (const byte of header) sum += byte;
  return sum;
}

function headerOf(name: string, size: number, mtime: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  let [prefix, base] = ["", name];
  if (base.length > 100) {
    const cut = name.lastIndexOf("/");
    [prefix, base] = [name.slice(0, cut), name.slice(cut + 1)];
  }
  if (base.length > 100 || prefix.length > 155) throw new RangeError(`${name} is too long for an archive`);
  header.write(base, 0);
  header.write("0000644\0" + "0000000\0" + "0000000\0", 100);
  header.write(`${size.toString(8).padStart(11, "0")}\0`, 124);
  header.write(
    `${Math.floor(mtime / 1_000)
      .toString(8)
      .padStart(11, "0")}\0`,
    136,
  );
  header.write("        ", 148);
  header.write("0", 156);
  header.write("ustar\u000000", 257);
  header.write(prefix, 345);
  header.write(`${sumOf(header).toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

export class ArchiveWriter {
  readonly #gzip = createGzip({ level: 6 });
  readonly #ended: Promise<unknown>;
  readonly #mtime: number;

  /** @param mtime epoch ms, of every file. */
  constructor(path: string, mtime: number) {
    mkdirSync(dirname(path), { recursive: true });
    this.#mtime = mtime;
    const file = createWriteStream(path, { mode: 0o600 });
    this.#ended = once(file, "close");
    this.#gzip.pipe(file);
  }

  async add(name: string, bytes: Uint8Array): Promise<void> {
    await this.#write(headerOf(name, bytes.length, this.#mtime));
    await this.#write(bytes);
    await this.#write(Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK));
  }

  async end(): Promise<void> {
    await this.#write(Buffer.alloc(2 * BLOCK));
    this.#gzip.end();
    await this.#ended;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    if (!this.#gzip.write(bytes)) await once(this.#gzip, "drain");
  }
}

/** More than any manifest. */
const MAX_FIRST_FILE = 256_000_000;

/** The first file of an archive, without the rest. @throws Failure when there is none to read. */
export async function readFirstFile(path: string): Promise<{ readonly name: string; readonly bytes: Buffer }> {
  const refuse = (reason: string) => new Failure(`${path}: ${reason}`);
  const source = createReadStream(path);
  const gunzip = createGunzip();
  source.on("error", (error) => gunzip.destroy(error));
  const chunks: Buffer[] = [];
  let read = 0;
  let header: ReturnType<typeof factsOf> | undefined;
  try {
    for await (const chunk of source.pipe(gunzip)) {
      chunks.push(chunk);
      read += chunk.length;
      if (header === undefined && read >= BLOCK) header = factsOf(Buffer.concat(chunks).subarray(0, BLOCK), refuse);
      if (header === undefined) continue;
      if (header.size > MAX_FIRST_FILE) throw refuse("its first file is larger than a manifest");
      if (read >= BLOCK + header.size) {
        return { name: header.name, bytes: Buffer.concat(chunks).subarray(BLOCK, BLOCK + header.size) };
      }
    }
  } catch (error) {
    throw error instanceof Failure ? error : refuse(`it can not be unpacked: ${messageOf(error)}`);
  } finally {
    source.destroy();
  }
  throw refuse("it is cut short");
}

const octal = (bytes: Buffer): number => Number.parseInt(bytes.toString("latin1").replace(/[\0 ].*$/s, ""), 8);
const textOf = (bytes: Buffer): string => bytes.toString("latin1").replace(/\0.*$/s, "");

interface Open {
  readonly name: string;
  readonly file: number;
  left: number;
  padding: number;
}

/**
 * Unpacks an archive of regular files under `directory`.
 * @returns the names of its files, in their order.
 * @throws Failure when it is cut short, damaged, or names a place outside.
 */
export async function extractArchive(
  path: string,
  directory: string,
  progress: (bytes: number) => void = () => {},
): Promise<readonly string[]> {
  const names: string[] = [];
  const source = createReadStream(path);
  let read = 0;
  source.on("data", (chunk) => {
    read += chunk.length;
    progress(read);
  });
  let rest: Buffer = Buffer.alloc(0);
  let open: Open | undefined;
  let zeros = 0;
  const refuse = (reason: string) => new Failure(`${path}: ${reason}`);
  const gunzip = createGunzip();
  source.on("error", (error) => gunzip.destroy(error));
  try {
    for await (const chunk of source.pipe(gunzip)) {
      let data: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      while (data.length > 0) {
        if (open !== undefined) {
          const part = data.subarray(0, open.left);
          if (part.length > 0) writeSync(open.file, part);
          open.left -= part.length;
          data = data.subarray(part.length);
          if (open.left > 0) break;
          if (data.length < open.padding) break;
          data = data.subarray(open.padding);
          closeSync(open.file);
          open = undefined;
          continue;
        }
        if (data.length < BLOCK) break;
        const header = data.subarray(0, BLOCK);
        data = data.subarray(BLOCK);
        if (header.every((byte) => byte === 0)) {
          zeros += 1;
          continue;
        }
        if (zeros > 0) throw refuse("something follows its end");
        open = openFile(header, directory, refuse);
        names.push(open.name);
      }
      rest = Buffer.from(data);
    }
  } catch (error) {
    throw error instanceof Failure ? error : refuse(`it can not be unpacked: ${messageOf(error)}`);
  } finally {
    if (open !== undefined) closeSync(open.file);
  }
  if (open !== undefined || rest.length > 0 || zeros < 2) throw refuse("it is cut short");
  return names;
}

function factsOf(
  header: Buffer,
  refuse: (reason: string) => Failure,
): { readonly name: string; readonly size: number } {
  const sum = octal(header.subarray(148, 156));
  const blank = Buffer.from(header);
  blank.fill(" ", 148, 156);
  if (sum !== sumOf(blank)) throw refuse("a header of it is damaged");
  const prefix = textOf(header.subarray(345, 500));
  const base = textOf(header.subarray(0, 100));
  const name = prefix === "" ? base : `${prefix}/${base}`;
  const type = String.fromCharCode(header[156] ?? 0);
  const size = octal(header.subarray(124, 136));
  if (type !== "0" || !NAME.test(name) || name.split("/").includes("..") || !Number.isSafeInteger(size) || size < 0) {
    throw refuse("it holds what no backup holds");
  }
  return { name, size };
}

function openFile(header: Buffer, directory: string, refuse: (reason: string) => Failure): Open {
  const { name, size } = factsOf(header, refuse);
  const path = join(directory, name);
  mkdirSync(dirname(path), { recursive: true });
  return { name, file: openSync(path, "wx", 0o600), left: size, padding: (BLOCK - (size % BLOCK)) % BLOCK };
}
