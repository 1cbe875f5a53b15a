/** What an outside verification says: every finding, and what was not looked at. */

export const FINDINGS = [
  "bundle-malformed",
  "checkpoint-refused",
  "checkpoint-not-extending",
  "truncated",
  "seq-gap",
  "entry-unreadable",
  "entry-hash-mismatch",
  "prev-mismatch",
  "time-runs-backwards",
  "tile-mismatch",
  "root-mismatch",
  "inclusion-mismatch",
  "anchor-mismatch",
] as const;
export type FindingType = (typeof FINDINGS)[number];

export interface Finding {
  readonly type: FindingType;
  readonly detail: string;
}

/** `not-checked` says why; it is never a finding. */
export interface Check {
  readonly name: string;
  readonly status: "ok" | "failed" | "not-checked";
  readonly detail: string;
}

export interface Report {
  /** `valid`: nothing wrong, and the log's key was pinned. `unverified`: nothing wrong was found, which says little. */
  readonly status: "valid" | "invalid" | "unverified";
  readonly subject: string;
  readonly origin: string | undefined;
  readonly size: number | undefined;
  readonly rootHash: string | undefined;
  readonly checks: readonly Check[];
  readonly findings: readonly Finding[];
}

/** Collects a report. A finding fails its check; a reason why nothing can be said makes the whole unverified. */
export class Reporter {
  readonly #checks: Check[] = [];
  readonly #findings: Finding[] = [];
  #unverified = false;

  ok(name: string, detail: string): void {
    this.#checks.push({ name, status: "ok", detail });
  }

  fail(name: string, type: FindingType, detail: string): void {
    this.#findings.push({ type, detail });
    this.#checks.push({ name, status: "failed", detail });
  }

  finding(type: FindingType, detail: string): void {
    this.#findings.push({ type, detail });
  }

  skip(name: string, detail: string): void {
    this.#checks.push({ name, status: "not-checked", detail });
  }

  /** As `skip`, for something without which nothing is verified. */
  unverified(name: string, detail: string): void {
    this.#unverified = true;
    this.skip(name, detail);
  }

  get findingCount(): number {
    return this.#findings.length;
  }

  report(about: Pick<Report, "subject" | "origin" | "size" | "rootHash">): Report {
    const status = this.#findings.length > 0 ? "invalid" : this.#unverified ? "unverified" : "valid";
    return { status, ...about, checks: this.#checks, findings: this.#findings };
  }
}

export const EXIT_CODES = { valid: 0, invalid: 1, unverified: 2 } as const;
