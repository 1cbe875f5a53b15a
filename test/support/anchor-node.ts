/** A chain's node as far as a verifier asks it: the anchors of one contract, which a test may change at will. */
import { createServer } from "node:http";
import * as z from "zod";
import { LEDGER_ANCHOR } from "../../src/anchor/contract.ts";

export const NODE_CHAIN_ID = 31_337;
export const NODE_CONTRACT = `0x${"ab".repeat(20)}`;

export interface NodeAnchor {
  readonly size: number;
  /** 64 lower-case hex. */
  readonly rootHash: string;
}

export interface AnchorNode {
  readonly url: string;
  /** Oldest first; each is in a block of its own. */
  anchors: readonly NodeAnchor[];
  /** What the contract says it holds, where that is not the newest of them. */
  held: NodeAnchor | undefined;
  close(): Promise<void>;
}

const requestSchema = z.object({ method: z.string(), params: z.array(z.unknown()) });
const filterSchema = z.object({ fromBlock: z.string() });
const word = (value: number): string => `0x${value.toString(16).padStart(64, "0")}`;

export async function serveAnchors(): Promise<AnchorNode> {
  const blockOf = (position: number): number => position + 1;

  function answer(method: string, params: readonly unknown[]): unknown {
    const newest = node.held ?? node.anchors.at(-1);
    switch (method) {
      case "eth_chainId":
        return `0x${NODE_CHAIN_ID.toString(16)}`;
      case "eth_call":
        return LEDGER_ANCHOR.encodeFunctionResult("anchored", [
          newest?.size ?? 0,
          `0x${newest?.rootHash ?? "0".repeat(64)}`,
          newest === undefined ? 0 : blockOf(node.anchors.length - 1),
        ]);
      case "eth_getLogs": {
        const block = Number(filterSchema.parse(params[0]).fromBlock);
        const anchor = node.anchors[block - 1];
        if (anchor === undefined) return [];
        const previous = node.anchors[block - 2];
        const { data, topics } = LEDGER_ANCHOR.encodeEventLog("Anchored", [
          anchor.size,
          `0x${anchor.rootHash}`,
          previous?.size ?? 0,
          previous === undefined ? 0 : block - 1,
        ]);
        return [
          {
            address: NODE_CONTRACT,
            topics,
            data,
            blockNumber: `0x${block.toString(16)}`,
            blockHash: word(block),
            transactionHash: word(block),
            logIndex: "0x0",
          },
        ];
      }
      default:
        throw new Error(`the node is not made for ${method}`);
    }
  }

  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      body += chunk;
    });
    request.on("end", () => {
      const { method, params } = requestSchema.parse(JSON.parse(body));
      response.end(JSON.stringify({ jsonrpc: "2.0", id: 1, result: answer(method, params) }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const node: AnchorNode = {
    url: `http://127.0.0.1:${port}`,
    anchors: [],
    held: undefined,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return node;
}
