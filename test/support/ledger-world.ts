/** A ledger in Node with all that belongs to it: committed, published and anchored by the real code, and checked by the real checks. */
import type { DatabaseSync } from "node:sqlite";
import { sha256 } from "@noble/hashes/sha2.js";
import { recordStatements } from "../../src/anchor/anchor.store.ts";
import type { AnchorChange, AnchorTransaction } from "../../src/anchor/state.ts";
import { signCheckpoint } from "../../src/ledger/checkpoint.ts";
import { importSigningKey } from "../../src/ledger/ed25519.ts";
import { distinct, type Finding } from "../../src/ledger/finding.ts";
import {
  overwriteLogFile,
  readLogFile,
  tileReader,
  writeCheckpointFile,
  writeLogFileOnce,
} from "../../src/ledger/log.store.ts";
import { formatVerifierKey, makeSigner, type NoteSigner } from "../../src/ledger/note.ts";
import { readCommittedEntries, readCommittedHead, recordCheckpoint } from "../../src/ledger/publish.store.ts";
import { NOTHING_BUILT, type PublisherState, publishRound } from "../../src/ledger/publish.ts";
import { chainOf, makeScrubPort, NO_CHAIN } from "../../src/ledger/scrub.edge.ts";
import { scrubSlice } from "../../src/ledger/scrub.ts";
import type { PromisedCheckpoint } from "../../src/ledger/scrub-port.ts";
import { NEVER_SCRUBBED, type ScrubState, scrubReport } from "../../src/ledger/scrub-state.ts";
import { verifyNewest } from "../../src/ledger/verify.ts";
import { cents } from "../../src/platform/cents.ts";
import { toHex, utf8 } from "../../src/platform/encoding.ts";
import { makeKeyring } from "../../src/platform/keyring.ts";
import { committedTerms, type SettlementTerms } from "../../src/settlement/settlement.ts";
import { loadContext, loadHead, writeCommit } from "../../src/workflow/commit.store.ts";
import { type Command, planCommit } from "../../src/workflow/commit-plan.ts";
import { keepLookupKey } from "../../src/workflow/id-lookup.store.ts";
import { type IdLookup, makeVault, type OpenSubject, type Vault } from "../../src/workflow/vault.ts";
import { seededRandom } from "../e2e/support/random.ts";
import { INSURER, refIdOf, submitCommand } from "./commands.ts";
import { migratedCore } from "./d1-sqlite.ts";
import { MemoryBucket } from "./memory-bucket.ts";
import { MemoryChain } from "./memory-chain.ts";

export const LEDGER = "main";
const ORIGIN = "test.invalid/log";
const CHAIN = { ledgerId: LEDGER, chainId: 31_337, contractAddress: `0x${"ab".repeat(20)}` };

/** Bytes of which each world draws the same: what a seed finds in one run, it finds in the next. */
function seededBytes(seed: number): (length: number) => Uint8Array<ArrayBuffer> {
  const { next } = seededRandom(seed);
  return (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256));
}

export const testVault = async (): Promise<Vault> =>
  makeVault(await makeKeyring(["a master key of the tests, long enough"], "payload"), LEDGER, seededBytes(1));

export const testSigner = async (): Promise<NoteSigner> =>
  makeSigner(ORIGIN, await importSigningKey(new Uint8Array(32).fill(7)));

export interface Stored {
  readonly db: D1Database;
  readonly bucket: MemoryBucket;
  readonly promised: PromisedCheckpoint | undefined;
  /** Undefined: no node is configured. */
  readonly chain?: MemoryChain;
}

const portOver = (stored: Stored, keys: { readonly vault: Vault; readonly signer: NoteSigner }) =>
  makeScrubPort({
    db: stored.db,
    bucket: stored.bucket.r2,
    ledgerId: LEDGER,
    vault: async () => keys.vault,
    logKeys: [keys.signer.key],
    promised: async () => stored.promised,
    chain: stored.chain === undefined ? NO_CHAIN : chainOf(stored.chain, CHAIN.chainId),
    now: Date.now,
  });

/** Every finding of one whole round of the scrub and of the answer that is given at once. */
export async function checkEverything(
  stored: Stored,
  keys: { readonly vault: Vault; readonly signer: NoteSigner },
  before: ScrubState = NEVER_SCRUBBED,
): Promise<{ readonly findings: readonly Finding[]; readonly state: ScrubState }> {
  const port = portOver(stored, keys);
  let state = before;
  for (let over = false; !over; ) {
    const slice = await scrubSlice(port, state);
    state = slice.state;
    over = slice.completed;
  }
  const { findings: atOnce } = await verifyNewest(port, 4_096);
  const scrubbed = scrubReport(state).findings.map(({ firstSeenAt: _first, lastSeenAt: _last, ...finding }) => finding);
  return { findings: distinct([...scrubbed, ...atOnce]), state };
}

/** What verification finds in the log alone, with nothing published. */
export async function logFindings(db: D1Database, ledgerId: string): Promise<readonly Finding[]> {
  const port = makeScrubPort({
    db,
    bucket: new MemoryBucket().r2,
    ledgerId,
    vault: testVault,
    logKeys: [],
    promised: async () => undefined,
    chain: NO_CHAIN,
    now: Date.now,
  });
  return (await verifyNewest(port, 100_000)).findings;
}

export class LedgerWorld {
  readonly db: D1Database;
  readonly sqlite: DatabaseSync;
  readonly bucket = new MemoryBucket();
  readonly chain = new MemoryChain(CHAIN.contractAddress);
  readonly vault: Vault;
  readonly signer: NoteSigner;
  #published: PublisherState = { signed: undefined, cosignedNote: undefined, released: false, built: NOTHING_BUILT };
  #nowMs = Date.parse("2026-11-22T10:00:00.000Z");
  #anchored = 0;
  #ids = 0;

  readonly #lookup: IdLookup;
  /** Ids of requests that are neither superseded nor erased. */
  readonly #current: string[] = [];
  /** Those on which money moved, which are not superseded. */
  readonly #settled: string[] = [];

  static async make(): Promise<LedgerWorld> {
    const vault = await testVault();
    const { db, sqlite } = migratedCore();
    const key = await keepLookupKey(db, LEDGER, await vault.createLookupKey());
    return new LedgerWorld(db, sqlite, vault, await testSigner(), await vault.openLookupKey(key));
  }

  private constructor(db: D1Database, sqlite: DatabaseSync, vault: Vault, signer: NoteSigner, lookup: IdLookup) {
    this.#lookup = lookup;
    this.db = db;
    this.sqlite = sqlite;
    this.vault = vault;
    this.signer = signer;
  }

  get promised(): PromisedCheckpoint | undefined {
    const { signed, released } = this.#published;
    return signed && { size: signed.size, rootHash: signed.rootHash, released };
  }

  async commit(commands: readonly Command[]): Promise<number> {
    this.#nowMs += 1_000;
    const head = await loadHead(this.db, LEDGER);
    const context = await loadContext(this.db, LEDGER, commands);
    const plan = planCommit(head, context, commands, this.#nowMs, CHAIN);
    if (!plan.changes) throw new Error(`nothing came of ${commands[0]?.type}`);
    await writeCommit(this.db, LEDGER, plan);
    return plan.head.frontier.size;
  }

  /** A request with a payload of its own, perhaps acknowledged and decided; or a claim, perhaps finalized and settled. */
  async addSubject(kind: "request" | "claim", steps: number): Promise<void> {
    const n = this.#ids++;
    const id = `${kind}-${n}`;
    const { opened, wrappedKey } = await this.vault.create(id);
    const payload = {
      patientId: `p-${n}`,
      services: [],
      totalAmount: 100 + n / 4,
      ...(n % 3 === 0 ? { currency: "USD" } : {}),
    };
    const sealed = await opened.seal("payload", JSON.stringify(payload));
    const name = `payloads/${LEDGER}/${opened.subject}/payload/${n}`;
    if (n % 4 === 0) await this.bucket.put(name, sealed);
    const lookupOf = (one: string) => this.#lookup(kind, "default", one);
    const common = { tenantId: "default", correlationId: `c-${n}`, lookup: lookupOf(id) };
    const made = {
      ...common,
      submitter: kind === "request" ? "workflow" : "claims",
      payloadHash: opened.commit(payload),
      amountMinor: Math.round(payload.totalAmount * 100),
      currency: payload.currency ?? "CAD",
      payload: n % 4 === 0 ? ({ type: "object", key: name } as const) : ({ type: "inline", sealed } as const),
      wrappedKey,
    };
    const superseded = kind === "request" && n % 9 === 8 ? this.#current.shift() : undefined;
    if (kind === "claim") {
      await this.commit([{ ...made, type: "CreateClaim", claimId: id, claimIdHash: opened.subject }]);
      if (steps > 0) await this.commit([{ ...common, type: "FinalizeClaim", claimId: id, actor: "claims" }]);
      if (steps > 1) await this.#settle(opened, "claim", made, n);
      return;
    }
    await this.commit([
      {
        ...made,
        type: "SubmitRequest",
        requestId: id,
        requestIdHash: opened.subject,
        requestType: n % 2 === 0 ? "CLAIM" : "PREAUTH",
        insurerAddress: INSURER,
        ...(superseded === undefined
          ? {}
          : { corrects: { requestId: superseded, lookup: lookupOf(superseded), incidentTicket: `INC-${n}` } }),
      },
    ]);
    this.#current.push(id);
    const request = { ...common, requestId: id, actor: "insurer" } as const;
    if (steps > 0) {
      const notes = { type: "inline", sealed: await opened.seal("ack", "we have it") } as const;
      await this.commit([{ ...request, type: "AcknowledgeRequest", notes }]);
    }
    for (let round = 0; round < steps - 1; round++) {
      const decision = round === steps - 2 ? "APPROVED" : "NEEDS_INFO";
      const notes = n % 2 === 0 ? `round ${round}` : null;
      const sealedNotes = notes === null ? undefined : await opened.seal(`adj:${round}`, notes);
      await this.commit([
        {
          ...request,
          type: "AdjudicateRequest",
          decision,
          decisionHash: opened.commit({ decision, notes }),
          round,
          notes: sealedNotes === undefined ? undefined : { type: "inline", sealed: sealedNotes },
        },
      ]);
    }
    if (steps > 2 && n % 2 === 0) {
      await this.#settle(opened, "request", made, n / 2);
      this.#current.pop();
      this.#settled.push(id);
    }
  }

  /** Payments and what becomes of them, in every way that there is. */
  async #settle(
    opened: OpenSubject,
    subjectKind: "claim" | "request",
    { amountMinor, currency }: { readonly amountMinor: number; readonly currency: string },
    n: number,
  ): Promise<void> {
    const common = {
      tenantId: "default",
      correlationId: `c-${n}`,
      actor: "settlements",
      subjectKind,
      subject: opened.subject,
    } as const;
    const create = async (name: string, over: Partial<SettlementTerms>) => {
      const refId = refIdOf(`${subjectKind}-${name}-${n}`);
      const whole: SettlementTerms = {
        refId,
        type: "payment",
        amountCents: cents(amountMinor),
        currency,
        reverses: null,
        ...over,
      };
      const settlement = { ...whole, commitment: opened.commit(committedTerms(whole)) };
      await this.commit([{ ...common, type: "CreateSettlement", settlement }]);
      return refId;
    };
    const refId = await create("P", { amountCents: cents(amountMinor - 1) });
    if (n % 2 === 0) return;
    await this.commit([{ ...common, type: "StartSettlement", refId }]);
    const operatorTransactionId = `op-${n}`;
    if (n % 3 === 0) {
      await this.commit([{ ...common, type: "FailSettlement", refId, reason: "ATTEMPTS-SPENT" }]);
      await this.commit([{ ...common, type: "ReplaySettlement", refId }]);
      return;
    }
    if (n % 5 === 0) {
      await this.commit([{ ...common, type: "RejectSettlement", refId, reason: "ACCOUNT-CLOSED" }]);
      return;
    }
    await this.commit([{ ...common, type: "CompleteSettlement", refId, operatorTransactionId }]);
    const reversal = await create("R", { type: "reversal", amountCents: cents(amountMinor - 2), reverses: refId });
    await this.commit([{ ...common, type: "StartSettlement", refId: reversal }]);
    await this.commit([
      { ...common, type: "ResolveSettlement", refId: reversal, outcome: "COMPLETED", reason: `TICKET-${n}` },
    ]);
    await create("A", { type: "adjustment", amountCents: cents(1) });
  }

  /** Many entries in few commits; their payloads do not open, so only the log of such a world can be checked. */
  async addEntries(count: number): Promise<void> {
    const first = this.#ids;
    this.#ids += count;
    for (let from = first; from < first + count; from += 500) {
      const ids = Array.from({ length: Math.min(500, first + count - from) }, (_, i) => `many-${from + i}`);
      await this.commit(ids.map((id) => submitCommand(id, { requestIdHash: `0x${toHex(sha256(utf8(id)))}` })));
    }
  }

  port() {
    return portOver(this, this);
  }

  async erase(): Promise<void> {
    const requestId = (this.#ids % 2 === 0 ? this.#settled.shift() : undefined) ?? this.#current.shift();
    if (requestId === undefined) throw new Error("there is no request to erase");
    const lookup = this.#lookup("request", "default", requestId);
    const erase = { type: "EraseRequest", tenantId: "default", requestId, lookup, actor: "operator" } as const;
    const found = this.sqlite
      .prepare("SELECT request_id_hash AS subject FROM requests WHERE request_id = ?")
      .get(requestId);
    await this.commit([{ ...erase, reason: "PATIENT_REQUEST", correlationId: "c" }]);
    // What the sweep of erasures does.
    const { objects } = await this.bucket.list({ prefix: `payloads/${LEDGER}/${String(found?.subject)}/` });
    await this.bucket.delete(objects.map(({ key }) => key));
  }

  async publish(): Promise<void> {
    const bucket = this.bucket.r2;
    const result = await publishRound(
      {
        loadState: async () => this.#published,
        saveBuilt: async (built) => {
          this.#published = { ...this.#published, built };
        },
        compareAndSet: async (_expected, signed) => {
          this.#published = { ...this.#published, signed, released: false };
          return { type: "set", replaced: undefined };
        },
        markReleased: async () => {
          this.#published = { ...this.#published, released: true };
        },
        readHead: () => readCommittedHead(this.db, LEDGER),
        readEntries: (from, to) => readCommittedEntries(this.db, LEDGER, from, to),
        writeOnce: (path, bytes) => writeLogFileOnce(bucket, LEDGER, path, bytes),
        overwrite: (path, bytes) => overwriteLogFile(bucket, LEDGER, path, bytes),
        read: (path) => readLogFile(bucket, LEDGER, path),
        readTile: tileReader(bucket, LEDGER),
        signedBy: formatVerifierKey(this.signer.key),
        sign: (size, root) => signCheckpoint({ origin: ORIGIN, size, root }, [this.signer]),
        record: (signed) => recordCheckpoint(this.db, LEDGER, signed),
        release: (note) => writeCheckpointFile(bucket, LEDGER, note),
        now: () => this.#nowMs,
      },
      { maxEntries: 8_192, writesAtOnce: 4 },
    );
    if (result.type === "refused") throw new Error(result.reason);
  }

  /** Anchors the head: it stays in flight, is given up, or becomes final. */
  async anchor(outcome: "submitted" | "failed" | "confirmed"): Promise<void> {
    const head = await readCommittedHead(this.db, LEDGER);
    if (head === undefined) throw new Error("nothing to anchor");
    const { size, rootHash: root } = head;
    const at = this.#nowMs;
    const hash = `0x${size.toString(16).padStart(64, "0")}` as const;
    const transaction: AnchorTransaction = {
      hash,
      rawTx: "0x02",
      size,
      root,
      previousSize: this.#anchored,
      fees: { type: "legacy", gasPrice: 1n },
      signedAt: at,
    };
    const nonce = size;
    const changes: AnchorChange[] = [{ type: "submitted", nonce, transaction, reason: "new-entries", at }];
    if (outcome === "failed") {
      changes.push({ type: "failed", transactions: [{ size, hash }], reason: "nonce-gap", at: at + 1, nonce });
    }
    if (outcome === "confirmed") {
      const block = { blockNumber: size + 100, blockHash: `0x${"cd".repeat(32)}` as const, logIndex: 0 };
      const anchor = { size, root, previousSize: this.#anchored, txHash: hash, ...block, confirmedAt: at + 2 };
      changes.push({ type: "confirmed", anchor: { ...anchor, sent: { nonce, transaction } } });
      this.chain.add({ size, root, previousSize: this.#anchored, txHash: hash, ...block });
      this.#anchored = size;
    }
    for (const change of changes) await this.db.batch([...recordStatements(this.db, CHAIN, change)]);
  }

  check(before?: ScrubState) {
    return checkEverything(this, this, before);
  }
}

/** A few hundred entries of every kind, published time after time and anchored now and then. */
export async function grownWorld(subjects: number): Promise<LedgerWorld> {
  const world = await LedgerWorld.make();
  for (let i = 0; i < subjects; i++) {
    await world.addSubject(i % 4 === 3 ? "claim" : "request", i % 5 === 4 ? 3 : i % 5);
    if (i % 25 === 24) await world.erase();
    if (i % 7 === 6) await world.publish();
    if (i % 20 === 19) await world.anchor(i % 60 === 39 ? "failed" : "confirmed");
  }
  await world.publish();
  await world.anchor("submitted");
  return world;
}
