/**
 * A network that is not there. It takes, loses, delays and decides as the real ones do, and always alike: what happens to a
 * message follows from the seed, the connector and how many messages came before it since the last reset.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8 } from "../../platform/encoding.ts";
import type { ClaimType } from "../claims/claim.ts";
import type { ConnectorName, Decision } from "./connector.ts";

export interface SandboxPolicy {
  readonly seed: string;
  /** Of a hundred submissions: those that are refused for a moment, or taken and not answered. */
  readonly errorPercent: number;
  /** Of a hundred claims taken: those that are not approved as they stand. */
  readonly refusalPercent: number;
  /** The longest an answer takes. */
  readonly latencyMs: number;
  /** From taking a claim to its decision. */
  readonly adjudicationMs: number;
}

/** `unavailable`: not taken, and said so. `silent`: taken, and the answer lost. `lost`: neither taken nor answered. */
export type Delivery = "answered" | "unavailable" | "silent" | "lost";

export interface Fate {
  readonly delivery: Delivery;
  readonly latencyMs: number;
  readonly decision: Decision | "rejected";
}

/** Numbers from 0 up to 1, as many as asked for, that follow from the text. */
function draws(text: string): (slot: number) => number {
  const bytes = sha256(utf8(text));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return (slot) => view.getUint32(slot * 4) / 2 ** 32;
}

const ERRORS: readonly Delivery[] = ["unavailable", "silent", "lost"];
const REFUSALS: readonly Fate["decision"][] = ["partial", "denied", "needs_info", "rejected"];

const pick = <Item>(items: readonly Item[], share: number, fallback: Item): Item =>
  items[Math.floor(share * items.length)] ?? fallback;

/** @param sequence 1 is the connector's first submission since the reset. */
export function fateOf(policy: SandboxPolicy, connector: ConnectorName, sequence: number): Fate {
  const draw = draws(`${policy.seed}\n${connector}\n${sequence}`);
  const failed = draw(0) * 100 < policy.errorPercent;
  const refused = draw(2) * 100 < policy.refusalPercent;
  return {
    delivery: failed ? pick(ERRORS, draw(1), "unavailable") : "answered",
    latencyMs: Math.floor(draw(4) * policy.latencyMs),
    decision: refused ? pick(REFUSALS, draw(3), "denied") : "approved",
  };
}

/** What the sandbox keeps of a claim: amounts and times, nobody's name. */
export interface SandboxClaim {
  readonly transactionId: string;
  readonly reference: number;
  readonly clinicId: string;
  readonly connector: ConnectorName;
  readonly claimType: ClaimType;
  /** Minor units, one a line. */
  readonly lines: readonly number[];
  readonly currency: string;
  readonly carrierReference: string;
  readonly decision: Fate["decision"];
  readonly receivedAt: number;
  readonly decidedAt: number;
}

/** What a submission says to the sandbox, whatever its form. */
export interface SandboxSubmission {
  readonly transactionId: string;
  readonly reference: number;
  readonly claimType: ClaimType;
  readonly lines: readonly number[];
  readonly currency: string;
}

export function takeClaim(
  submission: SandboxSubmission,
  context: {
    readonly connector: ConnectorName;
    readonly clinicId: string;
    readonly sequence: number;
    readonly fate: Fate;
    readonly policy: SandboxPolicy;
    readonly now: number;
  },
): SandboxClaim {
  const { connector, clinicId, sequence, fate, policy, now } = context;
  return {
    ...submission,
    connector,
    clinicId,
    carrierReference: `SBX${String(sequence).padStart(9, "0")}`,
    decision: fate.decision,
    receivedAt: now,
    decidedAt: fate.decision === "rejected" ? now : now + policy.adjudicationMs,
  };
}

export const isDecided = (claim: SandboxClaim, now: number): boolean => now >= claim.decidedAt;

const PARTIAL_PERCENT = 80;

/** What is paid of each line. */
export function benefitsOf({ decision, lines }: Pick<SandboxClaim, "decision" | "lines">): readonly number[] {
  switch (decision) {
    case "approved":
      return lines;
    case "partial":
      return lines.map((minor) => Math.floor((minor * PARTIAL_PERCENT) / 100));
    case "denied":
    case "needs_info":
    case "rejected":
      return lines.map(() => 0);
  }
}

export const sumOf = (amounts: readonly number[]): number => amounts.reduce((sum, each) => sum + each, 0);

export type SandboxRequest =
  | { readonly type: "submit"; readonly submission: SandboxSubmission }
  | { readonly type: "status"; readonly transactionId: string }
  /** The oldest decision that was not given out yet. */
  | { readonly type: "mailbox"; readonly reference: number }
  | { readonly type: "acknowledge"; readonly transactionId: string }
  | { readonly type: "ping" }
  | { readonly type: "malformed"; readonly code: string };

export type SandboxReply =
  /** Taken now, or before under the same name. */
  | { readonly type: "claim"; readonly claim: SandboxClaim }
  | { readonly type: "none" }
  | { readonly type: "done" }
  | { readonly type: "malformed"; readonly code: string };
