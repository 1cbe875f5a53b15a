/** Quantiles of histograms, as Prometheus's histogram_quantile has them. */

/**
 * Linear within the bucket that holds the quantile; the first bucket begins at 0.
 * @param bounds upper bounds, rising. @param counts of each bucket alone, the one without bound last.
 * @param q from 0 to 1. @returns the last bound when it lies beyond; null when nothing was observed.
 */
export function quantileOf(bounds: readonly number[], counts: readonly number[], q: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  const rank = q * total;
  let below = 0;
  for (const [index, upper] of bounds.entries()) {
    const count = counts[index] ?? 0;
    if (count > 0 && below + count >= rank) {
      const lower = index === 0 ? 0 : (bounds[index - 1] ?? 0);
      return lower + (upper - lower) * ((rank - below) / count);
    }
    below += count;
  }
  return bounds.at(-1) ?? null;
}
