/** A webhook receiver that remembers every post it got. */
import { createServer, type IncomingHttpHeaders } from "node:http";
import * as z from "zod";

const eventSchema = z.looseObject({ eventId: z.string(), eventType: z.string(), requestIdHash: z.string() });

export interface Post {
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly requestIdHash: string;
  /** performance.now() */
  readonly beganAt: number;
  /** When the receiver had done with it, whoever still listened; undefined while it works. */
  endedAt: number | undefined;
  /** What it answered; undefined: it broke the connection off. */
  status: number | undefined;
}

export interface Reply {
  readonly afterMs: number;
  /** Undefined: no answer, the connection is broken off. */
  readonly status: number | undefined;
  readonly body?: unknown;
}

export interface Receiver {
  readonly url: string;
  readonly posts: readonly Post[];
  /** Resolves with the posts once there are as many; @throws after `timeoutMs`. */
  waitFor(count: number, timeoutMs: number): Promise<readonly Post[]>;
  dispose(): Promise<void>;
}

export const accept: Reply = { afterMs: 0, status: 200, body: { ok: true } };

/** @param reply what to do with a post; it is remembered before that. */
export async function startReceiver(reply: (post: Post) => Reply | Promise<Reply> = () => accept): Promise<Receiver> {
  const posts: Post[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", async () => {
      const body = Buffer.concat(chunks).toString("utf8");
      const event = eventSchema.parse(JSON.parse(body));
      const { url = "", headers } = request;
      const { eventId, eventType, requestIdHash } = event;
      const beganAt = performance.now();
      const post: Post = {
        url,
        headers,
        body,
        eventId,
        eventType,
        requestIdHash,
        beganAt,
        endedAt: undefined,
        status: undefined,
      };
      posts.push(post);
      const { afterMs, status, body: answer } = await reply(post);
      // Goes on working when the sender is gone: that is what a real receiver does.
      if (afterMs > 0) await new Promise((resolve) => setTimeout(resolve, afterMs));
      post.endedAt = performance.now();
      post.status = status;
      if (status === undefined) response.destroy();
      else response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer ?? {}));
    });
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  const port = await new Promise<number>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (typeof address === "object" && address !== null) resolve(address.port);
    });
  });
  return {
    url: `http://127.0.0.1:${port}`,
    posts,
    async waitFor(count, timeoutMs) {
      for (const until = performance.now() + timeoutMs; posts.length < count; ) {
        if (performance.now() > until) throw new Error(`${posts.length} of ${count} posts within ${timeoutMs} ms`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return posts;
    },
    async dispose() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
