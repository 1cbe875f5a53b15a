/** What verification finds. Each names the thing that is wrong and where it is, so that the same finding is one finding. */
export const FINDING_TYPES = [
  /** Entries and their chain. */
  "seq-gap",
  "entry-unexpected",
  "entry-unreadable",
  "entry-hash-mismatch",
  "prev-mismatch",
  "time-mismatch",
  "column-mismatch",
  /** The head, and what was promised of its size. */
  "head-mismatch",
  "root-mismatch",
  "truncated",
  /** This ledger is not the one that an earlier round of the scrub went through. */
  "history-changed",
  /** Checkpoints and the published files. */
  "checkpoint-mismatch",
  "checkpoint-signature",
  "checkpoint-missing",
  "tile-missing",
  "tile-mismatch",
  "file-unexpected",
  /** Anchors. */
  "anchor-mismatch",
  "anchor-missing",
  "anchor-chain-mismatch",
  /** Projections, payloads and their keys. */
  "projection-missing",
  "projection-mismatch",
  "projection-unexpected",
  "replay-failed",
  "payload-missing",
  "payload-unreadable",
  "payload-mismatch",
  "payload-unexpected",
  "key-missing",
  "key-unreadable",
  "key-unexpected",
] as const;
export type FindingType = (typeof FINDING_TYPES)[number];

export interface Finding {
  readonly type: FindingType;
  /** The entry concerned. */
  readonly seq?: number;
  /** The size of the tree that a checkpoint or an anchor is about. */
  readonly size?: number;
  /** `0x` and 64 hex: the request or claim concerned. */
  readonly subject?: string;
  /** A column, a part of a payload, or a file of the log. */
  readonly place?: string;
  readonly detail: string;
}

export const findingKey = ({ type, seq, size, subject, place }: Finding): string =>
  [type, seq ?? "", size ?? "", subject ?? "", place ?? ""].join("|");

/** One of each, in the order in which they were first found. */
export function distinct(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.toReversed().map((finding) => [findingKey(finding), finding])).values()].toReversed();
}
