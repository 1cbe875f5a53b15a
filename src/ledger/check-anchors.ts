/** The record of anchors against its own history: what a row may say after the events of its size. */
import type { Finding } from "./finding.ts";

export interface AnchorRow {
  readonly size: number;
  readonly rootHash: string;
  readonly previousSize: number;
  readonly state: string;
  readonly reason: string | null;
  readonly chainId: number;
  readonly contractAddress: string;
  readonly nonce: number;
  readonly txHash: string;
  readonly blockNumber: number | null;
  readonly blockHash: string | null;
  readonly logIndex: number | null;
  readonly submittedAt: number;
  readonly confirmedAt: number | null;
}

export interface AnchorEventRow {
  readonly eventId: number;
  readonly eventKey: string;
  readonly size: number | null;
  readonly rootHash: string | null;
  readonly type: string;
  readonly reason: string;
  readonly at: number;
  readonly chainId: number;
  readonly contractAddress: string;
  readonly txHash: string | null;
  readonly nonce: number | null;
  readonly feePerGasWei: string | null;
  readonly blockNumber: number | null;
  readonly blockHash: string | null;
  readonly actor: string | null;
}

/** Every column, in one text. */
export const digestOf = (anchor: AnchorRow): string => JSON.stringify(Object.entries(anchor).sort());

const SENT = new Set(["submitted", "bumped"]);
/** A transaction that was dropped or reorganized away before it was final is sent again: only these end it. */
const ends = ({ type, reason }: AnchorEventRow): boolean =>
  type === "reverted" ||
  type === "replaced" ||
  (type === "dropped" && reason === "nonce-gap") ||
  (type === "reorganized" && reason === "after-confirmation");
/** Events that only an anchor with a row can have. */
const NEEDS_ROW = new Set([...SENT, "confirmed"]);

/** @param events in the order of recording, all of the sizes of the anchors and of sizes between them. */
export function anchorFindings(anchors: readonly AnchorRow[], events: readonly AnchorEventRow[]): readonly Finding[] {
  const findings: Finding[] = [];
  const bySize = new Map<number, AnchorEventRow[]>();
  for (const event of events) {
    if (event.size !== null) bySize.set(event.size, [...(bySize.get(event.size) ?? []), event]);
  }
  const rows = new Set(anchors.map(({ size }) => size));
  for (const [size, own] of bySize) {
    if (rows.has(size) || !own.some(({ type }) => NEEDS_ROW.has(type))) continue;
    findings.push({ type: "anchor-missing", size, detail: `the anchor of ${size} entries has events and no row` });
  }
  for (const anchor of anchors) findings.push(...rowFindings(anchor, bySize.get(anchor.size) ?? []));
  return findings;
}

/** How the key of an event is made of it. */
const keyOf = ({ at, type, reason, size, txHash }: AnchorEventRow): string =>
  `${at}:${type}:${reason}:${size ?? ""}:${txHash ?? ""}`;

export function eventFindings(events: readonly AnchorEventRow[]): readonly Finding[] {
  return events
    .filter((event) => event.eventKey !== keyOf(event))
    .map((event) => ({
      type: "anchor-mismatch",
      place: `event ${event.eventId}`,
      ...(event.size === null ? {} : { size: event.size }),
      detail: `event ${event.eventId} of the anchors has a key that is not its own`,
    }));
}

function rowFindings(anchor: AnchorRow, events: readonly AnchorEventRow[]): readonly Finding[] {
  const { size } = anchor;
  const findings: Finding[] = [];
  const must = (place: string, holds: boolean) => {
    if (holds) return;
    const detail = `${place} of the anchor of ${size} entries is not what its events say`;
    findings.push({ type: "anchor-mismatch", size, place, detail });
  };
  const confirmed = events.findLast(({ type }) => type === "confirmed");
  const lost = events.some(
    (event) =>
      confirmed !== undefined &&
      event.eventId > confirmed.eventId &&
      event.txHash === confirmed.txHash &&
      event.type === "reorganized" &&
      ends(event),
  );
  must("size", size > 0);
  must("previous_size", anchor.previousSize >= 0 && anchor.previousSize < size);
  if (confirmed !== undefined && !lost) {
    must("state", anchor.state === "confirmed");
    must("root_hash", anchor.rootHash === confirmed.rootHash);
    must("tx_hash", anchor.txHash === confirmed.txHash);
    must("nonce", anchor.nonce === (confirmed.nonce ?? -1));
    must("chain_id", anchor.chainId === confirmed.chainId);
    must("contract_address", anchor.contractAddress === confirmed.contractAddress);
    must("block_number", anchor.blockNumber === confirmed.blockNumber);
    must("block_hash", anchor.blockHash === confirmed.blockHash);
    must("log_index", anchor.logIndex !== null && anchor.logIndex >= 0);
    must("confirmed_at", anchor.confirmedAt === confirmed.at);
    return findings;
  }
  const sent = events.findLast(({ type, txHash }) => SENT.has(type) && txHash === anchor.txHash);
  const ended = events.findLast((event) => ends(event) && event.txHash === anchor.txHash);
  const origin = sent ?? (lost ? confirmed : undefined);
  must("row", origin !== undefined);
  if (origin === undefined) return findings;
  must("root_hash", anchor.rootHash === origin.rootHash);
  must("nonce", anchor.nonce === (origin.nonce ?? -1));
  must("chain_id", anchor.chainId === origin.chainId);
  must("contract_address", anchor.contractAddress === origin.contractAddress);
  const over = ended !== undefined && ended.eventId > origin.eventId;
  must("state", anchor.state === (over ? "failed" : "submitted"));
  must("block_number", anchor.blockNumber === null);
  must("block_hash", anchor.blockHash === null);
  must("log_index", anchor.logIndex === null);
  must("confirmed_at", anchor.confirmedAt === null);
  return findings;
}
