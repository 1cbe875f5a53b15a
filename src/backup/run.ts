/** A run of a snapshot, as it is kept between its turns. */
export type RunState = "running" | "good" | "failed" | "expired";

export interface RunRow {
  readonly name: string;
  readonly kind: "nightly" | "command";
  readonly state: RunState;
  readonly fence: number;
  readonly cursor: string;
  readonly size: number;
  readonly startedAt: number;
  readonly finishedAt: number | null;
  readonly files: number;
  readonly bytes: number;
  readonly newFiles: number;
  readonly newBytes: number;
  readonly manifestSha256: string | null;
  readonly reason: string | null;
}
