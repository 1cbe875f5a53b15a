import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import * as z from "zod";
import { call } from "../../scripts/lib/http.ts";
import { STEPS } from "../../scripts/lib/lifecycle.ts";
import { signRelayBody, standardWebhookSecret } from "../../src/platform/signature.ts";
import { FREE_PORTS, npmStart, type Started } from "./support/npm-start.ts";
import { startReceiver } from "./support/receiver.ts";
import {
  INSURER_ADDRESS,
  KEYS,
  plainPayload,
  post,
  secrets,
  signedSubmit,
  temporaryDirectory,
} from "./support/stack.ts";

/** Time for everything to end after Ctrl-C. */
const STOP_MS = 30_000;

const hash = z.string().regex(/^0x[0-9a-f]{64}$/);

const summarySchema = z.strictObject({
  status: z.literal("pass"),
  claimId: z.string().min(1),
  requestId: z.string().min(1),
  claimStatus: z.literal("paid"),
  deliveredCount: z.int(),
  anchor: z.strictObject({ txHash: hash, blockNumber: z.int().positive() }),
  steps: z.array(z.strictObject({ name: z.string(), ms: z.int().nonnegative() })),
});

const lastLine = (text: string): string => text.trimEnd().split("\n").at(-1) ?? "";

/** What npm start itself says of why it does not start. */
const complaints = (text: string): readonly string[] =>
  text.split("\n").filter((line) => line.startsWith("npm start:"));

const directory = temporaryDirectory();
const dataDir = join(directory.path, "data");
const started: Started[] = [];

function start(args: readonly string[], environment?: Readonly<Record<string, string>>): Started {
  const run = npmStart([...FREE_PORTS, "--data", dataDir, ...args], environment);
  started.push(run);
  return run;
}

afterEach(async () => {
  for (const run of started.splice(0)) await run.dispose();
});
afterAll(() => directory.remove());

describe("npm start -- --once --json", () => {
  // Each run takes a claim and a pre-authorization through three events to two destinations; the first also makes the insurer's
  // key and destination, and both are the operator's actions.
  const runs = [
    ["on no data", /data +\S+, new$/m, 12],
    ["on the data of the first run, which it finds", /found a ledger of 8 entries/, 24],
  ] as const;
  for (const [name, found, delivered] of runs) {
    it(`passes ${name}, says so in one object, and leaves no process behind`, async () => {
      const run = start(["--once", "--json"]);
      const { code, stdout, stderr } = await run.ended(120_000);
      expect(code, stderr).toBe(0);
      const summary = summarySchema.parse(JSON.parse(lastLine(stdout)));
      expect(summary.requestId).toBe(summary.claimId);
      expect(summary.deliveredCount).toBe(delivered);
      const expected = STEPS.flatMap((step) => [step, `preauth: ${step}`]).sort();
      expect(summary.steps.map((step) => step.name).sort()).toEqual(expected);
      expect(stderr).toMatch(found);
      // npm, its shell, the runner, the node, workerd, the insurer
      expect(run.seen()).toBeGreaterThanOrEqual(5);
      expect(run.alive()).toEqual([]);
      expect(existsSync(join(dataDir, "run.json"))).toBe(false);
    });
  }
});

describe("npm start", () => {
  it("serves until Ctrl-C, which stops everything within seconds; a second one on its data is refused meanwhile", async () => {
    const run = start(["--no-synthetic"]);
    await run.waitFor(/Serving/);
    const [, core = ""] = await run.waitFor(/core +(http\S+)/);
    const [, hub = ""] = await run.waitFor(/hub +(http\S+)/);

    const second = await start(["--no-synthetic"]).ended(30_000);
    expect(second.code).not.toBe(0);
    expect(complaints(second.stderr)).toEqual([expect.stringContaining("is in use by process")]);

    expect((await call(`${core}/health`)).status).toBe(200);
    expect((await call(`${hub}/healthz`)).status).toBe(200);
    run.ctrlC();
    const { code, signal, stderr } = await run.ended(STOP_MS);
    expect(complaints(stderr)).toEqual([]);
    // Ctrl-C reaches npm and its shell as well, and one of them may say so.
    expect([0, "SIGINT"]).toContain(code ?? signal);
    expect(run.alive()).toEqual([]);
    await expect(call(`${core}/health`)).rejects.toThrow();
  });

  it("stops everything at Ctrl-C while it still starts", async () => {
    const run = start(["--no-synthetic"]);
    await run.waitFor(/iTrans Edge/);
    // The node is up by then, and workerd on its way.
    for (let i = 0; i < 500 && !run.alive().some((line) => line.includes("anvil")); i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    run.ctrlC();
    const { stderr } = await run.ended(STOP_MS);
    expect(complaints(stderr)).toEqual([]);
    expect(run.alive()).toEqual([]);
    expect(existsSync(join(dataDir, "run.json"))).toBe(false);
  });

  it("ends what a run that was killed left behind, and finds its data", async () => {
    const killed = npmStart([...FREE_PORTS, "--data", dataDir, "--no-synthetic"], {}, "node");
    started.push(killed);
    await killed.waitFor(/Serving/);
    killed.kill();
    const run = start(["--no-synthetic"]);
    await run.waitFor(/Serving/);
    expect(run.output()).toMatch(/ending process \d+, left behind/);
    expect(run.output()).toMatch(/found a ledger of \d+ entries/);
    expect(killed.alive()).toEqual([]);
    run.ctrlC();
    await run.ended(STOP_MS);
    expect(run.alive()).toEqual([]);
  });

  it("says in one line which port is taken, and ends", async () => {
    const server = createServer();
    const port = await new Promise<number>((resolve) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address();
        if (typeof address === "object" && address !== null) resolve(address.port);
      });
    });
    const run = start(["--once", "--json", "--port-hub", String(port)]);
    const { code, stdout, stderr } = await run.ended(30_000);
    server.close();
    expect(code).not.toBe(0);
    expect(complaints(stderr)).toEqual([expect.stringContaining(`port ${port} (hub) is taken`)]);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(JSON.parse(lastLine(stdout))).toMatchObject({ status: "fail" });
    expect(run.alive()).toEqual([]);
  });

  it.each([
    ["ANVIL_PATH", "anvil"],
    ["MINIFLARE_WORKERD_PATH", "workerd"],
  ])("says in one line that a binary is missing: %s", async (variable, binary) => {
    const run = start(["--once", "--json"], { [variable]: join(directory.path, "nowhere") });
    const { code, stdout, stderr } = await run.ended(30_000);
    expect(code).not.toBe(0);
    expect(complaints(stderr)).toEqual([expect.stringContaining(`there is no ${binary} binary`)]);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(JSON.parse(lastLine(stdout))).toMatchObject({ status: "fail" });
    expect(run.alive()).toEqual([]);
  });

  it("says in one line that the data is of another version, and leaves it alone", async () => {
    const old = temporaryDirectory();
    writeFileSync(join(old.path, "version"), "0\n");
    const run = npmStart([...FREE_PORTS, "--data", old.path, "--once"]);
    started.push(run);
    const { code, stderr } = await run.ended(30_000);
    expect(code).not.toBe(0);
    expect(complaints(stderr)).toEqual([expect.stringContaining("has layout version 0")]);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(existsSync(join(old.path, "run.json"))).toBe(false);
    expect(run.alive()).toEqual([]);
    old.remove();
  });
});

describe("npm start -- --no-hub", () => {
  const signingSecret = secrets.RELAY_WEBHOOK_SIGNING_SECRET ?? "";

  it("calls a MedLink elsewhere back, with the headers, signatures and body of the contract", async () => {
    const receiver = await startReceiver();
    // Its own data: what the other runs keep is sealed under other secrets.
    const own = temporaryDirectory();
    const environment = { ...secrets, RELAY_MEDLINK_WEBHOOK_URL: `${receiver.url}/hooks/itrans` };
    const run = npmStart([...FREE_PORTS, "--data", own.path, "--no-hub"], environment, "node");
    started.push(run);
    await run.waitFor(/Serving/);
    const [, core = ""] = await run.waitFor(/core +(http\S+)/);
    expect(run.output()).not.toMatch(/^ *(hub|insurer) +http/m);

    const submitted = await call(`${core}/workflow/preauths`, {
      method: "POST",
      headers: { "x-api-key": KEYS.workflow, "x-correlation-id": "from-elsewhere-1" },
      body: signedSubmit({ ...plainPayload("patient-9"), type: "preauth" }, "elsewhere.1"),
    });
    expect(submitted.status).toBe(201);
    const { requestId, requestIdHash } = z
      .looseObject({ requestId: z.string(), requestIdHash: hash })
      .parse(submitted.body);
    expect(requestId).toBe("elsewhere.1");
    const requestUrl = `${core}/workflow/requests/${requestIdHash}`;
    expect((await post(`${requestUrl}/acknowledge`, KEYS.workflow, undefined)).status).toBe(200);
    expect((await post(`${requestUrl}/adjudicate`, KEYS.workflow, { decision: "DENIED" })).status).toBe(200);

    const posts = await receiver.waitFor(3, 20_000);
    expect(posts.map(({ eventType }) => eventType)).toEqual([
      "REQUEST_SUBMITTED",
      "REQUEST_ACKNOWLEDGED",
      "REQUEST_ADJUDICATED",
    ]);
    const view = await call(requestUrl, { headers: { "x-api-key": KEYS.workflow } });
    const { events, payloadHash, decisionHash, submitter } = z
      .looseObject({
        payloadHash: hash,
        decisionHash: hash,
        submitter: z.string(),
        events: z.array(z.looseObject({ seq: z.int(), entryHash: z.string(), at: z.string() })),
      })
      .parse(view.body);
    const insurer = INSURER_ADDRESS;
    const data = [
      { payloadHash, submitter, insurer, requestType: "PREAUTH" },
      { insurer },
      { insurer, decisionHash, decision: "DENIED" },
    ];
    for (const [index, { url, headers, body, eventType }] of posts.entries()) {
      const { seq = -1, entryHash = "", at = "" } = events[index] ?? {};
      const eventId = `31337:0x${entryHash}:0:MEDLINK`;
      expect(url).toBe("/hooks/itrans");
      expect(body).toBe(
        JSON.stringify({
          eventId,
          eventType,
          chainId: null,
          contractAddress: null,
          blockNumber: null,
          blockHash: null,
          txHash: null,
          logIndex: null,
          requestIdHash,
          occurredAt: Math.floor(Date.parse(at) / 1000),
          data: data[index],
          ledger: { id: "main", seq, entryHash },
        }),
      );
      const header = (name: string): string => String(headers[name] ?? "");
      const timestamp = Number(header("x-itrans-relay-timestamp"));
      expect(Math.abs(Date.now() - timestamp)).toBeLessThan(60_000);
      expect(headers).toMatchObject({
        "content-type": "application/json",
        "idempotency-key": eventId,
        "x-itrans-relay-event-id": eventId,
        "x-itrans-relay-event-type": eventType,
        "x-itrans-relay-signature": signRelayBody(timestamp, body, signingSecret),
        "webhook-id": eventId,
        "webhook-timestamp": String(Math.floor(timestamp / 1000)),
      });
      if (index === 0) expect(header("x-correlation-id")).toBe("from-elsewhere-1");
      const signature = {
        "webhook-id": header("webhook-id"),
        "webhook-timestamp": header("webhook-timestamp"),
        "webhook-signature": header("webhook-signature"),
      };
      const standard = new Webhook(standardWebhookSecret(signingSecret));
      expect(standard.verify(body, signature)).toEqual(JSON.parse(body));
      expect(() => standard.verify(`${body} `, signature)).toThrow();
    }

    run.ctrlC();
    const { code } = await run.ended(STOP_MS);
    expect(code).toBe(0);
    expect(run.alive()).toEqual([]);
    await receiver.dispose();
    own.remove();
  });
});
