/** Holds what callers and receivers were told, and what the rows say in the end, against the ledger. */
import { commitmentOf, subjectOf } from "../../src/ledger/commitment.ts";
import type { Appended } from "../../src/ledger/sequencer.ts";
import { MAX_EXPIRED_LEASES } from "../../src/relay/lanes.store.ts";
import type { Command, CommandResult } from "../../src/workflow/commit-plan.ts";
import type { Promised } from "./clients.ts";
import { saltOf } from "./edge.ts";
import type { LedgerWitness } from "./ledger-witness.ts";
import type { Receivers } from "./receivers.ts";
import { LEDGER_ID, TENANT_ID, type World } from "./world.ts";

export class Judge {
  readonly #world: World;
  readonly #witness: LedgerWitness;
  readonly #receivers: Receivers;
  readonly #promises: Promised[] = [];
  readonly #hashes = new Map<string, string>();
  /** Destinations whose breaker was ever not closed. */
  readonly #broken = new Set<string>();

  constructor(world: World, witness: LedgerWitness, receivers: Receivers) {
    this.#world = world;
    this.#witness = witness;
    this.#receivers = receivers;
  }

  /** After every write of anyone. */
  readonly changed = (): void => {
    for (const row of this.#world.rows(
      "SELECT destination_id, breaker FROM relay_counters WHERE breaker <> 'closed'",
    )) {
      const id = String(row.destination_id);
      if (!this.#broken.has(id)) this.#world.trace("breaker", id, String(row.breaker));
      this.#broken.add(id);
    }
  };

  /** An answer leaves the sequencer: what it says is committed by now. */
  readonly answered = (command: Command, appended: Appended<CommandResult>): void => {
    if (appended.type !== "done") return;
    const { result } = appended;
    if (result.type === "rejected") {
      this.#checkRejection(command, result.rejection.code);
      return;
    }
    const { entry, state } = result;
    if (entry !== undefined && this.#witness.entry(entry.seq)?.hash !== entry.entryHash) {
      this.#world.violate("answered before commit", `entry ${entry.seq} was acknowledged and is not in the ledger`);
    }
    if (state.kind === "operator-action") return;
    const [subject, seqs] =
      state.kind === "request"
        ? [state.request.requestIdHash, [state.request.submittedSeq, state.request.adjudicatedSeq]]
        : state.kind === "claim"
          ? [state.claim.claimIdHash, [state.claim.createdSeq, state.claim.settlementSeq]]
          : [state.settlement.subject, [state.settlement.createdSeq, state.settlement.endedSeq]];
    for (const seq of seqs) {
      if (seq !== undefined && this.#witness.entry(seq)?.subject !== subject) {
        this.#world.violate("answered before commit", `an answer rests on entry ${seq}, which is not in the ledger`);
      }
    }
  };

  #checkRejection(command: Command, code: string): void {
    if (!("requestId" in command)) return;
    const row = this.#world.row(
      "SELECT state FROM requests WHERE ledger_id = ? AND tenant_id = ? AND request_id = ?",
      LEDGER_ID,
      TENANT_ID,
      command.requestId,
    );
    if (code === "not_found" && row !== undefined) {
      this.#world.violate("acknowledged lost", `${command.requestId} is in the ledger and was said not to be`);
    }
    const decided = row?.state === "APPROVED" || row?.state === "DENIED" || row?.state === "NEEDS_INFO";
    if (code === "already_decided" && !decided) {
      this.#world.violate("answered before commit", `${command.requestId} was said to be decided and is ${row?.state}`);
    }
  }

  readonly promised = (promised: Promised): void => {
    this.#promises.push(promised);
    this.#checkPromise(promised);
    if (promised.type !== "submitted") return;
    const { submission, requestIdHash } = promised;
    const told = this.#hashes.get(submission.requestId);
    if (told !== undefined && told !== requestIdHash) {
      this.#world.violate("answer", `${submission.requestId} was answered with two hashes`);
    }
    this.#hashes.set(submission.requestId, requestIdHash);
    this.#receivers.learn(requestIdHash);
  };

  #checkPromise(promised: Promised): void {
    switch (promised.type) {
      case "submitted": {
        const { submission, requestIdHash } = promised;
        const entry = this.#witness.entriesOf(requestIdHash)[0];
        const key = this.#world.row(
          "SELECT wrapped FROM payload_keys WHERE ledger_id = ? AND subject_seq = ?",
          LEDGER_ID,
          entry?.seq ?? -1,
        );
        const salt = saltOf(String(key?.wrapped ?? ""));
        if (entry?.type !== "REQUEST_SUBMITTED" || subjectOf(salt, submission.requestId) !== requestIdHash) {
          this.#world.violate("acknowledged lost", `${submission.requestId} was acknowledged and is not in the ledger`);
        } else if (commitmentOf(salt, submission.payload) !== entry.commitment) {
          this.#world.violate(
            "answer",
            `${submission.requestId} was acknowledged with content that is not the ledger's`,
          );
        }
        return;
      }
      case "acknowledged":
        this.#expectEntry(promised.requestIdHash, "REQUEST_ACKNOWLEDGED", undefined);
        return;
      case "decided":
        this.#expectEntry(promised.requestIdHash, "REQUEST_ADJUDICATED", promised.decision);
        return;
      case "claim": {
        const row = this.#world.row("SELECT state FROM claims WHERE claim_id = ?", promised.claimId);
        if (!promised.states.includes(String(row?.state))) {
          this.#world.violate("acknowledged lost", `claim ${promised.claimId} is ${row?.state}`);
        }
      }
    }
  }

  #expectEntry(subject: string, type: string, decision: string | undefined): void {
    const there = this.#witness
      .entriesOf(subject)
      .some((entry) => entry.type === type && entry.data.decision === decision);
    if (!there) {
      this.#world.violate(
        "acknowledged lost",
        `${type} ${decision ?? ""} of ${subject.slice(0, 10)} is not in the ledger`,
      );
    }
  }

  /** Everything has settled: promises are kept, deliveries made or given up for a reason. */
  final(): void {
    this.#witness.checkWhole();
    for (const promised of this.#promises) this.#checkPromise(promised);
    this.#checkRows();
    this.#checkReceivers();
  }

  /** Rows on their way that nothing holds: what is left to settle. */
  unsettled(): number {
    const row = this.#world.row(
      `SELECT COUNT(*) AS n FROM outbox AS o WHERE o.state IN ('waiting', 'due', 'leased') AND NOT EXISTS (
         SELECT 1 FROM outbox AS dead INDEXED BY outbox_lane
         WHERE dead.destination_id = o.destination_id AND dead.subject = o.subject
           AND dead.outbox_id < o.outbox_id AND dead.open = 1 AND dead.state = 'dead')`,
    );
    return Number(row?.n);
  }

  #checkRows(): void {
    const { policy, clockErrorMs } = this.#world.options;
    this.#checkCounts(policy.maxRetries);
    this.#checkAttempts();
    for (const row of this.#world.rows("SELECT * FROM outbox WHERE state = 'dead'")) {
      const reason = this.#deathFault(row, policy.maxRetries, policy.notYetKnownWindowMs - 2 * clockErrorMs);
      if (reason !== undefined)
        this.#world.violate("dead letter", `row ${row.outbox_id} (${row.last_error}): ${reason}`);
    }
    const counters = this.#world.rows(
      `SELECT d.destination_id, COALESCE(c.delivered, 0) AS counted,
         (SELECT COUNT(*) FROM outbox AS o WHERE o.destination_id = d.destination_id AND o.state = 'delivered') AS delivered
       FROM destinations AS d LEFT JOIN relay_counters AS c ON c.destination_id = d.destination_id`,
    );
    for (const { destination_id: id, counted, delivered } of counters) {
      if (counted !== delivered) this.#world.violate("counter", `${id} counts ${counted} of ${delivered} deliveries`);
    }
  }

  /** "Not yet known" uses up no retry, and while a breaker is not closed neither does a failure of the destination. */
  #checkCounts(maxRetries: number): void {
    const rows = this.#world.rows(
      `SELECT o.outbox_id, o.destination_id, o.attempts,
         (o.posted_at IS NOT NULL) + COUNT(a.lease_token) FILTER (WHERE a.outcome <> 'retry' OR a.error <> 'not-yet-known') AS most,
         (o.posted_at IS NOT NULL) + COUNT(a.lease_token) FILTER (WHERE a.outcome <> 'retry' OR NOT (a.error IN ('not-yet-known', 'timeout', 'http-408')
           OR a.error LIKE 'http-5%' OR a.error LIKE 'connection-failed%')) AS least
       FROM outbox AS o LEFT JOIN delivery_attempts AS a ON a.outbox_id = o.outbox_id GROUP BY o.outbox_id`,
    );
    for (const { outbox_id: outboxId, destination_id: destinationId, attempts, most, least } of rows) {
      const fewest = this.#broken.has(String(destinationId)) ? Number(least) : Number(most);
      const count = Number(attempts);
      if (count < fewest || count > Number(most) || count > maxRetries + 1) {
        this.#world.violate("attempts", `row ${outboxId} counts ${count} attempts, of ${fewest} to ${most} recorded`);
      }
    }
  }

  /** An attempt is recorded under the lease it was made under, as it went. */
  #checkAttempts(): void {
    const recorded = this.#world.rows(
      `SELECT outbox_id, lease_token, started_at, status FROM delivery_attempts
       UNION ALL SELECT outbox_id, lease_token, posted_at, last_status FROM outbox WHERE state = 'delivered'`,
    );
    for (const attempt of recorded) {
      const { outbox_id: outboxId, lease_token: token, started_at: startedAt, status } = attempt;
      const made = this.#receivers.answersTo(Number(outboxId)).find(({ leaseToken }) => leaseToken === token);
      const answered = made?.result.type === "answered" ? made.result.status : null;
      if (made === undefined || made.startedAt !== startedAt || answered !== status) {
        this.#world.violate("fencing", `the attempt of row ${outboxId} under lease ${token} was another lease's`);
      }
    }
  }

  /** @returns why the policy does not ask for this dead letter. */
  #deathFault(row: Readonly<Record<string, unknown>>, maxRetries: number, windowMs: number): string | undefined {
    const outboxId = Number(row.outbox_id);
    const error = String(row.last_error);
    if (error === "lease-expired") {
      return Number(row.expired_leases) >= MAX_EXPIRED_LEASES
        ? undefined
        : `given up after ${row.expired_leases} leases`;
    }
    const answers = this.#receivers.answersTo(outboxId);
    const answered = answers.some(({ result }) => result.type === "answered" && result.status === row.last_status);
    if (row.last_status !== null && !answered) return "its receiver never answered that";
    if (error === "not-yet-known") {
      const unknown = answers.filter(({ result }) => result.type === "answered" && result.retryable);
      const spanMs = (unknown.at(-1)?.at ?? 0) - (unknown[0]?.at ?? 0);
      return spanMs >= windowMs ? undefined : `given up after ${spanMs} ms`;
    }
    const status = row.last_status === null ? undefined : Number(row.last_status);
    const mendable = status === undefined || status === 408 || status === 429 || status >= 500;
    if (!mendable) {
      const final = answers.some(
        ({ result }) => result.type === "answered" && result.status === status && !result.retryable,
      );
      return final ? undefined : "its receiver said that it may be tried again";
    }
    return Number(row.attempts) === maxRetries + 1 ? undefined : `given up after ${row.attempts} attempts`;
  }

  #checkReceivers(): void {
    const events = this.#world.rows(
      "SELECT outbox_id, destination_id, subject, seq, state FROM outbox ORDER BY outbox_id",
    );
    const lanes = new Map<string, { subject: string; destinationId: string; lastSeq: number; held: boolean }>();
    for (const { outbox_id: outboxId, destination_id: destinationId, subject, seq, state } of events) {
      const key = `${destinationId} ${subject}`;
      const lane = lanes.get(key) ?? {
        subject: String(subject),
        destinationId: String(destinationId),
        lastSeq: -1,
        held: false,
      };
      lanes.set(key, lane);
      if (state === "delivered") {
        if (lane.held) this.#world.violate("order", `row ${outboxId} was delivered past one that was not`);
        lane.lastSeq = Number(seq);
        const effects = this.#receivers.lane(lane.destinationId, lane.subject)?.effects.get(lane.lastSeq) ?? 0;
        if (effects === 0) this.#world.violate("lost delivery", `row ${outboxId} is delivered and was never applied`);
      } else {
        lane.held = true;
      }
    }
    for (const { subject, destinationId, lastSeq, held } of lanes.values()) {
      // A dead letter may have been applied before it was given up: then the receiver is one event further.
      if (lastSeq < 0 || held) continue;
      const entry = this.#witness.entry(lastSeq);
      const expected = String(entry?.data.decision ?? entry?.type.replace("REQUEST_", ""));
      const status = this.#receivers.lane(destinationId, subject)?.status;
      if (status !== expected) {
        this.#world.violate(
          "final state",
          `${destinationId} believes ${subject.slice(0, 10)} ${status}, it is ${expected}`,
        );
      }
    }
  }
}
