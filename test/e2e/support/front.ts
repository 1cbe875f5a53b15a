/** An HTTP server between two parties, which does with each call what the test says. */
import { createServer, request as httpRequest, type IncomingHttpHeaders } from "node:http";

export interface FrontCall {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Of all calls, from 0. */
  readonly index: number;
  readonly body: string;
}

export type FrontReply =
  | { readonly type: "pass" }
  | { readonly type: "break" }
  | { readonly type: "late"; readonly ms: number }
  | {
      readonly type: "answer";
      readonly status: number;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: unknown;
    };

export interface Front {
  readonly url: string;
  /** What is done from now on; without one, everything is passed on. */
  behave(reply?: (call: FrontCall) => FrontReply): void;
  dispose(): Promise<void>;
}

/** @param target base URL of what stands behind it; undefined: nothing does, and what is passed on is answered 200. */
export async function startFront(target: () => string | undefined): Promise<Front> {
  const pass: FrontReply = { type: "pass" };
  let reply: (call: FrontCall) => FrontReply = () => pass;
  let index = 0;
  const server = createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
    incoming.on("error", () => {});
    incoming.on("end", () => {
      const { method = "GET", url: path = "/", headers } = incoming;
      const body = Buffer.concat(chunks);
      const decided = reply({ method, path, headers, index: index++, body: body.toString("utf8") });
      const forward = () => {
        const base = target();
        if (base === undefined) {
          outgoing.writeHead(200, { "content-type": "application/json" }).end('{"ok":true}');
          return;
        }
        const { hostname, port } = new URL(base);
        const onward = httpRequest({ hostname, port, method, path, headers }, (answer) => {
          outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(outgoing);
        });
        onward.on("error", () => outgoing.destroy());
        onward.end(body);
      };
      switch (decided.type) {
        case "pass":
          return forward();
        case "break":
          return void outgoing.destroy();
        case "late":
          return void setTimeout(forward, decided.ms);
        case "answer":
          outgoing.writeHead(decided.status, { "content-type": "application/json", ...decided.headers });
          outgoing.end(JSON.stringify(decided.body ?? {}));
      }
    });
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (typeof address === "object" && address !== null) resolve(address.port);
    });
  });
  return {
    url: `http://127.0.0.1:${port}`,
    behave(next) {
      reply = next ?? (() => pass);
    },
    async dispose() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
