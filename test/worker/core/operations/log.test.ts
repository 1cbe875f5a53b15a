import {
  createExecutionContext,
  createMessageBatch,
  createScheduledController,
  waitOnExecutionContext,
} from "cloudflare:test";
import { beforeAll, expect, test, vi } from "vitest";
import worker from "../../../../src/core/worker.ts";
import { migrate, testEnv } from "../support.ts";

beforeAll(migrate);

/** What is logged meanwhile: level, event and correlation id of each line. */
async function written(work: () => Promise<unknown>) {
  const lines: { readonly level: string; readonly event: string; readonly correlationId?: string }[] = [];
  const spies = (["log", "warn", "error"] as const).map((name) =>
    vi.spyOn(console, name).mockImplementation((line: string) => void lines.push(JSON.parse(line))),
  );
  try {
    await work();
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return lines;
}

const request = (env: typeof testEnv, correlationId: string) => {
  const context = createExecutionContext();
  const headers = { "x-correlation-id": correlationId };
  return async () => {
    await worker.fetch(new Request("http://core/version", { headers }), env, context);
    await waitOnExecutionContext(context);
  };
};

test("a request, a batch and a cron are one event each, with a correlation id", async () => {
  const asked = await written(request(testEnv, "asked-1"));
  expect(asked).toMatchObject([{ event: "request", level: "info", correlationId: "asked-1" }]);

  const batch = createMessageBatch("settlement", [
    { id: "1", timestamp: new Date(), attempts: 1, body: { refId: "", tenantId: "" } },
  ]);
  const queued = await written(async () => worker.queue(batch, testEnv));
  expect(queued.filter(({ event }) => event === "queue")).toHaveLength(1);

  const cron = await written(async () => worker.scheduled(createScheduledController(), testEnv));
  expect(cron.filter(({ event }) => event === "cron")).toHaveLength(1);
  for (const lines of [queued, cron]) {
    const [first] = lines;
    expect(first?.correlationId).toMatch(/^[0-9a-f-]{36}$/);
    expect(new Set(lines.map(({ correlationId }) => correlationId)).size).toBe(1);
  }
});

test("a request that can not be served for wrong settings is logged with the reason", async () => {
  const lines = await written(request(Object.assign({}, testEnv, { LEDGER_COMMIT_MAX_COMMANDS: "many" }), "asked-2"));
  expect(lines).toMatchObject([{ event: "request", level: "error", correlationId: "asked-2", status: 500 }]);
  expect(JSON.stringify(lines)).toContain("LEDGER_COMMIT_MAX_COMMANDS");
});

test("below LOG_LEVEL nothing is written", async () => {
  expect(await written(request({ ...testEnv, LOG_LEVEL: "warn" }, "asked-3"))).toEqual([]);
});
