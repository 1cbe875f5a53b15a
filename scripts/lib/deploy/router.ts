/**
 * What Cloudflare does in front of a worker with two versions, for a rehearsal: a request goes to the version that the override
 * header names, if it is deployed, else to one by percentage. While the workers behind it are exchanged, requests wait.
 */
import { createServer, request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { OVERRIDE_HEADER } from "./look.ts";

export interface Route {
  readonly versionId: string;
  readonly port: number;
  readonly percentage: number;
}

/** @returns the answer to give instead of the worker's; undefined: the worker's own. */
export type Plant = (method: string, path: string) => { readonly status: number; readonly body: unknown } | undefined;

export interface Router {
  readonly url: string;
  set(routes: readonly Route[]): void;
  /** What a rehearsal plants: answers in the worker's place. undefined: none. */
  plant(fault: Plant | undefined): void;
  /** Lets what is under way end and holds what comes, until `work` is over. */
  paused<T>(work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

const DRAIN_MS = 5_000;

/** @param roll from 0 up to 100, for each request that names no version. */
export function chooseRoute(
  routes: readonly Route[],
  header: string | undefined,
  name: string,
  roll: number,
): Route | undefined {
  const named = new RegExp(`(?:^|[,\\s])${name.replaceAll("-", "\\-")}="([^"]*)"`).exec(header ?? "")?.[1];
  const wanted = routes.find(({ versionId }) => versionId === named);
  if (wanted !== undefined) return wanted;
  let sum = 0;
  return routes.find(({ percentage }) => {
    sum += percentage;
    return roll < sum;
  });
}

export async function startRouter(name: string, port: number): Promise<Router> {
  let routes: readonly Route[] = [];
  let gate: Promise<void> = Promise.resolve();
  let plant: Plant | undefined;
  let underWay = 0;
  let count = 0;
  const server = createServer((incoming, outgoing) => {
    void gate.then(() => {
      // Evenly over every hundred: a share is kept exactly however few requests there are.
      count = (count + 37) % 100;
      const planted = plant?.(incoming.method ?? "GET", incoming.url ?? "/");
      if (planted !== undefined) {
        incoming.resume();
        outgoing.writeHead(planted.status, { "content-type": "application/json" }).end(JSON.stringify(planted.body));
        return;
      }
      const header = incoming.headers[OVERRIDE_HEADER.toLowerCase()];
      const route = chooseRoute(routes, typeof header === "string" ? header : undefined, name, count);
      if (route === undefined) return void outgoing.writeHead(503).end();
      underWay += 1;
      outgoing.once("close", () => {
        underWay -= 1;
      });
      pass(incoming, outgoing, route.port);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port }, () => resolve());
  });
  return {
    url: `http://127.0.0.1:${port}`,
    set(next) {
      routes = next;
    },
    plant(fault) {
      plant = fault;
    },
    async paused(work) {
      const before = gate;
      let open: () => void = () => {};
      gate = new Promise((resolve) => {
        open = resolve;
      });
      await before;
      try {
        const until = Date.now() + DRAIN_MS;
        while (underWay > 0 && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
        return await work();
      } finally {
        open();
      }
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function pass(incoming: IncomingMessage, outgoing: ServerResponse, port: number): void {
  const { method, url, headers } = incoming;
  // A connection of its own: one that is kept may be closed by the worker just as it is used again.
  const own = { agent: false, headers: { ...headers, connection: "close" } };
  const onward = httpRequest({ host: "127.0.0.1", port, method, path: url, ...own }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  });
  onward.once("error", () => {
    if (!outgoing.headersSent) outgoing.writeHead(502);
    outgoing.end();
  });
  incoming.pipe(onward);
}
