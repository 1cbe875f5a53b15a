/**
 * A reference receiver: what an insurer's endpoint must do, in the fewest lines, and on demand the ways of getting it wrong.
 * `GET /control` shows what it did, `PUT /control` tells it how to behave, anything else is the webhook.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { Webhook } from "standardwebhooks";
import * as z from "zod";
import { signRelayBody, standardWebhookSecret } from "../../../src/platform/signature.ts";
import { timingSafeEqual } from "../../../src/platform/timing-safe.ts";

export const MISBEHAVIOURS = {
  "refuse-submitted": "answers 400 to REQUEST_SUBMITTED",
  "refuse-acknowledged": "answers 400 to REQUEST_ACKNOWLEDGED",
  "refuse-approved": "answers 400 to a decision APPROVED",
  "refuse-denied": "answers 400 to a decision DENIED",
  "accept-old": "checks the signature, but not how old it is",
  "accept-any-secret": "takes any signature",
  "apply-duplicates": "applies an event as often as it comes",
  "refuse-duplicates": "answers 409 to an event it knows",
  "remember-failed": "takes an event it answered 503 to for a duplicate",
  "answer-500": "fails one call in ten",
  slow: "takes 6 s to answer",
} as const satisfies Record<string, string>;

export type Misbehaviour = keyof typeof MISBEHAVIOURS;

const controlSchema = z.strictObject({
  misbehave: z
    .array(z.string().refine((name): name is Misbehaviour => name in MISBEHAVIOURS, "is not known"))
    .optional(),
  /** How many of the next calls are answered 503. */
  unavailable: z.number().int().min(0).max(1_000_000).optional(),
});

const eventSchema = z.looseObject({
  eventId: z.string(),
  eventType: z.enum(["REQUEST_SUBMITTED", "REQUEST_ACKNOWLEDGED", "REQUEST_ADJUDICATED"]),
  requestIdHash: z.string().regex(/^0x[0-9a-f]{64}$/),
  data: z.looseObject({ decision: z.enum(["APPROVED", "DENIED", "NEEDS_INFO"]).optional() }),
});

const TOLERANCE_MS = 5 * 60_000;
const MAX_BODY_BYTES = 256_000;
const MAX_REMEMBERED = 200_000;

export interface Receiver {
  readonly url: string;
  readonly controlUrl: string;
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
}

class Behaviour {
  readonly #secret: string;
  readonly #standard: Webhook;
  readonly #known = new Set<string>();
  #misbehave: ReadonlySet<string>;
  #unavailable = 0;
  #calls = 0;
  #refused = 0;
  /** Times an event had an effect, by event id; what a claim system would have done to the claim. */
  readonly #effects = new Map<string, number>();

  constructor(secret: string, misbehave: readonly Misbehaviour[]) {
    this.#secret = secret;
    this.#standard = new Webhook(standardWebhookSecret(secret));
    this.#misbehave = new Set(misbehave);
  }

  #is(name: Misbehaviour): boolean {
    return this.#misbehave.has(name);
  }

  control(body: string): Reply {
    const parsed = controlSchema.safeParse(JSON.parse(body));
    if (!parsed.success) return { status: 400, body: { message: z.prettifyError(parsed.error) } };
    if (parsed.data.misbehave !== undefined) this.#misbehave = new Set(parsed.data.misbehave);
    if (parsed.data.unavailable !== undefined) this.#unavailable = parsed.data.unavailable;
    return this.report();
  }

  report(): Reply {
    const counts = [...this.#effects.values()];
    return {
      status: 200,
      body: {
        calls: this.#calls,
        refused: this.#refused,
        events: this.#effects.size,
        effects: counts.reduce((sum, count) => sum + count, 0),
        misbehave: [...this.#misbehave],
        unavailable: this.#unavailable,
      },
    };
  }

  async receive(headers: IncomingMessage["headers"], body: string): Promise<Reply> {
    this.#calls += 1;
    if (this.#is("slow")) await sleep(6_000);
    if (this.#is("answer-500") && this.#calls % 10 === 0) return { status: 500, body: { message: "misbehaving" } };
    if (!this.#verified(headers, body)) {
      this.#refused += 1;
      return { status: 401, body: { message: "bad signature" } };
    }
    const parsed = eventSchema.safeParse(JSON.parse(body));
    if (!parsed.success) return { status: 400, body: { message: "not an event of the contract" } };
    const { eventId, eventType, data } = parsed.data;
    if (this.#unavailable > 0) {
      this.#unavailable -= 1;
      if (this.#is("remember-failed")) this.#remember(eventId);
      return { status: 503, body: { message: "out of service" } };
    }
    const refused =
      (this.#is("refuse-submitted") && eventType === "REQUEST_SUBMITTED") ||
      (this.#is("refuse-acknowledged") && eventType === "REQUEST_ACKNOWLEDGED") ||
      (this.#is("refuse-approved") && data.decision === "APPROVED") ||
      (this.#is("refuse-denied") && data.decision === "DENIED");
    if (refused) return { status: 400, body: { message: "misbehaving" } };
    if (this.#known.has(eventId)) {
      if (this.#is("refuse-duplicates")) return { status: 409, body: { message: "known" } };
      if (this.#is("apply-duplicates")) this.#apply(eventId);
      return { status: 200, body: { ok: true, ...(this.#is("apply-duplicates") ? {} : { duplicate: true }) } };
    }
    this.#remember(eventId);
    this.#apply(eventId);
    return { status: 200, body: { ok: true } };
  }

  #apply(eventId: string): void {
    this.#effects.set(eventId, (this.#effects.get(eventId) ?? 0) + 1);
  }

  #remember(eventId: string): void {
    this.#known.add(eventId);
    if (this.#known.size <= MAX_REMEMBERED) return;
    for (const oldest of this.#known) {
      this.#known.delete(oldest);
      this.#effects.delete(oldest);
      break;
    }
  }

  /** Both forms must hold: the sender promises both. */
  #verified(headers: IncomingMessage["headers"], body: string): boolean {
    const header = (name: string) => String(headers[name] ?? "");
    if (this.#is("accept-any-secret")) return header("x-itrans-relay-signature") !== "";
    const timestamp = Number(header("x-itrans-relay-timestamp"));
    const old = !Number.isSafeInteger(timestamp) || Math.abs(Date.now() - timestamp) > TOLERANCE_MS;
    if (old && !this.#is("accept-old")) return false;
    if (!timingSafeEqual(signRelayBody(timestamp, body, this.#secret), header("x-itrans-relay-signature")))
      return false;
    if (old) return true;
    try {
      this.#standard.verify(body, {
        "webhook-id": header("webhook-id"),
        "webhook-timestamp": header("webhook-timestamp"),
        "webhook-signature": header("webhook-signature"),
      });
      return true;
    } catch {
      return false;
    }
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

async function answer(behaviour: Behaviour, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  const reply =
    body === undefined
      ? { status: 413, body: { message: "too large" } }
      : request.url === "/control"
        ? request.method === "PUT"
          ? behaviour.control(body)
          : behaviour.report()
        : request.method === "POST"
          ? await behaviour.receive(request.headers, body)
          : { status: 405, body: { message: "POST" } };
  response.writeHead(reply.status, { "content-type": "application/json" }).end(JSON.stringify(reply.body));
}

/** @param options port 0 takes a free one; it listens on this machine only. */
export async function startReceiver(options: {
  readonly port: number;
  readonly secret: string;
  readonly misbehave: readonly Misbehaviour[];
}): Promise<Receiver> {
  const behaviour = new Behaviour(options.secret, options.misbehave);
  const server: Server = createServer((request, response) => {
    answer(behaviour, request, response).catch(() => {
      if (!response.headersSent) response.writeHead(400).end();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  return {
    url: `http://127.0.0.1:${port}/webhooks`,
    controlUrl: `http://127.0.0.1:${port}/control`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
