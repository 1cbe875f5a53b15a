/** What a node answers over JSON-RPC: its forms, its words about a failure, and what our contract's answers mean. */
import { dataSlice, isError } from "ethers";
import * as z from "zod";
import type { ContractView } from "./chain-view.ts";
import { LEDGER_ANCHOR } from "./contract.ts";

export const quantity = z
  .string()
  .regex(/^0x[0-9a-f]+$/i)
  .transform((hex) => BigInt(hex));
export const number = quantity.transform(Number).pipe(z.number().int());
export const hash = z
  .string()
  .regex(/^0x[0-9a-f]{64}$/i)
  .transform((hex) => hex.toLowerCase());
export const bytes = z.string().regex(/^0x([0-9a-f]{2})*$/i);
export const blockSchema = z.object({ number, hash, baseFeePerGas: quantity.nullish() });
export const logSchema = z.object({
  address: z.string().transform((address) => address.toLowerCase()),
  topics: z.array(hash),
  data: bytes,
  blockNumber: number,
  blockHash: hash,
  transactionHash: hash,
  logIndex: number,
});
export type Log = z.output<typeof logSchema>;
export const receiptSchema = z.object({
  status: number,
  blockNumber: number,
  blockHash: hash,
  logs: z.array(logSchema),
});
export type Receipt = z.output<typeof receiptSchema>;

/** Code that does not answer as our contract does is not our contract. */
export function contractView(code: string, anchored: unknown, anchorer: unknown): ContractView {
  const state = bytes.safeParse(anchored);
  const role = bytes.safeParse(anchorer);
  if (code === "0x" || !state.success || !role.success) return { type: "missing" };
  if (state.data.length !== 2 + 3 * 64 || role.data.length !== 2 + 64) return { type: "missing" };
  const [size, root, blockNumber] = LEDGER_ANCHOR.decodeFunctionResult("anchored", state.data);
  return {
    type: "present",
    size: Number(size),
    root: String(root).slice(2),
    blockNumber: Number(blockNumber),
    anchorer: dataSlice(role.data, 12).toLowerCase(),
  };
}

const rpcErrorSchema = z.object({ message: z.string() });

/** The node's own words about a call; undefined when no JSON-RPC answer came. */
export function nodeMessage(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const carried = z
    .object({ error: rpcErrorSchema })
    .or(z.object({ info: z.object({ error: rpcErrorSchema }) }))
    .safeParse(error);
  const words = carried.success ? ("error" in carried.data ? carried.data.error : carried.data.info.error).message : "";
  if (isError(error, "INSUFFICIENT_FUNDS")) return `insufficient funds ${words}`;
  if (isError(error, "NONCE_EXPIRED")) return `nonce too low ${words}`;
  if (isError(error, "REPLACEMENT_UNDERPRICED")) return `underpriced ${words}`;
  if (isError(error, "CALL_EXCEPTION")) return `reverted ${words}`;
  return carried.success ? words : undefined;
}

/** A node's address may hold a key, and ethers puts it into messages: only the kind of failure leaves here. */
export function rpcReason(error: unknown): string {
  if (error instanceof z.ZodError) return "the node's answer has an unknown form";
  const code = z.object({ code: z.string().regex(/^[A-Z_]{1,40}$/) }).safeParse(error);
  return code.success ? `no usable answer (${code.data.code})` : "no connection";
}
