/** The published files: those the log says must be there, and those that have no place. */
import { fileFinding, sameBytes } from "./check-log.ts";
import type { Finding } from "./finding.ts";
import { endOf, parseTilePath, TILE_WIDTH, type Tile, tilePath } from "./layout.ts";
import type { ScrubPort } from "./scrub-port.ts";
import { complete, type ScrubState, type Slice, withFindings } from "./scrub-state.ts";

const READS_AT_ONCE = 6;

export interface ExpectedFile {
  readonly tile: Tile;
  readonly bytes: Uint8Array;
}

export async function compareFiles(port: ScrubPort, files: readonly ExpectedFile[]): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  await inParallel(files, async ({ tile, bytes }) => {
    const finding = fileFinding(tile, bytes, await readTile(port, tile));
    if (finding !== undefined) findings.push(finding);
  });
  return findings;
}

async function readTile(port: ScrubPort, tile: Tile): Promise<Uint8Array | undefined> {
  const stored = await port.readFile(tilePath(tile));
  if (stored !== undefined || tile.width === TILE_WIDTH) return stored;
  // Pruned when the full one came, whose beginning it is.
  const full = await port.readFile(tilePath({ ...tile, width: TILE_WIDTH }));
  return full === undefined ? undefined : beginningOf(tile, full);
}

function beginningOf(tile: Tile, full: Uint8Array): Uint8Array | undefined {
  if (tile.kind === "hashes") return full.subarray(0, tile.width * 32);
  let at = 0;
  for (let i = 0; i < tile.width; i++) {
    const [high, low] = [full[at], full[at + 1]];
    if (high === undefined || low === undefined) return undefined;
    at += 2 + high * 256 + low;
  }
  return full.subarray(0, at);
}

async function inParallel<Item>(items: readonly Item[], run: (item: Item) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await run(item);
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, worker));
}

/** Files that the log phase did not ask for: partial ones beside a full one, and what is no tile at all. */
export async function fileSlice(port: ScrubPort, state: ScrubState): Promise<Slice> {
  const { paths, cursor } = await port.listFiles(state.cursor === "" ? undefined : state.cursor);
  const findings: Finding[] = [];
  const partials: Tile[] = [];
  for (const path of paths) {
    const tile = parseTilePath(path);
    if (tile === undefined) {
      findings.push({ type: "file-unexpected", place: path, detail: `${path} is not the path of a tile` });
    } else if (tile.width < TILE_WIDTH && endOf(tile) < state.publishedSize) partials.push(tile);
  }
  await inParallel(partials, async (tile) => {
    const place = tilePath(tile);
    const part = await port.readFile(place);
    if (part === undefined) return; // pruned since it was listed
    const whole = await wholeOf(port, state, tile);
    const expected = whole === undefined ? undefined : beginningOf(tile, whole);
    if (expected !== undefined && sameBytes(part, expected)) return;
    findings.push({ type: "tile-mismatch", place, detail: `${place} is not the beginning of its tile` });
  });
  const checked = withFindings(state, findings, port);
  if (cursor !== undefined) return { state: { ...checked, cursor }, cost: paths.length, completed: false };
  return { state: complete(checked, port.now()), cost: paths.length, completed: true };
}

/** The widest form of the tile in the published tree, which the log phase has checked. */
async function wholeOf(port: ScrubPort, state: ScrubState, tile: Tile): Promise<Uint8Array | undefined> {
  const perHash = tile.kind === "entries" ? 1 : TILE_WIDTH ** tile.level;
  const hashes = Math.floor(state.publishedSize / perHash) - tile.index * TILE_WIDTH;
  const width = Math.min(TILE_WIDTH, hashes);
  return width < 1 ? undefined : readTile(port, { ...tile, width });
}
