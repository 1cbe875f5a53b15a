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
  /** `valid`: nothing wrong, and all was pinned that was wanted. `unverified`: nothing wrong was found, which says little. */
  readonly status: "valid" | "invalid" | "unverified";
  readonly subject: string;
  readonly origin: string | undefined;
  readonly size: number | undefined;
  readonly rootHash: string | undefined;
  readonly checks: readonly Check[];
  readonly findings: readonly Finding[];
  /** Findings that were counted and not listed, by kind. */
  readonly omitted: Readonly<Partial<Record<FindingType, number>>>;
}

/** Findings of one kind beyond this many are counted, not listed: a log of another kind would fill the disk. */
export const MAX_LISTED_OF_A_KIND = 1_000;

/** Collects a report. A finding fails its check; a reason why nothing can be said makes the whole unverified. */
export class Reporter {
  readonly #checks: Check[] = [];
  readonly #findings: Finding[] = [];
  readonly #counts = new Map<FindingType, number>();
  #unverified = false;

  ok(name: string, detail: string): void {
    this.#checks.push({ name, status: "ok", detail });
  }

  fail(name: string, type: FindingType, detail: string): void {
    this.finding(type, detail);
    this.failed(name, detail);
  }

  /** For a check whose findings were reported one by one. */
  failed(name: string, detail: string): void {
    this.#checks.push({ name, status: "failed", detail });
  }

  finding(type: FindingType, detail: string): void {
    const count = (this.#counts.get(type) ?? 0) + 1;
    this.#counts.set(type, count);
    if (count <= MAX_LISTED_OF_A_KIND) this.#findings.push({ type, detail });
  }

  skip(name: string, detail: string): void {
    this.#checks.push({ name, status: "not-checked", detail });
  }

  /** As `skip`, for something without which nothing is verified. */
  unverified(name: string, detail: string): void {
    this.#unverified = true;
    this.skip(name, detail);
  }

  /** All there were, listed or not. */
  get findingCount(): number {
    let all = 0;
    for (const count of this.#counts.values()) all += count;
    return all;
  }

  report(about: Pick<Report, "subject" | "origin" | "size" | "rootHash">): Report {
    const status = this.#findings.length > 0 ? "invalid" : this.#unverified ? "unverified" : "valid";
    const omitted: Partial<Record<FindingType, number>> = {};
    for (const [type, count] of this.#counts) {
      if (count > MAX_LISTED_OF_A_KIND) omitted[type] = count - MAX_LISTED_OF_A_KIND;
    }
    return { status, ...about, checks: this.#checks, findings: this.#findings, omitted };
  }
}

export const EXIT_CODES = { valid: 0, invalid: 1, unverified: 2 } as const;
