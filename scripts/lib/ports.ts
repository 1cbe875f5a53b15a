import { createServer } from "node:net";
import { Failure } from "./fail.ts";

/** @param port 0: any free one. */
const listenOnce = (port: number): Promise<number | undefined> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(undefined));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => {
      const address = server.address();
      const bound = typeof address === "object" && address !== null ? address.port : undefined;
      server.close(() => resolve(bound));
    });
  });

/**
 * @param wanted port by name; 0 takes a free one.
 * @throws Failure naming every port that is taken.
 */
export async function claimPorts<Name extends string>(
  wanted: Readonly<Partial<Record<Name, number>>>,
): Promise<Partial<Record<Name, number>>> {
  const claimed: Partial<Record<Name, number>> = { ...wanted };
  const taken: string[] = [];
  for (const name in wanted) {
    const port = wanted[name];
    if (port === undefined) continue;
    let bound = await listenOnce(port);
    // Two names must not be given the same free port.
    for (let i = 0; port === 0 && i < 20 && Object.values(claimed).includes(bound); i++) bound = await listenOnce(0);
    if (bound === undefined)
      taken.push(`port ${port} (${name}) is taken: free it, or choose another with --port-${name}`);
    else claimed[name] = bound;
  }
  if (taken.length > 0) throw new Failure(taken.join("; "));
  return claimed;
}
