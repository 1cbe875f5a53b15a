/** The payer's operator, written from docs/operator-api.md and nothing else: one HTTP server over books of its own. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import * as z from "zod";
import { type Behaviour, behaviourSchema, drawFate, drawMishap, seededRandom } from "./behaviour.ts";
import { type RollingWindow, rollingWindow } from "./rolling-window.ts";
import { type Books, openBooks, STATUSES, type Transaction, TYPES } from "./store.ts";

const MAX_BODY_BYTES = 16_384;
const FRESH_S = 300;
const WINDOW_MS = 60_000;
const MAX_PAGE = 500;
const MAX_ARRIVALS_KEPT = 100_000;
const CURRENCIES = new Set(["CAD", "USD", "EUR", "JPY", "KWD"]);
const CORRELATION_ID = /^[A-Za-z0-9._-]{1,64}$/;

export interface SimulatorOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** Those it takes signatures of: the current one and, during a rotation, the one before. */
  readonly secrets: readonly string[];
  /** The database file; `:memory:` keeps nothing. */
  readonly store: string;
  readonly behaviour?: z.input<typeof behaviourSchema>;
  /** Opens `/control`; without it there is none. */
  readonly controlToken?: string;
  readonly now?: () => number;
}

export interface Simulator {
  readonly url: string;
  readonly books: Books;
  readonly window: RollingWindow;
  /** When each call arrived, epoch ms; the newest ones. */
  readonly arrivals: readonly number[];
  behave(behaviour: z.input<typeof behaviourSchema>): void;
  /** Answers what it has begun, then closes its books. */
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

const failure = (
  status: number,
  code: string,
  message: string,
  headers: Readonly<Record<string, string>> = {},
): Reply => ({
  status,
  body: { error: { code, message } },
  headers,
});

const newTransactionSchema = z.strictObject({
  transactionId: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  type: z.enum(TYPES),
  amountCents: z.int(),
  currency: z.string().regex(/^[A-Z]{3}$/),
  reverses: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/)
    .nullable(),
});

const time = z.iso.datetime().transform((text) => Date.parse(text));
const listSchema = z.strictObject({
  from: time,
  to: time,
  cursor: z.string().max(200).default(""),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(200),
});

const changeSchema = z.strictObject({
  amountCents: z.int().optional(),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .optional(),
  status: z.enum(STATUSES).optional(),
  type: z.enum(TYPES).optional(),
});
const inventSchema = newTransactionSchema.extend({
  status: z.enum(STATUSES).default("COMPLETED"),
  createdAt: z.int().optional(),
});

const shown = (transaction: Transaction) => ({
  ...transaction,
  createdAt: new Date(transaction.createdAt).toISOString(),
  updatedAt: new Date(transaction.updatedAt).toISOString(),
});

const headerOf = (request: IncomingMessage, name: string): string => String(request.headers[name] ?? "");

/** @returns undefined when the signature holds. */
function signatureFault(
  request: IncomingMessage,
  body: string,
  secrets: readonly string[],
  now: number,
): Reply | undefined {
  const timestamp = headerOf(request, "x-timestamp");
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > FRESH_S) {
    return failure(401, "stale_timestamp", "X-Timestamp is missing, or too far from our clock.");
  }
  const given = Buffer.from(headerOf(request, "x-signature"));
  const holds = secrets.some((secret) => {
    const expected = Buffer.from(createHmac("sha256", secret).update(`${timestamp}.${body}`).digest("hex"));
    return expected.length === given.length && timingSafeEqual(expected, given);
  });
  return holds ? undefined : failure(401, "bad_signature", "The signature does not match.");
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

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export async function startSimulator(options: SimulatorOptions): Promise<Simulator> {
  const { secrets, now = Date.now } = options;
  const books = openBooks(options.store);
  const arrivals: number[] = [];
  let behaviour: Behaviour = behaviourSchema.parse(options.behaviour ?? {});
  let random = seededRandom(behaviour.seed);
  const behave = (next: z.input<typeof behaviourSchema>) => {
    behaviour = behaviourSchema.parse(next);
    random = seededRandom(behaviour.seed);
  };
  const window = rollingWindow(WINDOW_MS, () => behaviour.callsPerMinute);
  const counts = { calls: 0, badSignatures: 0, conflicts: 0, repeats: 0, created: 0, mishaps: 0 };
  const waiting = new Set<() => void>();

  /** Ends early when the simulator does. */
  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      waiting.add(done);
    });

  function create(body: string): Reply {
    const parsed = newTransactionSchema.safeParse(parsedJson(body));
    if (!parsed.success) return failure(400, "invalid_request", "The body is not a transaction.");
    const wanted = parsed.data;
    const there = books.find(wanted.transactionId, now());
    if (there !== undefined) {
      const same =
        there.type === wanted.type &&
        there.amountCents === wanted.amountCents &&
        there.currency === wanted.currency &&
        there.reverses === wanted.reverses;
      if (!same) {
        counts.conflicts += 1;
        return failure(409, "transaction_conflict", "This transactionId is taken by another transaction.");
      }
      counts.repeats += 1;
      return { status: 200, body: shown(there) };
    }
    if (!CURRENCIES.has(wanted.currency)) {
      return failure(422, "currency_not_supported", "We do not settle in this currency.");
    }
    if (wanted.amountCents === 0 || (wanted.type !== "adjustment" && wanted.amountCents < 0)) {
      return failure(422, "amount_invalid", "This type of transaction can not have this amount.");
    }
    const needsOriginal = wanted.type === "reversal";
    const original = wanted.reverses === null ? undefined : books.find(wanted.reverses, now());
    if (needsOriginal !== (wanted.reverses !== null) || (needsOriginal && original === undefined)) {
      return failure(422, "reversal_refused", "A reversal, and nothing else, names a transaction that we have.");
    }
    counts.created += 1;
    return { status: 201, body: shown(books.add(wanted, drawFate(behaviour, random, now()), now())) };
  }

  function ask(query: URLSearchParams): Reply {
    const transactionId = query.get("transactionId");
    if (transactionId !== null) {
      const found = books.find(transactionId, now());
      return found === undefined
        ? failure(404, "unknown_transaction", "There is no transaction of this id.")
        : { status: 200, body: shown(found) };
    }
    const parsed = listSchema.safeParse(Object.fromEntries(query));
    if (!parsed.success) return failure(400, "invalid_request", "Give transactionId, or from and to.");
    const { from, to, cursor, limit } = parsed.data;
    const after = Buffer.from(cursor, "base64url").toString("utf8");
    const found = books.page({ from, until: to, after }, limit + 1, now());
    const listed = found.slice(0, limit);
    const last = found.length > limit ? listed.at(-1) : undefined;
    return {
      status: 200,
      body: {
        transactions: listed.map(shown),
        nextCursor: last === undefined ? null : Buffer.from(last.transactionId).toString("base64url"),
      },
    };
  }

  async function answer(request: IncomingMessage, url: URL): Promise<Reply | "silence"> {
    // Counted as it arrives, whatever becomes of it.
    const arrivedAt = now();
    counts.calls += 1;
    arrivals.push(arrivedAt);
    if (arrivals.length > MAX_ARRIVALS_KEPT) arrivals.shift();
    const waitMs = window.arrive(arrivedAt);
    const body = await bodyOf(request);
    if (waitMs !== undefined) return tooMany(waitMs);
    if (body === undefined) return failure(400, "invalid_request", "The body is too large.");
    const fault = signatureFault(request, body, secrets, arrivedAt);
    if (fault !== undefined) {
      counts.badSignatures += 1;
      return fault;
    }
    if (!CORRELATION_ID.test(headerOf(request, "x-correlation-id"))) {
      return failure(400, "invalid_request", "X-Correlation-ID is missing or malformed.");
    }
    const mishap = drawMishap(behaviour, random);
    if (mishap !== "none") counts.mishaps += 1;
    if (behaviour.delayMs > 0) await pause(behaviour.delayMs);
    if (mishap === "throttled") return tooMany(1_000);
    if (mishap === "error-before") return failure(503, "unavailable", "Try again later.");
    const reply = request.method === "POST" ? create(body) : ask(url.searchParams);
    switch (mishap) {
      case "none":
        return reply;
      case "error-after":
        return failure(500, "internal", "Something went wrong.");
      case "timeout":
        await pause(behaviour.timeoutMs);
        return "silence";
    }
  }

  const tooMany = (waitMs: number): Reply =>
    failure(429, "rate_limited", "Too many calls.", { "retry-after": String(Math.ceil(waitMs / 1_000)) });

  async function control(request: IncomingMessage, url: URL): Promise<Reply> {
    const body = parsedJson((await bodyOf(request)) ?? "");
    if (headerOf(request, "x-control-token") !== options.controlToken) return failure(401, "no_control", "Not yours.");
    const [, , what, id = ""] = url.pathname.split("/");
    const changed = (done: boolean): Reply =>
      done
        ? { status: 200, body: { done } }
        : failure(404, "unknown_transaction", "There is no transaction of this id.");
    switch (`${request.method} ${what}`) {
      case "GET status":
        return {
          status: 200,
          body: {
            ...counts,
            violations: window.violations,
            most: window.most,
            transactions: books.count(),
            behaviour,
            arrivals,
          },
        };
      case "PUT behaviour": {
        const parsed = behaviourSchema.safeParse(body);
        if (!parsed.success) return failure(400, "invalid_request", z.prettifyError(parsed.error));
        behave(parsed.data);
        return { status: 200, body: behaviour };
      }
      case "POST transactions": {
        const parsed = inventSchema.safeParse(body);
        if (!parsed.success) return failure(400, "invalid_request", z.prettifyError(parsed.error));
        const { status, createdAt, ...invented } = parsed.data;
        const reason = status === "REJECTED" ? "LIMIT_EXCEEDED" : null;
        const made = books.add(invented, { status, reason, completesAt: null }, createdAt ?? now());
        return { status: 201, body: shown(made) };
      }
      case "PATCH transactions": {
        const parsed = changeSchema.safeParse(body);
        if (!parsed.success) return failure(400, "invalid_request", z.prettifyError(parsed.error));
        const { amountCents, currency, status, type } = parsed.data;
        const fields = {
          ...(amountCents === undefined ? {} : { amountCents }),
          ...(currency === undefined ? {} : { currency }),
          ...(status === undefined ? {} : { status }),
          ...(type === undefined ? {} : { type }),
        };
        return changed(books.change(id, fields));
      }
      case "DELETE transactions":
        return changed(books.drop(id));
      default:
        return failure(404, "not_found", "There is nothing here.");
    }
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://operator");
    let reply: Reply | "silence";
    if (url.pathname === "/health" && request.method === "GET") {
      reply = { status: 200, body: { status: "ok" } };
    } else if (options.controlToken !== undefined && url.pathname.startsWith("/control/")) {
      reply = await control(request, url);
    } else if (url.pathname === "/v2/transactions" && (request.method === "GET" || request.method === "POST")) {
      reply = await answer(request, url);
    } else {
      reply = failure(404, "not_found", "There is nothing here.");
    }
    if (reply === "silence") return void response.destroy();
    const correlationId = headerOf(request, "x-correlation-id");
    response
      .writeHead(reply.status, {
        "content-type": "application/json",
        ...(CORRELATION_ID.test(correlationId) ? { "x-correlation-id": correlationId } : {}),
        ...reply.headers,
      })
      .end(JSON.stringify(reply.body));
  }

  const server = createServer((request, response) => {
    serve(request, response).catch(() => {
      if (response.headersSent) response.destroy();
      else
        response
          .writeHead(500, { "content-type": "application/json" })
          .end('{"error":{"code":"internal","message":"-"}}');
    });
  });
  const port = await listen(server, options.port);
  return {
    url: `http://127.0.0.1:${port}`,
    books,
    window,
    arrivals,
    behave,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const done of [...waiting]) done();
      server.closeIdleConnections();
      await closed;
      books.close();
    },
  };
}

const listen = (server: Server, port: number): Promise<number> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const address: AddressInfo | string | null = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
