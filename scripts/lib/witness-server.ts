/**
 * A witness (c2sp.org/tlog-witness): cosigns a log's checkpoint when it extends every one that it cosigned before.
 *
 * Invariant: for each origin the stored checkpoint only grows, by proof. What was decided on is compared again when it is stored,
 * so that of several witnesses on one state only one cosigns what follows it; what is cosigned is on disk before the
 * cosignature leaves.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { NoteSigner, VerifierKey } from "../../src/ledger/note.ts";
import {
  cosignatureLines,
  decideAddCheckpoint,
  SIZE_CONTENT_TYPE,
  type WitnessDecision,
} from "../../src/ledger/witness.ts";
import { toHex } from "../../src/platform/encoding.ts";
import { WitnessState } from "./witness-state.ts";

/** A checkpoint with many signatures and a proof of 63 hashes fit well. */
const MAX_BODY_BYTES = 100_000;
const MAX_WAITING = 64;

export interface WitnessOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Several witnesses with one key may share it, on one machine. */
  readonly stateFile: string;
  readonly logs: readonly VerifierKey[];
  readonly cosigner: NoteSigner;
  readonly onEvent?: (event: Readonly<Record<string, string | number>>) => void;
}

export interface RunningWitness {
  readonly url: string;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly contentType?: string;
}

export async function startWitness(options: WitnessOptions): Promise<RunningWitness> {
  const logs = new Map<string, readonly VerifierKey[]>();
  for (const key of options.logs) logs.set(key.name, [...(logs.get(key.name) ?? []), key]);
  const state = new WitnessState(options.stateFile);
  state.read();
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  async function addCheckpoint(body: string): Promise<Answer> {
    const known = state.read();
    const decision = await decideAddCheckpoint(body, logs, (origin) => known.get(origin));
    if (decision.type !== "cosign") return refusal(decision);
    const { origin, size, root } = decision.checkpoint;
    const result = state.replace(origin, known.get(origin), { size, rootHash: toHex(root) });
    if (!result.stored) return refusal({ type: "conflict", size: result.instead?.size ?? 0 });
    options.onEvent?.({ event: "cosigned", origin, size });
    return { status: 200, body: await cosignatureLines(decision.text, [options.cosigner]) };
  }

  /** One request at a time, in the order in which their bodies were read. */
  function inTurn(body: string): Promise<Answer> {
    if (waiting >= MAX_WAITING) return Promise.resolve({ status: 503, body: "too many requests are waiting\n" });
    waiting += 1;
    const answer = last
      .then(() => addCheckpoint(body))
      .finally(() => {
        waiting -= 1;
      });
    last = answer.catch(() => undefined);
    return answer;
  }

  async function handle(request: IncomingMessage): Promise<Answer> {
    const path = new URL(request.url ?? "/", "http://witness").pathname;
    if (path !== "/add-checkpoint") return { status: 404, body: "POST /add-checkpoint is all there is\n" };
    if (request.method !== "POST") return { status: 405, body: "use POST\n" };
    const body = await readBody(request);
    return body === undefined ? { status: 413, body: "the body is too large\n" } : inTurn(body);
  }

  const server = createServer((request, response: ServerResponse) => {
    handle(request).then(
      ({ status, body, contentType = "text/plain; charset=utf-8" }) =>
        response.writeHead(status, { "content-type": contentType }).end(body),
      (error: unknown) => {
        options.onEvent?.({ event: "failed", reason: error instanceof Error ? error.message : "unknown" });
        response.writeHead(500, { "content-type": "text/plain; charset=utf-8" }).end("the witness failed\n");
      },
    );
  });
  server.requestTimeout = 10_000;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.host, resolve);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : options.port;
  return {
    url: `http://${options.host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function refusal(decision: Exclude<WitnessDecision, { type: "cosign" }>): Answer {
  switch (decision.type) {
    case "malformed":
      return { status: 400, body: "the request is malformed, or its old size is larger than the checkpoint's\n" };
    case "unknown-origin":
      return { status: 404, body: "the log of this origin is not witnessed here\n" };
    case "bad-signature":
      return { status: 403, body: "the checkpoint is not signed by a key that is trusted for its origin\n" };
    case "conflict":
      return { status: 409, body: `${decision.size}\n`, contentType: SIZE_CONTENT_TYPE };
    case "inconsistent":
      return { status: 422, body: "the consistency proof does not hold\n" };
  }
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
