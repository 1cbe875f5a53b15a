import { expect, test } from "vitest";
import { rateOf } from "../../../src/relay/rate.ts";

test.each([1, 2, 7, 9, 10, 60, 240, 300, 6_000, 1_000_000])("at %i a minute no 60 seconds can hold more", (rate) => {
  const { burst, intervalUs } = rateOf(rate);
  // The most a half-open window can hold: the burst at its start, then one every interval.
  const most = burst + Math.ceil(60_000_000 / intervalUs) - 1;
  expect(most).toBeLessThanOrEqual(rate);
  expect(60_000_000 / intervalUs).toBeGreaterThan(rate * 0.85);
});
