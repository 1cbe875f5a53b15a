/** The log of EDI messages: that there was one, how large, how it went. */
import type { ConnectorName, MessageKind } from "./connector.ts";

/** One message, without what it says. */
export interface EdiExchange {
  readonly connector: ConnectorName;
  readonly mode: string;
  /** `hub`: of no clinic. */
  readonly clinicId: string;
  readonly claimId: string | undefined;
  readonly transactionId: string | undefined;
  readonly direction: "out" | "in";
  readonly kind: MessageKind;
  readonly messageType: string;
  /** A closed code. */
  readonly outcome: string;
  readonly ok: boolean;
  readonly status: number | undefined;
  readonly durationMs: number | undefined;
  readonly sizeBytes: number;
  /** Keyed; undefined: there was no message. */
  readonly messageHash: string | undefined;
  readonly correlationId: string;
  readonly at: number;
}

type OrNull<Row> = {
  readonly [Name in keyof Row]: Exclude<Row[Name], undefined> | (undefined extends Row[Name] ? null : never);
};

/** As it is read back. */
export type StoredExchange = OrNull<EdiExchange> & { readonly exchangeId: number };
