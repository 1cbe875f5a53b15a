/**
 * Watches the ledger as it grows, and shares no code with what writes it: chain and tree are computed again from the stored bytes,
 * projections and outbox rows derived again from the entries.
 */
import { createHash } from "node:crypto";
import { hexOf, leafHash, rootOf } from "../support/rfc6962.ts";
import type { DestinationOptions } from "./options.ts";
import { CHAIN_ID, LEDGER_ID, TENANT_ID, type World } from "./world.ts";

/** Beyond this size the whole tree is computed at the end only, and its root trusted in between. */
const EAGER_TREE_SIZE = 256;

export interface WitnessedEntry {
  readonly seq: number;
  readonly hash: string;
  readonly at: string;
  readonly type: string;
  readonly subject: string;
  readonly commitment: string | undefined;
  readonly data: Readonly<Record<string, unknown>>;
}

/** The derived columns of a request or a claim. */
type Derived = Record<string, string | number | null>;

const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? { ...value } : {};

export class LedgerWitness {
  readonly #world: World;
  readonly #entries: WitnessedEntry[] = [];
  readonly #leaves: Uint8Array[] = [];
  readonly #requests = new Map<string, Derived>();
  readonly #claims = new Map<string, Derived>();
  readonly #bySubject = new Map<string, WitnessedEntry[]>();
  readonly #bodies = createHash("sha256");
  #version = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get size(): number {
    return this.#entries.length;
  }

  entriesOf(subject: string): readonly WitnessedEntry[] {
    return this.#bySubject.get(subject) ?? [];
  }

  get subjects(): Iterable<string> {
    return this.#bySubject.keys();
  }

  entry(seq: number): WitnessedEntry | undefined {
    return this.#entries[seq];
  }

  /** After every write of anyone. */
  readonly changed = (): void => {
    const version = Number(this.#world.row("SELECT version FROM ledger_heads WHERE ledger_id = ?", LEDGER_ID)?.version);
    if (!(version > 0) || version === this.#version) return;
    const head = this.#world.row("SELECT * FROM ledger_heads WHERE ledger_id = ?", LEDGER_ID);
    if (version !== this.#version + 1)
      this.#violate("fork", `the head went from version ${this.#version} to ${version}`);
    this.#version = version;
    const touched = new Set<string>();
    for (const row of this.#world.rows("SELECT * FROM ledger_entries WHERE seq >= ? ORDER BY seq", this.size)) {
      const entry = this.#take(row);
      if (entry === undefined) return;
      touched.add(entry.subject);
    }
    if (head?.size !== this.size || head.head_hash !== (this.#entries.at(-1)?.hash ?? "0".repeat(64))) {
      this.#violate("head", `the head says ${head?.size} entries and does not end as they do (${this.size})`);
    }
    if (this.size <= EAGER_TREE_SIZE) this.#checkRoot(head?.root_hash);
    for (const subject of touched) this.#checkProjection(subject);
  };

  /** Everything again from the rows: nothing that was seen once may have changed since. */
  checkWhole(): void {
    const rows = this.#world.rows("SELECT * FROM ledger_entries ORDER BY seq");
    if (rows.length !== this.size) this.#violate("lost entries", `${rows.length} entries of ${this.size} are left`);
    const digest = createHash("sha256");
    for (const row of rows) digest.update(`${row.seq} ${row.entry_hash} ${row.command_id} ${row.body}\n`);
    if (digest.digest("hex") !== this.#bodies.copy().digest("hex"))
      this.#violate("changed entries", "an entry changed");
    this.#checkRoot(this.#world.row("SELECT root_hash FROM ledger_heads WHERE ledger_id = ?", LEDGER_ID)?.root_hash);
    for (const subject of this.#bySubject.keys()) this.#checkProjection(subject);
    const counted = this.#world.row("SELECT (SELECT COUNT(*) FROM requests) AS r, (SELECT COUNT(*) FROM claims) AS c");
    if (counted?.r !== this.#requests.size || counted.c !== this.#claims.size) {
      this.#violate("projection", "there are more projections than entries give");
    }
  }

  #violate(rule: string, detail: string): void {
    this.#world.violate(rule, detail);
  }

  #checkRoot(stored: unknown): void {
    if (hexOf(rootOf(this.#leaves)) !== stored)
      this.#violate("tree", `the stored root is not that of ${this.size} entries`);
  }

  #take(row: Readonly<Record<string, unknown>>): WitnessedEntry | undefined {
    const { seq, entry_hash: hash, prev, subject, body, command_id: commandId } = row;
    if (typeof body !== "string" || typeof hash !== "string" || typeof subject !== "string") {
      this.#violate("entry", `entry ${seq} does not read as one`);
      return undefined;
    }
    const last = this.#entries.at(-1);
    const parsed = recordOf(JSON.parse(body));
    const leaf = leafHash(Buffer.from(body));
    if (seq !== this.size || parsed.seq !== seq) this.#violate("seq", `entry ${seq} stands where ${this.size} should`);
    if (hexOf(leaf) !== hash) this.#violate("chain", `entry ${seq} does not hash to its hash`);
    if (prev !== (last?.hash ?? "0".repeat(64)) || parsed.prev !== prev) this.#violate("chain", `entry ${seq} forks`);
    const at = String(parsed.at);
    if (last !== undefined && at < last.at) this.#violate("time", `entry ${seq} is earlier than the one before it`);
    const entry: WitnessedEntry = {
      seq: this.size,
      hash,
      at,
      type: String(parsed.type),
      subject,
      commitment: typeof parsed.commitment === "string" ? parsed.commitment : undefined,
      data: recordOf(parsed.data),
    };
    if (parsed.subject !== subject)
      this.#violate("entry", `entry ${seq} is about another subject than its column says`);
    this.#entries.push(entry);
    this.#leaves.push(leaf);
    this.#bodies.update(`${seq} ${hash} ${commandId} ${body}\n`);
    const history = this.#bySubject.get(subject);
    if (history === undefined) this.#bySubject.set(subject, [entry]);
    else history.push(entry);
    this.#world.trace("entry", entry.seq, entry.type, subject.slice(2, 10), String(entry.data.decision ?? ""));
    this.#replay(entry);
    for (const destination of this.#world.options.destinations) this.#checkOutbox(entry, destination);
    return entry;
  }

  #replay(entry: WitnessedEntry): void {
    const { type, subject, seq, data } = entry;
    const text = (name: string): string => String(data[name]);
    const request = this.#requests.get(subject);
    const claim = this.#claims.get(subject);
    switch (type) {
      case "REQUEST_SUBMITTED":
        if (request !== undefined) this.#violate("replay", `entry ${seq} submits a request again`);
        this.#requests.set(subject, {
          tenant_id: text("tenant"),
          request_type: text("requestType"),
          insurer_address: text("insurer"),
          submitter: text("submitter"),
          payload_hash: entry.commitment ?? null,
          state: "SUBMITTED",
          round: 0,
          decision_hash: null,
          submitted_seq: seq,
          acknowledged_seq: null,
          adjudicated_seq: null,
        });
        return;
      case "REQUEST_ACKNOWLEDGED":
        if (request?.state !== "SUBMITTED")
          this.#violate("replay", `entry ${seq} acknowledges what is ${request?.state}`);
        else Object.assign(request, { state: "ACKNOWLEDGED", acknowledged_seq: seq });
        return;
      case "REQUEST_ADJUDICATED":
        if (request === undefined || request.state === "APPROVED" || request.state === "DENIED") {
          this.#violate("replay", `entry ${seq} decides what is ${request?.state}`);
        } else if (data.round !== request.round) {
          this.#violate("replay", `entry ${seq} is of round ${data.round}, not ${request.round}`);
        } else {
          Object.assign(request, {
            state: text("decision"),
            decision_hash: text("decisionHash"),
            round: Number(request.round) + 1,
            adjudicated_seq: seq,
          });
        }
        return;
      case "CLAIM_CREATED":
        if (claim !== undefined) this.#violate("replay", `entry ${seq} creates a claim again`);
        this.#claims.set(subject, {
          tenant_id: text("tenant"),
          submitter: text("submitter"),
          payload_hash: entry.commitment ?? null,
          state: "CREATED",
          created_seq: seq,
          finalized_seq: null,
          settlement_seq: null,
        });
        return;
      case "CLAIM_FINALIZED":
        if (claim?.state !== "CREATED") this.#violate("replay", `entry ${seq} finalizes what is ${claim?.state}`);
        else Object.assign(claim, { state: "FINALIZED", finalized_seq: seq });
        return;
      case "SETTLEMENT_CREATED":
        if (claim?.state !== "FINALIZED") this.#violate("replay", `entry ${seq} settles what is ${claim?.state}`);
        else Object.assign(claim, { state: "SETTLEMENT_PENDING", settlement_seq: seq });
        return;
      default:
        this.#violate("replay", `entry ${seq} is of the unknown type ${type}`);
    }
  }

  #checkProjection(subject: string): void {
    const request = this.#requests.get(subject);
    const derived = request ?? this.#claims.get(subject);
    const first = this.entriesOf(subject)[0]?.seq ?? -1;
    const row =
      request === undefined
        ? this.#world.row("SELECT * FROM claims WHERE ledger_id = ? AND created_seq = ?", LEDGER_ID, first)
        : this.#world.row("SELECT * FROM requests WHERE ledger_id = ? AND submitted_seq = ?", LEDGER_ID, first);
    for (const [column, value] of Object.entries(derived ?? {})) {
      if (row?.[column] !== value) {
        this.#violate(
          "projection",
          `${column} of ${subject.slice(0, 10)} is ${row?.[column]}, the entries give ${value}`,
        );
      }
    }
    for (const part of this.#expectedParts(subject)) {
      const sealed = this.#world.row(
        "SELECT 1 FROM payloads WHERE ledger_id = ? AND subject_seq = ? AND part = ?",
        LEDGER_ID,
        first,
        part,
      );
      if (sealed === undefined) this.#violate("payload", `part ${part} of ${subject.slice(0, 10)} is missing`);
    }
    if (
      this.#world.row("SELECT 1 FROM payload_keys WHERE ledger_id = ? AND subject_seq = ?", LEDGER_ID, first) ===
      undefined
    ) {
      this.#violate("payload", `the key of ${subject.slice(0, 10)} is missing`);
    }
  }

  /** Every decision of the simulated insurers has notes; acknowledgements have none. */
  #expectedParts(subject: string): readonly string[] {
    const rounds = this.entriesOf(subject).filter(({ type }) => type === "REQUEST_ADJUDICATED");
    return ["payload", ...rounds.map(({ data }) => `adj:${data.round}`)];
  }

  #checkOutbox(entry: WitnessedEntry, destination: DestinationOptions): void {
    const insurer = this.#requests.get(entry.subject)?.insurer_address;
    const wanted =
      entry.type.startsWith("REQUEST_") &&
      (destination.kind === "MEDLINK" || destination.insurerAddress?.toLowerCase() === String(insurer).toLowerCase());
    const eventId = `${CHAIN_ID}:0x${entry.hash}:0:${destination.kind}`;
    const rows = this.#world.rows(
      "SELECT * FROM outbox WHERE event_id = ? AND destination_id = ?",
      eventId,
      destination.destinationId,
    );
    if (rows.length !== (wanted ? 1 : 0)) {
      this.#violate("outbox", `entry ${entry.seq} has ${rows.length} rows for ${destination.destinationId}`);
      return;
    }
    const row = rows[0];
    if (row === undefined) return;
    const body = recordOf(JSON.parse(String(row.body)));
    const expected = {
      seq: entry.seq,
      event_type: entry.type,
      subject: entry.subject,
      tenant_id: TENANT_ID,
      ledger_id: LEDGER_ID,
    };
    for (const [column, value] of Object.entries(expected)) {
      if (row[column] !== value) this.#violate("outbox", `${column} of row ${row.outbox_id} is ${row[column]}`);
    }
    const ledger = recordOf(body.ledger);
    if (
      body.eventId !== eventId ||
      body.requestIdHash !== entry.subject ||
      body.occurredAt !== Math.floor(Date.parse(entry.at) / 1_000) ||
      ledger.entryHash !== entry.hash ||
      recordOf(body.data).decision !== entry.data.decision
    ) {
      this.#violate("outbox", `the body of row ${row.outbox_id} is not that of its entry`);
    }
  }
}
