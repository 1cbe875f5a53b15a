/** What the tests of running workers share: secrets, a temporary directory, scripts bundled once, signed submits. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as esbuild from "esbuild";
import {
  type BuildFacts,
  bundleWorker,
  projectRoot,
  scriptOf,
  workerBuildOptions,
} from "../../../scripts/lib/bundle.ts";
import { type Answer, call, summaryOf } from "../../../scripts/lib/http.ts";
import type { StackOptions } from "../../../scripts/lib/stack.ts";
import { signProviderPayload } from "../../../src/platform/signature.ts";
import { TEST_SECRETS } from "../../secrets.ts";

export const secrets: Readonly<Record<string, string>> = {
  ...TEST_SECRETS.core,
  ...TEST_SECRETS.relay,
  ...TEST_SECRETS.hub,
};

export const KEYS = {
  workflow: TEST_SECRETS.core.WORKFLOW_API_KEY,
  claims: TEST_SECRETS.core.CLAIMS_API_KEY,
  operator: TEST_SECRETS.core.OPERATOR_API_KEY,
} as const;

export const INSURER_ADDRESS = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";

export const ANY_PORT = { core: 0, hub: 0, relay: 0 } as const;

export interface TemporaryDirectory {
  readonly path: string;
  remove(): void;
}

export function temporaryDirectory(): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), "itrans-e2e-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Each worker is bundled at its first start only. */
export function bundledOnce(): NonNullable<StackOptions["script"]> {
  const scripts = new Map<string, Promise<string>>();
  return (worker, entry, facts) => {
    const held = scripts.get(worker) ?? bundleWorker(entry, facts);
    scripts.set(worker, held);
    return held;
  };
}

export const WIRE = "wire ";

/** The worker, which prints what reaches it from others: URLs of requests, bodies of queue messages. */
export async function tappedWorker(entry: string, facts: BuildFacts): Promise<string> {
  const { entryPoints: _, ...options } = workerBuildOptions(entry, facts);
  const contents = `
    import worker from ${JSON.stringify(entry)};
    export * from ${JSON.stringify(entry)};
    const print = (what) => console.log(${JSON.stringify(WIRE)} + JSON.stringify(what));
    export default {
      ...worker,
      fetch(request, env, context) {
        print({ method: request.method, url: request.url });
        return worker.fetch(request, env, context);
      },
      queue(batch, env, context) {
        print({ queue: batch.queue, messages: batch.messages.map(({ body }) => body) });
        return worker.queue(batch, env, context);
      },
    };`;
  return scriptOf(await esbuild.build({ ...options, stdin: { contents, resolveDir: projectRoot, loader: "js" } }));
}

export const signedSubmit = (offchainPayload: unknown, externalRequestId?: string) => ({
  insurerAddress: INSURER_ADDRESS,
  offchainPayload,
  providerSignature: signProviderPayload(offchainPayload, TEST_SECRETS.core.PROVIDER_SIGNATURE_HMAC_SECRET),
  ...(externalRequestId === undefined ? {} : { externalRequestId }),
});

export const plainPayload = (patientId: string) => ({
  patientId,
  providerId: "provider-1",
  services: [{ code: "11101", description: "Examination", quantity: 1, unitPrice: 120 }],
  totalAmount: 120,
  type: "claim",
});

/** @throws Error with the answer, when it is another than expected. */
export async function expectStatus(status: number, answer: Promise<Answer>): Promise<unknown> {
  const received = await answer;
  if (received.status !== status) throw new Error(`expected ${status}: ${summaryOf(received)}`);
  return received.body;
}

export const post = (url: string, key: string, body: unknown): Promise<Answer> =>
  call(url, { method: "POST", headers: { "x-api-key": key }, body });
