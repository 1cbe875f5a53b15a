/**
 * The edge as its callers meet it: what the submit, acknowledge, adjudicate and claim routes do with a body, on virtual bindings. Salts
 * are kept in the open where the vault would seal them, so that commitments can be checked.
 */
import { commitmentOf, SALT_BYTES, subjectOf } from "../../src/ledger/commitment.ts";
import type { Appended } from "../../src/ledger/sequencer.ts";
import { cents } from "../../src/platform/cents.ts";
import { fromBase64, toBase64, toHex } from "../../src/platform/encoding.ts";
import { newRefId } from "../../src/settlement/ref-id.ts";
import { type Command, type CommandResult, sameAddress } from "../../src/workflow/commit-plan.ts";
import { findRequest } from "../../src/workflow/request.store.ts";
import type { RequestDecision, RequestType } from "../../src/workflow/request.ts";
import { remoteCall } from "./calls.ts";
import type { Database } from "./database.ts";
import type { Life } from "./scheduler.ts";
import type { SequencerHost } from "./sequencer-host.ts";
import { LEDGER_ID, TENANT_ID, type World } from "./world.ts";

const MAX_CALLS = 3;
const MAX_ROUNDS_MOVED = 3;

export interface Submission {
  readonly requestId: string;
  readonly requestType: RequestType;
  readonly insurerAddress: string;
  readonly payload: Readonly<Record<string, string | number>>;
}

export interface HttpAnswer {
  readonly status: 200 | 201 | 404 | 409 | 503;
  readonly requestIdHash?: string;
}

type Accepted = Exclude<CommandResult, { type: "rejected" }>;
type Sequenced = Accepted | Extract<CommandResult, { type: "rejected" }> | "unavailable";

const UNAVAILABLE: HttpAnswer = { status: 503 };

export const saltOf = (wrapped: string): Uint8Array => fromBase64(wrapped);

export class Edge {
  readonly #world: World;
  readonly #database: Database;
  readonly #sequencers: SequencerHost;

  constructor(world: World, database: Database, sequencers: SequencerHost) {
    this.#world = world;
    this.#database = database;
    this.#sequencers = sequencers;
  }

  async submit(life: Life, submission: Submission): Promise<HttpAnswer> {
    const { requestId, requestType, insurerAddress, payload } = submission;
    const salt = this.#world.random.bytes(SALT_BYTES);
    const result = await this.#sequence(life, {
      type: "SubmitRequest",
      tenantId: TENANT_ID,
      requestId,
      lookup: requestId,
      requestIdHash: subjectOf(salt, requestId),
      requestType,
      insurerAddress,
      submitter: "workflow",
      payloadHash: commitmentOf(salt, payload),
      amountMinor: 12_000,
      currency: "CAD",
      payload: { type: "inline", sealed: toBase64(Buffer.from(JSON.stringify(payload))) },
      wrappedKey: { keyId: "0a0b0c0d", sealed: toBase64(salt) },
      correlationId: `correlation-${requestId}`,
    });
    if (result === "unavailable" || result.type === "rejected" || result.state.kind !== "request") return UNAVAILABLE;
    const { request } = result.state;
    if (result.entry !== undefined) return { status: 201, requestIdHash: request.requestIdHash };
    const found = await this.#find(life, request.requestIdHash);
    if (found === undefined) return UNAVAILABLE;
    const { request: stored } = found;
    const same =
      commitmentOf(saltOf(found.wrapped), payload) === request.payloadHash &&
      stored.requestType === requestType &&
      sameAddress(stored.insurerAddress, insurerAddress);
    return same ? { status: 200, requestIdHash: stored.requestIdHash } : { status: 409 };
  }

  async acknowledge(life: Life, requestIdHash: string): Promise<HttpAnswer> {
    const found = await this.#find(life, requestIdHash);
    if (found === undefined) return { status: 404 };
    return answerOf(
      await this.#sequence(life, {
        type: "AcknowledgeRequest",
        tenantId: TENANT_ID,
        requestId: found.request.requestId,
        actor: "insurer-key",
        notes: undefined,
        correlationId: "acknowledge",
      }),
    );
  }

  async adjudicate(life: Life, requestIdHash: string, decision: RequestDecision): Promise<HttpAnswer> {
    for (let moved = 1; ; moved++) {
      const found = await this.#find(life, requestIdHash);
      if (found === undefined) return { status: 404 };
      const { requestId, round } = found.request;
      const notes = `notes ${round}`;
      const result = await this.#sequence(life, {
        type: "AdjudicateRequest",
        tenantId: TENANT_ID,
        requestId,
        actor: "insurer-key",
        decision,
        decisionHash: commitmentOf(saltOf(found.wrapped), { decision, notes }),
        round,
        notes: { type: "inline", sealed: toBase64(Buffer.from(notes)) },
        correlationId: "adjudicate",
      });
      const roundMoved =
        result !== "unavailable" && result.type === "rejected" && result.rejection.code === "round_moved";
      if (!roundMoved || moved >= MAX_ROUNDS_MOVED) return answerOf(result);
    }
  }

  async createClaim(life: Life, claimId: string): Promise<HttpAnswer> {
    const salt = this.#world.random.bytes(SALT_BYTES);
    return answerOf(
      await this.#sequence(life, {
        type: "CreateClaim",
        tenantId: TENANT_ID,
        claimId,
        lookup: claimId,
        claimIdHash: subjectOf(salt, claimId),
        submitter: "claims",
        payloadHash: commitmentOf(salt, { claimId }),
        amountMinor: 5_000,
        currency: "CAD",
        payload: { type: "inline", sealed: "c2VhbGVk" },
        wrappedKey: { keyId: "0a0b0c0d", sealed: toBase64(salt) },
        correlationId: "claim",
      }),
    );
  }

  async claimStep(life: Life, claimId: string, type: "FinalizeClaim" | "SettleClaim"): Promise<HttpAnswer> {
    const common = { tenantId: TENANT_ID, claimId, actor: "claims", correlationId: "claim" };
    if (type === "FinalizeClaim") return answerOf(await this.#sequence(life, { ...common, type }));
    const terms = {
      refId: newRefId((length) => Uint8Array.from(this.#world.random.bytes(length))),
      type: "payment",
    } as const;
    const commitment = `0x${toHex(this.#world.random.bytes(32))}`;
    const settlement = { ...terms, amountCents: cents(5_000), currency: "CAD", reverses: null, commitment };
    return answerOf(await this.#sequence(life, { ...common, type, settlement }));
  }

  async #find(life: Life, requestIdHash: string) {
    const found = await findRequest(this.#database.connect(life, "edge"), LEDGER_ID, TENANT_ID, requestIdHash);
    if (found === undefined) return undefined;
    if (found.wrappedKey === undefined) {
      this.#world.violate("payload", `the key of ${requestIdHash} is missing`);
      return undefined;
    }
    return { request: found.request, wrapped: found.wrappedKey.sealed };
  }

  /** A broken call is asked again with the same command. */
  async #sequence(life: Life, command: Command): Promise<Sequenced> {
    for (let call = 1; call <= MAX_CALLS; call++) {
      try {
        const appended: Appended<CommandResult> = await remoteCall(this.#world, life, "append", () =>
          this.#sequencers.append(command),
        );
        return appended.type === "done" ? appended.result : "unavailable";
      } catch {
        // Whether it committed is told by the next answer.
      }
    }
    return "unavailable";
  }
}

function answerOf(result: Sequenced): HttpAnswer {
  if (result === "unavailable") return UNAVAILABLE;
  if (result.type === "rejected") return { status: result.rejection.code === "not_found" ? 404 : 409 };
  const requestIdHash = result.state.kind === "request" ? result.state.request.requestIdHash : undefined;
  return { status: result.entry === undefined ? 200 : 201, ...(requestIdHash === undefined ? {} : { requestIdHash }) };
}
