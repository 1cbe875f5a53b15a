/**
 * What every EDI network looks like from here. A connector is pure: it writes the messages of one network and reads its
 * answers. What carries them is a transport: the sandbox, or HTTPS.
 */
import type { ClaimType, Diagnosis } from "../claims/claim.ts";

export const CONNECTORS = ["cdanet", "eclaims", "portal"] as const;
export type ConnectorName = (typeof CONNECTORS)[number];

export const MESSAGE_KINDS = ["submit", "status", "acknowledge", "test"] as const;
export type MessageKind = (typeof MESSAGE_KINDS)[number];

export interface EdiService {
  readonly code: string;
  readonly description: string;
  readonly quantity: number;
  /** Of the whole line, in minor units. */
  readonly totalMinor: number;
}

/** What a network wants to know of the insured and the hub does not keep. It is sent on and not stored. */
export interface Coverage {
  /** CDAnet's number of the carrier, 6 digits. */
  readonly carrierId?: string | undefined;
  readonly policyNumber?: string | undefined;
  readonly divisionNumber?: string | undefined;
  readonly subscriberId?: string | undefined;
  readonly dependantCode?: string | undefined;
  readonly relationship?: "self" | "spouse" | "child" | "common-law" | "other" | undefined;
  readonly patientSex?: "M" | "F" | undefined;
  /** Undefined: the patient is the subscriber. */
  readonly subscriber?:
    | { readonly firstName: string; readonly lastName: string; readonly birthDate: string }
    | undefined;
  readonly address?:
    | {
        readonly line1: string;
        readonly line2?: string | undefined;
        readonly city: string;
        readonly province: string;
        readonly postalCode: string;
      }
    | undefined;
  readonly language?: "en" | "fr" | undefined;
  /** Undefined: the subscriber is paid. */
  readonly payee?: "subscriber" | "provider" | undefined;
}

/** One claim as a connector needs it. Dates are `YYYY-MM-DD`. */
export interface EdiClaim {
  readonly transactionId: string;
  /** 1 to 999,999, unique in the hub; CDAnet's office sequence number. */
  readonly reference: number;
  readonly type: ClaimType;
  readonly serviceDate: string;
  readonly currency: string;
  readonly totalMinor: number;
  readonly services: readonly EdiService[];
  readonly diagnoses: readonly Diagnosis[];
  readonly patient: {
    readonly firstName: string;
    readonly lastName: string;
    readonly birthDate: string | undefined;
    readonly healthNumber: string | undefined;
  };
  readonly provider: { readonly name: string; readonly licenceNumber: string | undefined };
  readonly insurerName: string;
  readonly coverage: Coverage;
}

/** Names a transaction in later messages. */
export interface EdiReference {
  readonly transactionId: string;
  readonly reference: number;
  /** The number of the provider who sent it. */
  readonly licenceNumber: string | undefined;
}

export type Decision = "approved" | "partial" | "denied" | "needs_info";

/** What an answer, or its absence, says of a transaction. Codes are closed: the network's own text goes nowhere. */
export type Finding =
  | { readonly type: "acknowledged"; readonly carrierReference: string | undefined }
  | {
      readonly type: "adjudicated";
      readonly decision: Decision;
      /** What the insurer will pay, in minor units of the claim's currency. */
      readonly benefitMinor: number | undefined;
      readonly carrierReference: string | undefined;
    }
  | { readonly type: "rejected"; readonly code: string }
  /** The network did not take it: sending again is safe. */
  | { readonly type: "notTaken"; readonly code: string }
  /** It may have been taken: ask before sending again. */
  | { readonly type: "unknown"; readonly code: string }
  /** The network knows no such transaction. */
  | { readonly type: "notFound" }
  /** The network has nothing to say yet. */
  | { readonly type: "nothing" };

export interface Reply {
  /** The transaction it is about, where the network chooses; undefined: the one that was asked about. */
  readonly about: number | undefined;
  /** The network's name of the message, such as CDAnet's `11`. */
  readonly messageType: string;
  readonly finding: Finding;
}

/** One message on its way out. No personal data in `path`. */
export interface WireMessage {
  readonly method: "GET" | "POST" | "PUT";
  /** Appended to the network's base URL; begins with a slash, or is empty. */
  readonly path: string;
  readonly contentType: string;
  /** Every character of an ISO-8859-1 body is one byte. */
  readonly charset: "utf-8" | "iso-8859-1";
  readonly body: string | undefined;
  /** The same for every sending of one message. */
  readonly idempotencyKey: string;
}

export interface WireAnswer {
  readonly status: number;
  readonly text: string;
}

/** `refused`: nothing left the house. `silent`: sent, perhaps received, not answered. */
export type WireResult =
  | ({ readonly type: "answered" } & WireAnswer)
  | { readonly type: "refused"; readonly code: string }
  | { readonly type: "silent"; readonly code: "timeout" | "connection_failed" };

export type Transport = (message: WireMessage) => Promise<WireResult>;

export interface Outgoing {
  readonly kind: MessageKind;
  readonly messageType: string;
  readonly message: WireMessage;
  readonly read: (answer: WireAnswer) => Reply;
}

export type Prepared =
  | { readonly ok: true; readonly outgoing: Outgoing }
  | { readonly ok: false; readonly code: string };

export interface EdiConnector {
  readonly name: ConnectorName;
  /** Why this network cannot carry the claim at all, by field; such a claim is not sent. */
  readonly obstacles: (claim: EdiClaim) => readonly string[];
  /** What a carrier wants and the claim lacks, by field. The sandbox takes it nevertheless, production does not. */
  readonly gaps: (claim: EdiClaim) => readonly string[];
  readonly submit: (claim: EdiClaim) => Prepared;
  /** Asks what became of a transaction. */
  readonly status: (reference: EdiReference) => Prepared;
  /** Tells the network that its decision was received; undefined where asking is telling. */
  readonly acknowledge: ((reference: EdiReference) => Prepared) | undefined;
  readonly test: () => Prepared;
}

/** What a status outside 2xx says of a transaction, whatever the body. Of a question it says that it was not answered. */
export function findingOfStatus(status: number, kind: MessageKind): Finding {
  if (kind !== "submit") return { type: "notTaken", code: `http_${status}` };
  if (status >= 300 && status < 400) return { type: "notTaken", code: "redirected" };
  switch (status) {
    case 401:
    case 403:
    case 404:
    case 405:
    case 429:
    case 503:
      return { type: "notTaken", code: `http_${status}` };
    case 408:
      return { type: "unknown", code: "http_408" };
    default:
      return status >= 500 ? { type: "unknown", code: `http_${status}` } : { type: "rejected", code: `http_${status}` };
  }
}

export const isSuccess = (status: number): boolean => status >= 200 && status < 300;

/** @returns undefined when the text is not JSON. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
