/** Fee arithmetic in wei. Nodes take a replacement only when every fee field rises by 10 %, some by 12.5 %. */
import type { Fees } from "./state.ts";

const BUMP_NUMERATOR = 1_125n;
const BUMP_DENOMINATOR = 1_000n;

const bumped = (fee: bigint): bigint => (fee * BUMP_NUMERATOR + BUMP_DENOMINATOR - 1n) / BUMP_DENOMINATOR + 1n;
const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/** The most that one unit of gas can cost under these fees. */
export const feeCeiling = (fees: Fees): bigint => (fees.type === "eip1559" ? fees.maxFeePerGas : fees.gasPrice);

/** Twice the base fee leaves room for six full blocks in a row, each of which raises it by an eighth (EIP-1559). */
export function suggestFees(
  baseFeePerGas: bigint | undefined,
  maxPriorityFeePerGas: bigint | undefined,
  gasPrice: bigint,
): Fees {
  if (baseFeePerGas === undefined) return { type: "legacy", gasPrice };
  const priority = maxPriorityFeePerGas ?? larger(gasPrice - baseFeePerGas, 0n);
  return { type: "eip1559", maxFeePerGas: 2n * baseFeePerGas + priority, maxPriorityFeePerGas: priority };
}

/** Fees with which a transaction replaces one that has `current`, and not less than what is suggested today. */
export function replacementFees(current: Fees, suggested: Fees): Fees {
  if (current.type === "legacy" || suggested.type === "legacy") {
    const gasPrice = larger(bumped(feeCeiling(current)), feeCeiling(suggested));
    // A chain that changes its kind of fees keeps ours valid: legacy transactions stay legal under EIP-1559.
    return { type: "legacy", gasPrice };
  }
  const maxPriorityFeePerGas = larger(bumped(current.maxPriorityFeePerGas), suggested.maxPriorityFeePerGas);
  const maxFeePerGas = larger(bumped(current.maxFeePerGas), suggested.maxFeePerGas);
  return { type: "eip1559", maxFeePerGas: larger(maxFeePerGas, maxPriorityFeePerGas), maxPriorityFeePerGas };
}
