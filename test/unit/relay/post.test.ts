import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from "node:http";
import { createServer as createSocketServer } from "node:net";
import { Webhook } from "standardwebhooks";
import { afterEach, describe, expect, test } from "vitest";
import { signRelayBody, standardWebhookSecret } from "../../../src/platform/signature.ts";
import type { LeasedDelivery } from "../../../src/relay/port.ts";
import { pingDestination, postWebhook, webhookHeaders } from "../../../src/relay/post.client.ts";
import type { Signing } from "../../../src/relay/signing-secrets.ts";

const SECRET_TEXT = "webhook-signing-for-tests-93f6b7710c4e";
const SECRET: Signing = { secrets: [SECRET_TEXT], itransSecret: SECRET_TEXT, extraHeaders: {} };
const BODY = JSON.stringify({ eventId: "e", eventType: "REQUEST_ADJUDICATED", note: "é€" });

const deliveryTo = (url: string, timeoutMs = 2_000): LeasedDelivery => ({
  outboxId: 1,
  leaseToken: 1,
  startBeforeMs: 0,
  eventId: "31337:0xab:0:MEDLINK",
  eventType: "REQUEST_ADJUDICATED",
  body: BODY,
  correlationId: "correlation-1",
  attempts: 0,
  destination: { destinationId: "d", kind: "MEDLINK", url, timeoutMs, sealedSecret: undefined },
});

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

function urlOf(server: Server | ReturnType<typeof createSocketServer>, path = "/hook"): string {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not listening");
  return `http://127.0.0.1:${address.port}${path}`;
}

async function receiver(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return urlOf(server);
}

const answering = (status: number, body = "", headers: Record<string, string> = {}) =>
  receiver((request, response) => {
    request.resume().on("end", () => response.writeHead(status, headers).end(body));
  });

describe("a post", () => {
  test("carries every header of the contract, both signatures and the body byte for byte", async () => {
    let seen: { headers: IncomingHttpHeaders; body: string; method: string | undefined } | undefined;
    const url = await receiver((request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        seen = { headers: request.headers, body: Buffer.concat(chunks).toString(), method: request.method };
        response.end("{}");
      });
    });
    const timestampMs = Date.now();
    expect(await postWebhook(deliveryTo(url), SECRET, timestampMs)).toMatchObject({ type: "answered", status: 200 });
    expect(seen?.method).toBe("POST");
    expect(seen?.body).toBe(BODY);
    expect(seen?.headers).toMatchObject({
      "content-type": "application/json",
      "idempotency-key": "31337:0xab:0:MEDLINK",
      "x-itrans-relay-event-id": "31337:0xab:0:MEDLINK",
      "x-itrans-relay-event-type": "REQUEST_ADJUDICATED",
      "x-itrans-relay-timestamp": String(timestampMs),
      "x-itrans-relay-signature": signRelayBody(timestampMs, BODY, SECRET_TEXT),
      "webhook-id": "31337:0xab:0:MEDLINK",
      "webhook-timestamp": String(Math.floor(timestampMs / 1000)),
      "x-correlation-id": "correlation-1",
    });
  });

  test("is verified by a Standard Webhooks library, and not once a byte has changed", () => {
    const headers = webhookHeaders(deliveryTo("http://127.0.0.1/"), SECRET, Date.now());
    const webhook = new Webhook(standardWebhookSecret(SECRET_TEXT));
    expect(webhook.verify(BODY, { ...headers })).toEqual(JSON.parse(BODY));
    expect(() => webhook.verify(BODY.replace("é", "e"), { ...headers })).toThrow();
  });

  test("is signed anew for each attempt", () => {
    const first = webhookHeaders(deliveryTo("http://127.0.0.1/"), SECRET, 1_790_000_000_000);
    const second = webhookHeaders(deliveryTo("http://127.0.0.1/"), SECRET, 1_790_000_060_000);
    for (const name of [
      "x-itrans-relay-timestamp",
      "x-itrans-relay-signature",
      "webhook-timestamp",
      "webhook-signature",
    ]) {
      expect(first[name]).not.toBe(second[name]);
    }
    expect(first["webhook-id"]).toBe(second["webhook-id"]);
  });
});

describe("during a rotation", () => {
  const OLD = "webhook-signing-before-0d2c71a9e4b8";
  const both = (itransSecret: string): Signing => ({ ...SECRET, secrets: [SECRET_TEXT, OLD], itransSecret });

  test("a Standard Webhooks library verifies with the new secret and with the old one", () => {
    const headers = { ...webhookHeaders(deliveryTo("http://127.0.0.1/"), both(SECRET_TEXT), Date.now()) };
    expect(headers["webhook-signature"]?.split(" ")).toHaveLength(2);
    for (const secret of [SECRET_TEXT, OLD]) {
      expect(new Webhook(standardWebhookSecret(secret)).verify(BODY, headers)).toEqual(JSON.parse(BODY));
    }
    const other = new Webhook(standardWebhookSecret("a-secret-that-never-was-11fe20"));
    expect(() => other.verify(BODY, headers)).toThrow();
  });

  test.each([SECRET_TEXT, OLD])("the iTrans header carries one signature, made with the secret chosen", (secret) => {
    const headers = webhookHeaders(deliveryTo("http://127.0.0.1/"), both(secret), 1_790_000_000_000);
    expect(headers["x-itrans-relay-signature"]).toBe(signRelayBody(1_790_000_000_000, BODY, secret));
  });
});

test("extra headers go along, and none of ours can be taken by them", () => {
  const extraHeaders = { authorization: "Bearer abc", "webhook-id": "mine", "content-type": "text/plain" };
  const headers = webhookHeaders(deliveryTo("http://127.0.0.1/"), { ...SECRET, extraHeaders }, 1);
  expect(headers).toMatchObject({
    authorization: "Bearer abc",
    "webhook-id": "31337:0xab:0:MEDLINK",
    "content-type": "application/json",
  });
});

describe("a ping", () => {
  async function pinged(asEvent: boolean, status: number) {
    const seen: { method: string | undefined; headers: IncomingHttpHeaders; body: string }[] = [];
    const url = await receiver((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => {
        body += chunk.toString();
      });
      request.on("end", () => {
        seen.push({ method: request.method, headers: request.headers, body });
        response.writeHead(status).end();
      });
    });
    const { destination } = deliveryTo(url);
    return { result: await pingDestination({ destination, asEvent }, "p1", SECRET, Date.now()), seen };
  }

  test("is no event for a destination that did not ask for one, and any answer is an answer", async () => {
    const { result, seen } = await pinged(false, 405);
    expect(result).toMatchObject({ type: "answered", status: 405 });
    expect(seen).toMatchObject([{ method: "HEAD", body: "" }]);
    expect(Object.keys(seen[0]?.headers ?? {}).filter((name) => /^(x-itrans|webhook)-/.test(name))).toEqual([]);
  });

  test("is a signed PING for one that did", async () => {
    const { seen } = await pinged(true, 200);
    const [ping] = seen;
    expect(ping).toMatchObject({ method: "POST", headers: { "x-itrans-relay-event-type": "PING" } });
    const webhook = new Webhook(standardWebhookSecret(SECRET_TEXT));
    const headers = Object.fromEntries(
      Object.entries(ping?.headers ?? {}).map(([name, value]) => [name, String(value)]),
    );
    expect(webhook.verify(ping?.body ?? "", headers)).toMatchObject({ eventId: "ping:p1", eventType: "PING" });
  });
});

describe("what became of it", () => {
  test("the start of a refusal is kept, without control characters; nothing is kept of a 2xx", async () => {
    const long = await postWebhook(
      deliveryTo(await answering(400, `bad\u0000\u001b[2J${"x".repeat(3_000)}`)),
      SECRET,
      1,
    );
    expect(long).toMatchObject({ status: 400, answer: expect.stringMatching(/^bad \[2Jx{1016,}$/) });
    expect(long.type === "answered" ? long.answer?.length : 0).toBe(1_024);
    expect(await postWebhook(deliveryTo(await answering(200, "ok")), SECRET, 1)).not.toHaveProperty("answer");
  });

  test("a 404 whose JSON says retryable is told apart from any other", async () => {
    const known = async (status: number, body: string) =>
      postWebhook(deliveryTo(await answering(status, body)), SECRET, 1);
    expect(await known(404, '{"ok":false,"retryable":true}')).toMatchObject({ status: 404, retryable: true });
    expect(await known(404, '{"ok":false,"retryable":"true"}')).toMatchObject({ status: 404, retryable: false });
    expect(await known(404, "<html>not found</html>")).toMatchObject({ status: 404, retryable: false });
    expect(await known(404, "")).toMatchObject({ status: 404, retryable: false });
    expect(await known(400, '{"retryable":true}')).toMatchObject({ status: 400, retryable: false });
  });

  test("Retry-After is passed on", async () => {
    const url = await answering(429, "", { "retry-after": "17" });
    expect(await postWebhook(deliveryTo(url), SECRET, 1)).toMatchObject({ status: 429, retryAfter: "17" });
  });

  test("a redirect is an answer, and where it points is not called", async () => {
    let called = false;
    const elsewhere = await receiver((_, response) => {
      called = true;
      response.end();
    });
    const url = await answering(307, "", { location: elsewhere });
    expect(await postWebhook(deliveryTo(url), SECRET, 1)).toMatchObject({ type: "answered", status: 307 });
    expect(called).toBe(false);
  });

  test("silence is a timeout", async () => {
    const url = await receiver(() => {});
    expect(await postWebhook(deliveryTo(url, 150), SECRET, 1)).toEqual({ type: "timeout" });
  });

  test("a 200 whose body never ends is delivered; such a 404 is a timeout, not a refusal", async () => {
    const hanging = (status: number) =>
      receiver((_, response) => {
        response.writeHead(status).write('{"retryable"');
      });
    expect(await postWebhook(deliveryTo(await hanging(200), 150), SECRET, 1)).toMatchObject({ status: 200 });
    expect(await postWebhook(deliveryTo(await hanging(404), 150), SECRET, 1)).toEqual({ type: "timeout" });
  });

  test("an endless body is not read to its end", async () => {
    const url = await receiver((_, response) => {
      response.writeHead(404);
      const pour = () => {
        while (response.write("x".repeat(1_024)));
        response.once("drain", pour);
      };
      response.on("error", () => {});
      pour();
    });
    expect(await postWebhook(deliveryTo(url), SECRET, 1)).toMatchObject({ status: 404, retryable: false });
  });

  test("a refused connection and one that breaks are connection failures", async () => {
    const breaking = createSocketServer((socket) => {
      socket.once("data", () => socket.destroy());
    });
    await new Promise<void>((resolve) => breaking.listen(0, "127.0.0.1", resolve));
    const url = urlOf(breaking);
    expect(await postWebhook(deliveryTo(url), SECRET, 1)).toMatchObject({ type: "connection-failed" });
    await new Promise((resolve) => breaking.close(resolve));
    expect(await postWebhook(deliveryTo(url), SECRET, 1)).toMatchObject({ type: "connection-failed" });
  });
});
