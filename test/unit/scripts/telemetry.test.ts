import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { remedyIn } from "../../../scripts/lib/remedy.ts";
import { pastLines, telemetryAccess } from "../../../scripts/lib/telemetry.ts";
import { formatLogLine } from "../../../src/platform/log.ts";

const run = promisify(execFile);
const LOGS = join(import.meta.dirname, "../../../scripts/logs.ts");
const HOUR = 3_600_000;

interface Asked {
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: {
    readonly timeframe: { readonly from: number; readonly to: number };
    readonly offset?: string;
    readonly parameters: { readonly filters: readonly { readonly value: string }[] };
  };
}
const asked: Asked[] = [];
const pages = new Map<string, readonly object[]>();
let status = 200;

/** The platform's API, as far as it is asked. */
const server = createServer((request, response) => {
  let text = "";
  request.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  request.on("end", () => {
    const body: Asked["body"] = JSON.parse(text);
    asked.push({ url: request.url ?? "", authorization: request.headers.authorization, body });
    const events = pages.get(`${body.parameters.filters[0]?.value}${body.offset ?? ""}`) ?? [];
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ success: status === 200, errors: [], result: { events: { events } } }));
  });
});

beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => server.close());

const logs = (args: readonly string[]) => {
  const { port } = server.address() as AddressInfo;
  const env = {
    ...process.env,
    CLOUDFLARE_API_BASE_URL: `http://127.0.0.1:${port}`,
    CLOUDFLARE_ACCOUNT_ID: "account-1",
    CLOUDFLARE_API_TOKEN: "token-1",
  };
  return run(process.execPath, [LOGS, ...args], { env });
};

const now = Date.now();
const at = (agoMs: number): string => new Date(now - agoMs).toISOString();
/** The platform parses a line that is JSON, and keeps another as its message. */
const parsed = (id: string, line: string) => ({ source: JSON.parse(line), $metadata: { id } });

test("a deployed environment's past is read page by page, put in order and chosen like any log", async () => {
  const filler = Array.from({ length: 1_999 }, (_, i) =>
    parsed(`f${i}`, formatLogLine("itrans-core", "debug", "filler", {}, at(10))),
  );
  const first = formatLogLine("itrans-core", "error", "request", { status: 500, route: "/claims" }, at(HOUR / 2));
  const second = formatLogLine("medlink-hub", "error", "request", { status: 502 }, at(HOUR / 4));
  const third = formatLogLine("itrans-core", "error", "sweep", { code: "late" }, at(HOUR / 8));
  pages.set("itrans-core-production", [...filler, parsed("last", third)]);
  pages.set("itrans-core-productionlast", [
    parsed("older", first),
    { source: { message: "no event" }, $metadata: { id: "x", message: "what the runtime says" } },
  ]);
  pages.set("medlink-hub-production", [{ source: second, $metadata: { id: "t", message: second } }]);

  const { stdout } = await logs(["--env", "production", "--since", "1h", "--level", "error", "--json"]);
  expect(stdout.trim().split("\n")).toEqual([first, second, third]);
  expect(asked).toHaveLength(4);
  for (const { url, authorization, body } of asked) {
    expect(url).toBe("/accounts/account-1/workers/observability/telemetry/query");
    expect(authorization).toBe("Bearer token-1");
    expect(body).toMatchObject({ view: "events", dry: true, limit: 2_000 });
    // The time that passes between reading the option and asking is of no account.
    expect(Math.round((body.timeframe.to - body.timeframe.from) / 60_000)).toBe(60);
  }
  expect(asked.map(({ body }) => body.parameters.filters[0]?.value)).toContain("itrans-relay-production");
});

test("what is refused is said, and without an account or a token what to set", async () => {
  const { port } = server.address() as AddressInfo;
  const base = `http://127.0.0.1:${port}`;
  const set = { CLOUDFLARE_ACCOUNT_ID: "account-1", CLOUDFLARE_API_TOKEN: "token-1", CLOUDFLARE_API_BASE_URL: base };
  status = 403;
  await expect(pastLines(telemetryAccess(set), "itrans-core", "staging", now - HOUR, now)).rejects.toThrow(
    "the platform answers 403 to a query of itrans-core-staging's logs",
  );
  status = 200;
  expect(() => telemetryAccess({})).toThrow(/^set CLOUDFLARE_ACCOUNT_ID and CLOUDFLARE_API_TOKEN /);
  expect(() => telemetryAccess({ CLOUDFLARE_ACCOUNT_ID: "a" })).toThrow(/^set CLOUDFLARE_API_TOKEN /);
});

test("a remedy about a deployed environment asks that one's past", () => {
  expect(remedyIn("npm run logs:errors shows why", "local")).toBe("npm run logs:errors shows why");
  expect(remedyIn("Look. npm run logs:errors shows why; mend it.", "production")).toBe(
    "Look. npm run logs:errors -- --env production --since 1h shows why; mend it.",
  );
  expect(remedyIn("npm run logs:errors -- --since 24h", "staging")).toBe(
    "npm run logs:errors -- --env staging --since 24h",
  );
  expect(remedyIn("npm run logs -- --since 1h shows its lines, each with durationMs.", "staging")).toBe(
    "npm run logs -- --env staging --since 1h shows its lines, each with durationMs.",
  );
});
