/** Bindings of contracts/LedgerAnchor.sol: what the core calls and reads. */
import { Interface } from "ethers";

export const LEDGER_ANCHOR = new Interface([
  "constructor(address initialOwner, address initialAnchorer)",
  "function anchor(uint64 previousSize, uint64 size, bytes32 root)",
  "function anchored() view returns (uint64 size, bytes32 root, uint64 blockNumber)",
  "function anchorer() view returns (address)",
  "function owner() view returns (address)",
  "function pendingOwner() view returns (address)",
  "function setAnchorer(address newAnchorer)",
  "function transferOwnership(address newOwner)",
  "function acceptOwnership()",
  "function verifyInclusion(uint64 index, bytes32 leafHash, uint64 size, bytes32[] proof) view returns (bool)",
  "function verifyInclusionIn(bytes32 root, uint64 index, bytes32 leafHash, uint64 size, bytes32[] proof) pure returns (bool)",
  "event Anchored(uint64 indexed size, bytes32 root, uint64 previousSize, uint64 previousBlock)",
  "error NotAnchorer()",
  "error NotOwner()",
  "error NotPendingOwner()",
  "error ZeroAddress()",
  "error PreviousSizeMismatch(uint64 anchoredSize, uint64 previousSize)",
  "error SizeNotLarger(uint64 anchoredSize, uint64 size)",
]);

export const encodeAnchorCall = (previousSize: number, size: number, root: string): string =>
  LEDGER_ANCHOR.encodeFunctionData("anchor", [previousSize, size, `0x${root}`]);

/** keccak-256 of the event's signature: topic 0 of every anchor. */
export const anchoredTopic = (): string => {
  const event = LEDGER_ANCHOR.getEvent("Anchored");
  if (event === null) throw new Error("the interface has no Anchored event");
  return event.topicHash;
};
