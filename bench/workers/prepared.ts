/** A command of the size that a real one has, with made-up contents. */
import { sha256 } from "@noble/hashes/sha2.js";
import { toHex, utf8 } from "../../src/platform/encoding.ts";
import type { SubmitRequest } from "../../src/workflow/request.ts";

const CIPHERTEXT = "A".repeat(520);
const WRAPPED = { keyId: "00000000", sealed: "A".repeat(124) };
export const BENCH_LEDGER = { ledgerId: "main", chainId: 31_337 };
export const BENCH_INSURER = "0x00000000000000000000000000000000000000b1";

/** @param requestId no other command has it. */
export function preparedSubmit(requestId: string): SubmitRequest {
  const subject = `0x${toHex(sha256(utf8(requestId)))}`;
  return {
    type: "SubmitRequest",
    tenantId: "default",
    requestId,
    lookup: requestId,
    requestIdHash: subject,
    requestType: "CLAIM",
    insurerAddress: BENCH_INSURER,
    submitter: "workflow",
    payloadHash: subject,
    amountMinor: 12_000,
    currency: "CAD",
    payload: { type: "inline", sealed: CIPHERTEXT },
    wrappedKey: WRAPPED,
    correlationId: requestId,
  };
}
