/** The anchors of a log as a chain's node shows them, over plain JSON-RPC. */
import { Interface } from "ethers";
import * as z from "zod";

const CONTRACT = new Interface([
  "function anchored() view returns (uint64 size, bytes32 root, uint64 blockNumber)",
  "event Anchored(uint64 indexed size, bytes32 root, uint64 previousSize, uint64 previousBlock)",
]);
const TOPIC = CONTRACT.getEvent("Anchored")?.topicHash ?? "";

const TIMEOUT_MS = 15_000;
/** More anchors than this are not walked in one run. */
const MAX_ANCHORS = 1_000_000;

export interface ChainPins {
  readonly rpcUrl: string;
  readonly chainId: number;
  readonly contract: string;
}

export interface ChainAnchor {
  readonly size: number;
  /** 64 lower-case hex. */
  readonly rootHash: string;
  readonly previousSize: number;
  readonly previousBlock: number;
  readonly blockNumber: number;
  readonly blockHash: string;
  readonly txHash: string;
  readonly logIndex: number;
}

/** Nothing can be said: the node does not answer, or answers for another chain. */
export class ChainUnavailable extends Error {
  override readonly name = "ChainUnavailable";
}

const logSchema = z.object({
  address: z.string(),
  topics: z.array(z.string()),
  data: z.string(),
  blockNumber: z.string(),
  blockHash: z.string(),
  transactionHash: z.string(),
  logIndex: z.string(),
});
const answerSchema = z.object({ result: z.unknown(), error: z.object({ message: z.string() }).optional() });

async function rpc(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
  let answer: z.output<typeof answerSchema>;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    answer = answerSchema.parse(await response.json());
  } catch {
    throw new ChainUnavailable(`the node does not answer ${method}`);
  }
  if (answer.error !== undefined) throw new ChainUnavailable(`the node refuses ${method}`);
  return answer.result;
}

/** @throws ChainUnavailable when the node is of another chain. */
export async function checkChain(pins: ChainPins): Promise<void> {
  const chainId = Number(z.string().parse(await rpc(pins.rpcUrl, "eth_chainId", [])));
  if (chainId !== pins.chainId) throw new ChainUnavailable(`the node is of chain ${chainId}, not ${pins.chainId}`);
}

function anchorOf(log: z.output<typeof logSchema>): ChainAnchor {
  const event = CONTRACT.decodeEventLog("Anchored", log.data, log.topics);
  return {
    size: Number(event.getValue("size")),
    rootHash: String(event.getValue("root")).slice(2).toLowerCase(),
    previousSize: Number(event.getValue("previousSize")),
    previousBlock: Number(event.getValue("previousBlock")),
    blockNumber: Number(log.blockNumber),
    blockHash: log.blockHash.toLowerCase(),
    txHash: log.transactionHash.toLowerCase(),
    logIndex: Number(log.logIndex),
  };
}

const isAnchored = (log: z.output<typeof logSchema>, contract: string): boolean =>
  log.address.toLowerCase() === contract.toLowerCase() && log.topics[0] === TOPIC;

/** Anchors of one block, in order. */
async function anchorsIn(pins: ChainPins, blockNumber: number): Promise<readonly ChainAnchor[]> {
  const block = `0x${blockNumber.toString(16)}`;
  const filter = { address: pins.contract, topics: [TOPIC], fromBlock: block, toBlock: block };
  const logs = z.array(logSchema).safeParse(await rpc(pins.rpcUrl, "eth_getLogs", [filter]));
  if (!logs.success) throw new ChainUnavailable("the node's answer has an unknown form");
  return logs.data
    .filter((log) => isAnchored(log, pins.contract))
    .map(anchorOf)
    .sort((a, b) => a.logIndex - b.logIndex);
}

/**
 * Every anchor, oldest first, walked back from the newest: each event names the block of the one before it.
 * @param known an anchor that an earlier run verified; the walk ends there when the chain still has it.
 * @returns the anchors after `known` (after nothing when the chain no longer has it), and what is wrong with the walk.
 */
export async function readAnchors(
  pins: ChainPins,
  known: { readonly size: number; readonly rootHash: string } | undefined,
): Promise<{
  readonly anchors: readonly ChainAnchor[];
  readonly reachesKnown: boolean;
  readonly faults: readonly string[];
}> {
  const call = { to: pins.contract, data: CONTRACT.encodeFunctionData("anchored") };
  const answer = z.string().safeParse(await rpc(pins.rpcUrl, "eth_call", [call, "latest"]));
  if (!answer.success || answer.data.length !== 2 + 3 * 64) {
    throw new ChainUnavailable(`there is no anchor contract at ${pins.contract}`);
  }
  const [size, root, block] = CONTRACT.decodeFunctionResult("anchored", answer.data);
  const faults: string[] = [];
  const newestFirst: ChainAnchor[] = [];
  const isKnown = (anchor: ChainAnchor): boolean => anchor.size === known?.size && anchor.rootHash === known.rootHash;
  let expectedSize = Number(size);
  let expectedBlock = Number(block);
  while (expectedSize > 0) {
    if (newestFirst.length >= MAX_ANCHORS) throw new ChainUnavailable(`there are more than ${MAX_ANCHORS} anchors`);
    const anchor = (await anchorsIn(pins, expectedBlock)).find((candidate) => candidate.size === expectedSize);
    if (anchor === undefined) {
      faults.push(
        `block ${expectedBlock} has no anchor of size ${expectedSize}, which the contract or a later anchor names`,
      );
      break;
    }
    if (newestFirst.length === 0 && anchor.rootHash !== String(root).slice(2).toLowerCase()) {
      faults.push(`the newest anchor's event has another root than the contract holds`);
    }
    if (isKnown(anchor)) return { anchors: newestFirst.reverse(), reachesKnown: true, faults };
    newestFirst.push(anchor);
    if (anchor.previousSize >= anchor.size || anchor.previousBlock > anchor.blockNumber) {
      faults.push(`the anchor of size ${anchor.size} does not follow one before it`);
      break;
    }
    expectedSize = anchor.previousSize;
    expectedBlock = anchor.previousBlock;
  }
  return { anchors: newestFirst.reverse(), reachesKnown: false, faults };
}

const receiptSchema = z.object({ status: z.string(), logs: z.array(logSchema) });

/** The anchors that a transaction made; empty when the chain has no such transaction, or it failed. */
export async function anchorsOfTransaction(pins: ChainPins, txHash: string): Promise<readonly ChainAnchor[]> {
  const answer = receiptSchema.nullable().safeParse(await rpc(pins.rpcUrl, "eth_getTransactionReceipt", [txHash]));
  if (!answer.success) throw new ChainUnavailable("the node's answer has an unknown form");
  if (answer.data === null || Number(answer.data.status) !== 1) return [];
  return answer.data.logs.filter((log) => isAnchored(log, pins.contract)).map(anchorOf);
}
