/** What the scrub reads, and of whom it asks it. */
import type { AnchorEventRow, AnchorRow } from "./check-anchors.ts";
import type { StoredEntry } from "./check-entry.ts";
import type { StoredHead } from "./check-log.ts";
import type { Hasher } from "./check-tree.ts";
import type { OpenedCheckpoint } from "./checkpoint.ts";
import type { Finding } from "./finding.ts";

export interface CheckpointRow {
  readonly size: number;
  readonly rootHash: string;
  readonly note: string;
  readonly signedAt: number;
}

/** A part of the log and everything that speaks of its sizes, all of one moment. */
export interface LogSlice {
  readonly head: StoredHead | undefined;
  /** One more than the largest seq that is there; 0 when there is none. */
  readonly storedSize: number;
  readonly entries: readonly StoredEntry[];
  /** Of a size in the slice, or beyond the head, or of none (below 1, with the first slice). */
  readonly checkpoints: readonly CheckpointRow[];
  readonly anchors: readonly Pick<AnchorRow, "size" | "rootHash">[];
  /** The size of the largest checkpoint. */
  readonly newestCheckpoint: number | undefined;
}

/** What the publisher remembers, apart from the database. */
export interface PromisedCheckpoint {
  readonly size: number;
  readonly rootHash: string;
  /** Whether it is recorded in the database and out. */
  readonly released: boolean;
}

export type OrphanTable = "requests" | "claims" | "payloads" | "payload_keys" | "operator_actions" | "settlements";
export const ORPHAN_TABLES: readonly OrphanTable[] = [
  "requests",
  "claims",
  "payloads",
  "payload_keys",
  "operator_actions",
  "settlements",
];

/** Whom a row says that it belongs to. */
export interface Owner {
  /** Under which the row is kept: of the first entry of its subject. */
  readonly seq: number;
  readonly subject: string;
  /** Whether the subject does begin there. */
  readonly known: boolean;
}

export interface ScrubPort {
  readonly hasher: Hasher;
  now(): number;
  /** Hears of every finding at once, also of those that the state has no room for. */
  readonly found?: (findings: readonly Finding[]) => void;
  /** Undefined: nothing was ever signed. */
  readPromised(): Promise<PromisedCheckpoint | undefined>;
  /** The checkpoint that readers see. */
  readPublishedNote(): Promise<string | undefined>;
  /** Undefined: this log has no key, so no signature can be checked. */
  openNote(note: string): Promise<OpenedCheckpoint> | undefined;
  readLog(from: number, to: number): Promise<LogSlice>;
  readFile(path: string): Promise<Uint8Array | undefined>;
  /** Paths of the log's tiles and bundles, page by page. */
  listFiles(cursor: string | undefined): Promise<{ readonly paths: readonly string[]; readonly cursor?: string }>;
  /** Checks every subject whose first entry is one of these. */
  checkSubjects(from: number, to: number): Promise<{ readonly findings: readonly Finding[]; readonly erased: number }>;
  /** Owners of rows kept under a larger seq than `after`, in order: at least `limit` of them, or all that are left. */
  readOwners(table: OrphanTable, after: number, limit: number): Promise<readonly Owner[]>;
  readAnchors(
    afterSize: number,
    limit: number,
  ): Promise<{
    readonly anchors: readonly AnchorRow[];
    /** Of these anchors, and of sizes between them that have no row. */
    readonly events: readonly AnchorEventRow[];
  }>;
  readAnchorEvents(afterId: number, limit: number): Promise<readonly AnchorEventRow[]>;
  /** What the chain holds; undefined when no node is configured or none answers. */
  readChain(): Promise<{ readonly size: number; readonly rootHash: string } | undefined>;
  /** Whether the chain has the anchor where the row says; undefined when it can not be told. */
  isOnChain(anchor: AnchorRow): Promise<boolean | undefined>;
}
