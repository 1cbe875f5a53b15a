/**
 * `node scripts/insurer.ts`: an insurer, which knows its own API key, core's URL and its webhook secret (INSURER_PORT, INSURER_CORE_URL,
 * INSURER_API_KEY, INSURER_WEBHOOK_SECRET, INSURER_DECISION), and learns of a request only from its webhook.
 * What it does is printed as one JSON object a line.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import * as z from "zod";
import { signRelayBody, standardWebhookSecret } from "../src/platform/signature.ts";
import { timingSafeEqual } from "../src/platform/timing-safe.ts";
import { messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { call, summaryOf } from "./lib/http.ts";

answerHelp(import.meta.filename);

const settings = z
  .object({
    INSURER_PORT: z.coerce.number().int().min(1).max(65_535),
    INSURER_CORE_URL: z.url(),
    INSURER_API_KEY: z.string().min(1),
    INSURER_WEBHOOK_SECRET: z.string().min(1),
    INSURER_DECISION: z.enum(["APPROVED", "DENIED", "NEEDS_INFO"]).default("APPROVED"),
  })
  .parse(process.env);

const MAX_BODY_BYTES = 256_000;
const MAX_REMEMBERED_EVENTS = 100_000;
const TOLERANCE_MS = 5 * 60_000;
const ATTEMPTS = 6;

const eventSchema = z.object({
  eventId: z.string(),
  eventType: z.string(),
  requestIdHash: z.string(),
  txHash: z.string().nullable(),
});
type Event = z.output<typeof eventSchema>;

const standard = new Webhook(standardWebhookSecret(settings.INSURER_WEBHOOK_SECRET));
const seen = new Set<string>();

const say = (event: string, fields: Readonly<Record<string, unknown>>) =>
  console.log(JSON.stringify({ at: new Date().toISOString(), event, ...fields }));

/** Both signature forms must hold: the sender promises both. */
function verify(headers: IncomingMessage["headers"], body: string): boolean {
  const header = (name: string) => String(headers[name] ?? "");
  const timestamp = Number(header("x-itrans-relay-timestamp"));
  if (!Number.isSafeInteger(timestamp) || Math.abs(Date.now() - timestamp) > TOLERANCE_MS) return false;
  const expected = signRelayBody(timestamp, body, settings.INSURER_WEBHOOK_SECRET);
  if (!timingSafeEqual(expected, header("x-itrans-relay-signature"))) return false;
  try {
    standard.verify(body, {
      "webhook-id": header("webhook-id"),
      "webhook-timestamp": header("webhook-timestamp"),
      "webhook-signature": header("webhook-signature"),
    });
    return true;
  } catch {
    return false;
  }
}

async function act(requestIdHash: string, action: string, body: unknown): Promise<void> {
  const url = `${settings.INSURER_CORE_URL}/workflow/requests/${requestIdHash}/${action}`;
  for (let attempt = 1; ; attempt++) {
    let failure: string;
    try {
      const answer = await call(url, { method: "POST", headers: { "x-api-key": settings.INSURER_API_KEY }, body });
      if (answer.status === 200) return say(action, { requestIdHash });
      failure = summaryOf(answer);
    } catch (error) {
      failure = messageOf(error);
    }
    if (attempt === ATTEMPTS) throw new Error(`${action}: ${failure}`);
    say("retrying", { requestIdHash, action, attempt, failure });
    await sleep(250 * 2 ** attempt);
  }
}

/** Does what the event asks for; again is harmless, since core answers the same again with 200. */
async function handle(event: Event): Promise<void> {
  if (event.eventType !== "REQUEST_SUBMITTED") return;
  try {
    await act(event.requestIdHash, "acknowledge", {});
    await act(event.requestIdHash, "adjudicate", { decision: settings.INSURER_DECISION });
  } catch (error) {
    seen.delete(event.eventId); // so that a replay is worked on
    say("failed", { requestIdHash: event.requestIdHash, reason: messageOf(error) });
  }
}

async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    const piece = Buffer.from(chunk);
    bytes += piece.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(piece);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = (status: number, body: unknown) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  if (request.method === "GET" && request.url === "/health") return void reply(200, { status: "ok" });
  if (request.method !== "POST" || request.url !== "/webhooks") return void reply(404, { message: "not found" });
  const body = await bodyOf(request);
  if (body === undefined) return void reply(413, { message: "too large" });
  if (!verify(request.headers, body)) {
    say("refused", { reason: "signature" });
    return void reply(401, { message: "bad signature" });
  }
  const parsed = eventSchema.safeParse(JSON.parse(body));
  if (!parsed.success) return void reply(400, { message: "not an event" });
  const event = parsed.data;
  if (seen.has(event.eventId)) return void reply(200, { ok: true, duplicate: true });
  seen.add(event.eventId);
  if (seen.size > MAX_REMEMBERED_EVENTS)
    for (const oldest of seen) {
      seen.delete(oldest);
      break;
    }
  reply(200, { ok: true });
  say("received", { eventType: event.eventType, requestIdHash: event.requestIdHash, txHash: event.txHash });
  await handle(event);
}

const server = createServer((request, response) => {
  receive(request, response).catch((error: unknown) => {
    say("failed", { reason: messageOf(error) });
    if (!response.headersSent) response.writeHead(400).end();
  });
});

server.once("error", (error) => {
  console.error(`the insurer cannot listen: ${error.message}`);
  process.exit(1);
});
server.listen(settings.INSURER_PORT, "127.0.0.1", () => say("listening", { port: settings.INSURER_PORT }));

// Started by a runner that may be killed: without it this process has no work.
process.on("disconnect", () => process.exit(0));
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => process.exit(0));
