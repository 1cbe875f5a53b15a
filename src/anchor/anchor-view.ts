/** An entry's anchor as callers see it. */

interface SentAnchor {
  readonly size: number;
  /** 64 lower-case hex digits. */
  readonly rootHash: string;
  readonly txHash: string;
  readonly contractAddress: string;
  readonly chainId: number;
  /** Epoch ms, as `confirmedAt`. */
  readonly submittedAt: number;
}

export type EntryAnchor =
  | { readonly state: "none" }
  | ({ readonly state: "submitted" } & SentAnchor)
  | ({
      readonly state: "confirmed";
      readonly blockNumber: number;
      readonly blockHash: string;
      readonly logIndex: number;
      readonly confirmedAt: number;
    } & SentAnchor);

export interface AnchorView {
  readonly status: "none" | "submitted" | "confirmed";
  readonly anchored: boolean;
  readonly txHash: string | null;
  readonly blockNumber: number | null;
  readonly blockHash: string | null;
  readonly logIndex: number | null;
  /** Blocks from the anchor's to the newest one seen, both included; null while it has none or the newest is unknown. */
  readonly confirmations: number | null;
  readonly chainId: number | null;
  readonly contractAddress: string | null;
  readonly size: number | null;
  readonly rootHash: string | null;
  /** RFC 3339. */
  readonly submittedAt: string | null;
  readonly confirmedAt: string | null;
  /** Why it is not confirmed; null when it is. */
  readonly reason: string | null;
  /** When to ask again; null when it is confirmed. */
  readonly retryAfterSeconds: number | null;
}

export interface AnchorOutlook {
  /** A node and a contract are configured. */
  readonly enabled: boolean;
  readonly pollMs: number;
  /** The newest block the anchor has seen, if known. */
  readonly latestBlock: number | undefined;
}

const NOTHING = {
  txHash: null,
  blockNumber: null,
  blockHash: null,
  logIndex: null,
  confirmations: null,
  chainId: null,
  contractAddress: null,
  size: null,
  rootHash: null,
  submittedAt: null,
  confirmedAt: null,
} as const;

/** Without a chain an anchor comes only after someone configures one: no use asking often. */
const RETRY_WHEN_DISABLED_SECONDS = 3_600;

/** When to ask again for what is not there yet. */
export const comeBackSeconds = ({ enabled, pollMs }: Pick<AnchorOutlook, "enabled" | "pollMs">): number =>
  enabled ? Math.max(1, Math.ceil(pollMs / 1_000)) : RETRY_WHEN_DISABLED_SECONDS;

export function anchorView(anchor: EntryAnchor, outlook: AnchorOutlook): AnchorView {
  const retryAfterSeconds = comeBackSeconds(outlook);
  switch (anchor.state) {
    case "none":
      return {
        status: "none",
        anchored: false,
        ...NOTHING,
        reason: outlook.enabled
          ? "The entry is in the ledger; the next anchor will cover it."
          : "No chain is configured for this ledger, so nothing is anchored.",
        retryAfterSeconds,
      };
    case "submitted":
      return {
        status: "submitted",
        anchored: false,
        ...NOTHING,
        ...sentFields(anchor),
        reason: "The anchor's transaction was sent and is not final yet.",
        retryAfterSeconds,
      };
    case "confirmed":
      return {
        status: "confirmed",
        anchored: true,
        ...sentFields(anchor),
        blockNumber: anchor.blockNumber,
        blockHash: anchor.blockHash,
        logIndex: anchor.logIndex,
        confirmations:
          outlook.latestBlock === undefined ? null : Math.max(1, outlook.latestBlock - anchor.blockNumber + 1),
        confirmedAt: new Date(anchor.confirmedAt).toISOString(),
        reason: null,
        retryAfterSeconds: null,
      };
  }
}

const sentFields = (anchor: SentAnchor) => ({
  txHash: anchor.txHash,
  chainId: anchor.chainId,
  contractAddress: anchor.contractAddress,
  size: anchor.size,
  rootHash: anchor.rootHash,
  submittedAt: new Date(anchor.submittedAt).toISOString(),
});
