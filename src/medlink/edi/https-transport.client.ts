/** Carries a message to a real network: https, an allowed host, no redirect, a bound on time and on what is read. */
import { VERSION } from "../../platform/version.ts";
import type { Transport, WireMessage } from "./connector.ts";
import { ediUrlFault } from "./destination.ts";

const MAX_ANSWER_BYTES = 256_000;

export interface HttpsOptions {
  readonly send: (request: Request) => Promise<Response>;
  readonly url: string | undefined;
  readonly allowedHosts: readonly string[];
  readonly environment: Parameters<typeof ediUrlFault>[2];
  readonly apiKey: string | undefined;
  readonly timeoutMs: number;
  readonly correlationId: string;
}

/** One byte a character; the connector sees to it that there is no other. */
const latin1 = (text: string): Uint8Array<ArrayBuffer> => {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
};

const decoded = (bytes: Uint8Array, charset: WireMessage["charset"]): string =>
  charset === "utf-8"
    ? new TextDecoder().decode(bytes)
    : Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

export function makeHttpsTransport(options: HttpsOptions): Transport {
  return async (message) => {
    const fault = ediUrlFault(options.url, options.allowedHosts, options.environment);
    if (fault !== undefined || options.url === undefined) return { type: "refused", code: fault ?? "url_not_set" };
    const { method, path, contentType, charset, body, idempotencyKey } = message;
    const signal = AbortSignal.timeout(options.timeoutMs);
    try {
      const response = await options.send(
        new Request(options.url.replace(/\/+$/, "") + path, {
          method,
          redirect: "manual",
          signal,
          headers: {
            accept: contentType,
            "user-agent": `medlink-hub/${VERSION.version}`,
            "idempotency-key": idempotencyKey,
            "x-correlation-id": options.correlationId,
            ...(body === undefined ? {} : { "content-type": contentType }),
            ...(options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` }),
          },
          ...(body === undefined ? {} : { body: charset === "utf-8" ? body : latin1(body) }),
        }),
      );
      const bytes = await readBounded(response);
      return { type: "answered", status: response.status, text: decoded(bytes, charset) };
    } catch {
      return { type: "silent", code: signal.aborted ? "timeout" : "connection_failed" };
    }
  };
}

/** @throws when there is more than a network has to say: then the outcome is not known. */
async function readBounded(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    if (size > MAX_ANSWER_BYTES) throw new Error("an answer was too long");
    chunks.push(chunk);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.byteLength;
  }
  return whole;
}
