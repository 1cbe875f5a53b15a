import { createExecutionContext } from "cloudflare:test";
import { beforeAll, beforeEach, expect, test } from "vitest";
import type { CoreEnv } from "../../../../src/core/env.ts";
import { RelayPort, retryHints } from "../../../../src/relay/port.edge.ts";
import type { RelayHint } from "../../../../src/relay/port.ts";
import { sweepRelay } from "../../../../src/relay/sweep.cron.ts";
import { migrate, testEnv } from "../support.ts";
import { addDestination, addRows, answered, emptyRelay, idsOf, posted, rowOf, T0 } from "./outbox-fixture.ts";

beforeAll(migrate);
beforeEach(emptyRelay);

interface Sent {
  readonly outboxIds: readonly number[];
  readonly delaySeconds: number;
}

/** Core's environment with a queue that remembers what was sent. */
function withQueue(): { readonly env: CoreEnv; readonly sent: Sent[] } {
  const sent: Sent[] = [];
  const keep = (body: RelayHint, delaySeconds = 0) => sent.push({ outboxIds: body.outboxIds, delaySeconds });
  const queue = new Proxy(testEnv.RELAY_QUEUE, {
    get: (target, key) => {
      if (key === "send") {
        return async (body: RelayHint, options?: QueueSendOptions) => keep(body, options?.delaySeconds);
      }
      if (key === "sendBatch") {
        return async (messages: Iterable<MessageSendRequest<RelayHint>>) => {
          for (const { body, delaySeconds } of messages) keep(body, delaySeconds);
        };
      }
      return Reflect.get(target, key);
    },
  });
  return { env: { ...testEnv, RELAY_QUEUE: queue }, sent };
}

test("a row to be tried again gets a hint for the time it falls due", async () => {
  const { env, sent } = withQueue();
  const port = new RelayPort(createExecutionContext(), env);
  await addDestination("a");
  await addRows({ outboxId: 1 }, { outboxId: 2 });
  const { deliveries } = await port.lease(10, []);
  const results = [answered(429, { retryAfter: "90" }), answered(200)];
  const outcomes = deliveries.flatMap((delivery, i) => {
    const result = results[i];
    return result === undefined ? [] : [posted(delivery, result)];
  });
  expect(await port.record(outcomes)).toEqual({ recorded: 2, due: 0 });
  expect(sent).toEqual([{ outboxIds: [1], delaySeconds: 90 }]);
  expect((await rowOf(2)).state).toBe("delivered");
});

test("hints of one second share a message, and a delay beyond the queue's is left to the sweep", () => {
  const hints = retryHints(
    [
      { outboxId: 1, dueAt: T0 + 1_200 },
      { outboxId: 2, dueAt: T0 + 1_900 },
      { outboxId: 3, dueAt: T0 + 86_400_000 },
      { outboxId: 4, dueAt: T0 + 86_401_000 },
      { outboxId: 5, dueAt: T0 - 1 },
    ],
    T0,
  );
  expect(hints).toEqual([
    { body: { outboxIds: [1, 2] }, delaySeconds: 2 },
    { body: { outboxIds: [3] }, delaySeconds: 86_400 },
    { body: { outboxIds: [5] }, delaySeconds: 0 },
  ]);
});

test("wishes to be woken that come before the first is granted send nothing more", async () => {
  const { env, sent } = withQueue();
  const port = new RelayPort(createExecutionContext(), env);
  await port.wake(5_000);
  await port.wake(5_000);
  expect(sent).toEqual([{ outboxIds: [], delaySeconds: 5 }]);
});

test("the sweep sends hints for whatever is due, lost hints or not, a hundred rows each", async () => {
  const { env, sent } = withQueue();
  await addDestination("a");
  await addRows(...Array.from({ length: 250 }, (_, i) => ({ outboxId: i + 1 })));
  await addRows({ outboxId: 900, dueAt: T0 + 1 });
  expect(await sweepRelay(env, T0)).toMatchObject({ due: 250, hints: 3, held: 0 });
  expect(sent.map(({ outboxIds }) => outboxIds.length)).toEqual([100, 100, 50]);
  const port = new RelayPort(createExecutionContext(), env);
  expect(idsOf(await port.lease(500, []))).toHaveLength(250);
  sent.length = 0;
  expect(await sweepRelay(env, T0)).toEqual({ due: 0, hints: 0, held: 0, parked: 0 });
  expect(sent).toEqual([]);
});
