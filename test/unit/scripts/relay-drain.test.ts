import { execFile } from "node:child_process";
import { createServer } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";

const run = promisify(execFile);
const script = join(import.meta.dirname, "..", "..", "..", "scripts", "relay.ts");

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** Core with one destination, whose posts under way end one by one, a status at a time, once it is paused. */
async function startCore(underWay: number) {
  const calls: string[] = [];
  let left = underWay;
  const server = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    request.resume();
    request.on("end", () => {
      const paused = calls.some((call) => call.endsWith("/pause"));
      const counts = { underWay: left, pending: 7 };
      if (paused && left > 0 && request.method === "GET") left -= 1;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ ...counts, destinations: [{ destinationId: "sunrise", ...counts }] }));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => server.close());
  const address = server.address();
  const port = typeof address === "object" ? address?.port : undefined;
  return { calls, url: `http://127.0.0.1:${port}` };
}

const drain = (url: string, ...args: readonly string[]) =>
  run(process.execPath, [script, "drain", ...args], {
    env: { ...process.env, ITRANS_CORE_URL: url, OPERATOR_API_KEY: "operator-key-for-tests" },
  });

test("relay:drain pauses the relay and waits until nothing is under way; what is pending stays", async () => {
  const { calls, url } = await startCore(2);
  const { stdout } = await drain(url);
  expect(JSON.parse(stdout)).toEqual({ drained: "relay", underWay: 0, pending: 7 });
  expect(calls[0]).toBe("POST /relay/pause");
  expect(calls.filter((call) => call.startsWith("GET"))).toHaveLength(3);
});

test("relay:drain of one destination pauses that one, and says so when there is none of that name", async () => {
  const { calls, url } = await startCore(1);
  await drain(url, "sunrise");
  expect(calls[0]).toBe("POST /relay/destinations/sunrise/pause");
  await expect(drain(url, "sunset")).rejects.toMatchObject({
    stderr: expect.stringContaining("no destination sunset"),
  });
});
