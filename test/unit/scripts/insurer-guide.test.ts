/** The code of docs/insurer-guide.md, as it stands there. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { Certification, SCENARIOS } from "../../../scripts/lib/certify/scenarios.ts";
import { signRelayBody, standardWebhookSecret } from "../../../src/platform/signature.ts";

const SECRET = "a webhook secret of an insurer, 40 chars";
const guide = readFileSync(new URL("../../../docs/insurer-guide.md", import.meta.url), "utf8");
const files = [...guide.matchAll(/^```js (\S+\.mjs)\n([\s\S]*?)^```$/gm)].map(([, name = "", code = ""]) => ({
  name,
  code,
}));
const directory = mkdtempSync(join(tmpdir(), "insurer-guide-"));

const callable = <Output>() =>
  z.custom<(...values: readonly unknown[]) => Output>((value) => typeof value === "function");
const load = async <Schema extends z.ZodType>(name: string, schema: Schema): Promise<z.output<Schema>> =>
  schema.parse({ ...(await import(pathToFileURL(join(directory, name)).href)) });

beforeAll(() => {
  for (const { name, code } of files) writeFileSync(join(directory, name), code);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const servers: Server[] = [];
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const portOf = (server: Server): number => {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
};

function signed(body: string, secret: string, at: number): Record<string, string> {
  const seconds = Math.floor(at / 1_000);
  return {
    "x-itrans-relay-timestamp": String(at),
    "x-itrans-relay-signature": signRelayBody(at, body, secret),
    "webhook-id": "event-1",
    "webhook-timestamp": String(seconds),
    "webhook-signature": new Webhook(standardWebhookSecret(secret)).sign("event-1", new Date(1_000 * seconds), body),
  };
}

it("has the four files that it talks of", () => {
  expect(files.map(({ name }) => name)).toEqual(["verify.mjs", "receiver.mjs", "act.mjs", "insurer.mjs"]);
});

describe("its verification", () => {
  const verifiers = z.object({ verifyItrans: callable<boolean>(), verifyStandard: callable<boolean>() });
  const body = '{"eventId":"event-1"}';
  const at = Date.UTC(2026, 10, 1);

  it("takes what the relay signs, and refuses another body, another secret and an old timestamp, in both forms", async () => {
    const { verifyItrans, verifyStandard } = await load("verify.mjs", verifiers);
    for (const verify of [verifyItrans, verifyStandard]) {
      const headers = signed(body, SECRET, at);
      expect(verify(headers, Buffer.from(body), SECRET, at + 1_000)).toBe(true);
      expect(verify(headers, Buffer.from(`${body} `), SECRET, at)).toBe(false);
      expect(verify(headers, Buffer.from(body), `${SECRET}!`, at)).toBe(false);
      expect(verify(headers, Buffer.from(body), SECRET, at + 6 * 60_000)).toBe(false);
      expect(verify({}, Buffer.from(body), SECRET, at)).toBe(false);
    }
  });

  it("takes either of two signatures during a rotation", async () => {
    const { verifyStandard } = await load("verify.mjs", verifiers);
    const [old, fresh] = [signed(body, SECRET, at), signed(body, "the next secret of that insurer, 41 chars", at)];
    const both = { ...old, "webhook-signature": `${fresh["webhook-signature"]} ${old["webhook-signature"]}` };
    expect(verifyStandard(both, Buffer.from(body), SECRET, at)).toBe(true);
  });
});

it("its receiver passes the certification", async () => {
  const { createReceiver } = await load("receiver.mjs", z.object({ createReceiver: callable<Server>() }));
  const worked = new Map<string, number>();
  const server = createReceiver(SECRET, async (event: unknown) => {
    const { eventId } = z.looseObject({ eventId: z.string() }).parse(event);
    worked.set(eventId, (worked.get(eventId) ?? 0) + 1);
  });
  servers.push(server);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const certification = new Certification({
    url: `http://127.0.0.1:${portOf(server)}/`,
    secret: SECRET,
    controlUrl: undefined,
    insurerAddress: `0x${"a1".repeat(20)}`,
    timeoutMs: 8_000,
    loadMs: 1_000,
    loadPerMinute: 600,
    say: () => {},
  });
  const results = await certification.run();
  expect(results.filter(({ passed }) => !passed)).toEqual([]);
  expect(results).toHaveLength(SCENARIOS.length);
  expect([...worked.values()].every((times) => times === 1)).toBe(true);
});

describe("its calls", () => {
  const calls: { readonly method: string; readonly path: string; readonly key: string; readonly body: string }[] = [];
  const answers: { readonly status: number; readonly body: unknown; readonly headers?: Record<string, string> }[] = [];
  const core = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      calls.push({ method, path: url, key: String(headers["x-api-key"]), body });
      const answer = answers.shift() ?? { status: 200, body: { status: "ok" } };
      response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
      response.end(JSON.stringify(answer.body));
    });
  });
  servers.push(core);
  const act = z.object({ acknowledge: callable<Promise<unknown>>(), adjudicate: callable<Promise<unknown>>() });
  let url = "";
  beforeAll(async () => {
    await new Promise<void>((listening) => core.listen(0, "127.0.0.1", listening));
    url = `http://127.0.0.1:${portOf(core)}`;
  });

  it("acknowledge and adjudicate with the key, and try again what passes", async () => {
    const { acknowledge, adjudicate } = await load("act.mjs", act);
    answers.push({ status: 503, body: { code: "unavailable", detail: "later" }, headers: { "retry-after": "0" } });
    await acknowledge(url, "the-key", "0xabc");
    await adjudicate(url, "the-key", "0xabc", "DENIED", "not covered");
    expect(calls.splice(0)).toEqual([
      { method: "POST", path: "/workflow/requests/0xabc/acknowledge", key: "the-key", body: "{}" },
      { method: "POST", path: "/workflow/requests/0xabc/acknowledge", key: "the-key", body: "{}" },
      {
        method: "POST",
        path: "/workflow/requests/0xabc/adjudicate",
        key: "the-key",
        body: '{"decision":"DENIED","notes":"not covered"}',
      },
    ]);
  });

  it("say what was refused for good, and do not ask again", async () => {
    const { acknowledge } = await load("act.mjs", act);
    answers.push({ status: 409, body: { code: "superseded", detail: "see its successor" } });
    await expect(acknowledge(url, "the-key", "0xabc")).rejects.toThrow("superseded: see its successor");
    expect(calls.splice(0)).toHaveLength(1);
  });

  it("of the whole insurer follow a verified webhook", async () => {
    const { startInsurer } = await load("insurer.mjs", z.object({ startInsurer: callable<Promise<Server>>() }));
    const insurer = await startInsurer({ core: url, apiKey: "the-key", secret: SECRET, port: 0 });
    servers.push(insurer);
    const body = JSON.stringify({ eventId: "event-1", eventType: "REQUEST_SUBMITTED", requestIdHash: "0xdef" });
    const post = () =>
      fetch(`http://127.0.0.1:${portOf(insurer)}/`, {
        method: "POST",
        headers: signed(body, SECRET, Date.now()),
        body,
      });
    expect((await post()).status).toBe(200);
    expect(await (await post()).json()).toEqual({ duplicate: true });
    await expect
      .poll(() => calls.map(({ path }) => path))
      .toEqual(["/workflow/requests/0xdef/acknowledge", "/workflow/requests/0xdef/adjudicate"]);
  });
});
