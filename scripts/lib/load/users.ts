/**
 * Virtual users: autocannon's connections, each of which calls, waits for its answer and then for its turn, and draws what it does
 * next from the mix. They arrive in waves, spread over a second, as people do who do not know of one another.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import autocannon from "autocannon";
import * as z from "zod";
import { signProviderPayload } from "../../../src/platform/signature.ts";
import type { Call } from "./gate.ts";
import { CORE_SHARE, chooseOperation, type OperationName } from "./mix.ts";

export interface LoadTarget {
  readonly coreUrl: string;
  readonly hubUrl: string;
  /** A key of core's for a tenant of the load's own, which submits and reads. */
  readonly submitKey: string;
  /** Another, which acknowledges and adjudicates for the insurer's address. */
  readonly insurerKey: string;
  readonly insurerAddress: string;
  readonly providerSecret: string;
  /** Signed in to the hub. */
  readonly cookie: string;
  /** The hub's operator. */
  readonly operatorKey: string;
  readonly patientId: string;
  readonly providerId: string;
  readonly insurerId: string;
}

export interface Users {
  readonly calls: readonly Call[];
  /** Why calls had no answer, and how many. */
  readonly unanswered: ReadonlyMap<string, number>;
  /** Claims that the hub took. */
  claimsFiled(): number;
  /** Resolves when the last answer is there. */
  readonly done: Promise<void>;
  stop(): void;
}

const MAX_REMEMBERED = 5_000;
const WAVES = 20;
const TIMEOUT_S = 20;

const submittedSchema = z.object({ requestIdHash: z.string() });
const filedSchema = z.looseObject({ claimId: z.string() });

interface Request {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What a user has asked for last; autocannon keeps one for each connection. */
interface Asked {
  operation?: OperationName;
  /** What it was about. */
  about?: string;
}

class Memory {
  readonly requests: string[] = [];
  readonly toAcknowledge: string[] = [];
  readonly toAdjudicate: string[] = [];
  readonly claims: string[] = [];

  remember(list: string[], id: string): void {
    list.push(id);
    if (list.length > MAX_REMEMBERED) list.shift();
  }
}

const pick = (list: readonly string[]): string => list[Math.floor(Math.random() * list.length)] ?? "";

function requestFor(operation: OperationName, about: string, target: LoadTarget): Request {
  const reading = { "x-api-key": target.submitKey };
  const insurer = { "x-api-key": target.insurerKey, "content-type": "application/json" };
  const person = { cookie: target.cookie };
  switch (operation) {
    case "submit": {
      const offchainPayload = {
        patientId: "patient-1",
        providerId: "provider-1",
        services: [{ code: "11101", description: "Scaling", quantity: 1, unitPrice: 120 }],
        totalAmount: 120,
        insurerId: "insurer-1",
        notes: "",
        type: "claim",
      };
      const body = JSON.stringify({
        insurerAddress: target.insurerAddress,
        externalRequestId: randomUUID(),
        offchainPayload,
        providerSignature: signProviderPayload(offchainPayload, target.providerSecret),
      });
      return {
        method: "POST",
        path: "/workflow/claims",
        headers: { ...reading, "content-type": "application/json" },
        body,
      };
    }
    case "read":
      return { method: "GET", path: `/workflow/requests/${about}`, headers: reading };
    case "acknowledge":
      return { method: "POST", path: `/workflow/requests/${about}/acknowledge`, headers: insurer, body: "{}" };
    case "adjudicate":
      return {
        method: "POST",
        path: `/workflow/requests/${about}/adjudicate`,
        headers: insurer,
        body: JSON.stringify({ decision: "APPROVED" }),
      };
    case "verify":
      return { method: "GET", path: "/ledger/verify", headers: reading };
    case "relay status":
      return { method: "GET", path: "/relay/workflow/status", headers: reading };
    case "file claim": {
      const { patientId, providerId, insurerId } = target;
      const body = JSON.stringify({
        patientId,
        providerId,
        insurerId,
        type: "claim",
        amount: "120.00",
        currency: "CAD",
        codes: ["11101"],
        notes: "",
      });
      return { method: "POST", path: "/api/claims", headers: { ...person, "content-type": "application/json" }, body };
    }
    case "list claims":
      return { method: "GET", path: "/api/claims", headers: person };
    case "show claim":
      return { method: "GET", path: `/api/claims/${about}`, headers: person };
    case "timeline":
      return { method: "GET", path: `/api/claims/${about}/timeline`, headers: person };
    case "dashboard":
      return { method: "GET", path: "/api/operations/overview", headers: { "x-api-key": target.operatorKey } };
  }
}

const EXPECTED: Readonly<Record<OperationName, number>> = {
  submit: 201,
  read: 200,
  acknowledge: 200,
  adjudicate: 200,
  verify: 200,
  "relay status": 200,
  "file claim": 201,
  "list claims": 200,
  "show claim": 200,
  timeline: 200,
  dashboard: 200,
};

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

export function startUsers(
  target: LoadTarget,
  plan: { readonly users: number; readonly durationMs: number; readonly callsPerSecond: number },
): Users {
  const calls: Call[] = [];
  const unanswered = new Map<string, number>();
  const memory = new Memory();
  const startedAt = performance.now();
  let filed = 0;
  let stopped = false;
  const instances: autocannon.Instance[] = [];

  const take = (operation: OperationName): string => {
    switch (operation) {
      case "acknowledge":
        return memory.toAcknowledge.shift() ?? "";
      case "adjudicate":
        return memory.toAdjudicate.shift() ?? "";
      case "read":
        return pick(memory.requests);
      case "show claim":
      case "timeline":
        return pick(memory.claims);
      default:
        return "";
    }
  };

  /** @returns whether the answer is what the call expects. */
  function learn(operation: OperationName, about: string, status: number, text: string): boolean {
    if (status !== EXPECTED[operation]) return false;
    if (operation === "submit") {
      const submitted = submittedSchema.safeParse(parsed(text));
      if (!submitted.success) return false;
      memory.remember(memory.requests, submitted.data.requestIdHash);
      memory.remember(memory.toAcknowledge, submitted.data.requestIdHash);
    }
    if (operation === "acknowledge") memory.remember(memory.toAdjudicate, about);
    if (operation === "file claim") {
      const body = parsed(text);
      const claim = filedSchema.safeParse(
        typeof body === "object" && body !== null && "claim" in body ? body.claim : body,
      );
      if (!claim.success) return false;
      filed += 1;
      memory.remember(memory.claims, claim.data.claimId);
    }
    return parsed(text) !== undefined;
  }

  function wave(site: "core" | "hub", users: number, durationMs: number): Promise<void> {
    // What an answer was to is told just before how long it took, in the same turn.
    let answered: { readonly operation: OperationName; readonly checked: boolean } | undefined;
    return new Promise((resolve) => {
      const instance = autocannon(
        {
          url: site === "core" ? target.coreUrl : target.hubUrl,
          connections: users,
          connectionRate: plan.callsPerSecond,
          duration: durationMs / 1_000,
          timeout: TIMEOUT_S,
          requests: [
            {
              setupRequest(request: autocannon.Request, asked: Asked) {
                const operation = chooseOperation(
                  site,
                  {
                    requests: memory.requests.length,
                    toAcknowledge: memory.toAcknowledge.length,
                    toAdjudicate: memory.toAdjudicate.length,
                    claims: memory.claims.length,
                  },
                  Math.random(),
                );
                asked.operation = operation;
                asked.about = take(operation);
                const { method, path, headers, body } = requestFor(operation, asked.about, target);
                return { ...request, method, path, headers, ...(body === undefined ? { body: "" } : { body }) };
              },
              onResponse(status: number, body: string, asked: Asked) {
                const { operation, about = "" } = asked;
                if (operation === undefined) return;
                answered = { operation, checked: learn(operation, about, status, body) };
              },
            },
          ],
        },
        () => resolve(),
      );
      instances.push(instance);
      instance.on("response", (_client, status, _bytes, durationMs_) => {
        const atMs = performance.now() - startedAt;
        const { operation = "unknown", checked = false } = answered ?? {};
        answered = undefined;
        calls.push({ operation, atMs, durationMs: durationMs_, status, checked });
      });
      instance.on("reqError", (error: unknown) => {
        const reason = error instanceof Error ? error.message : String(error);
        unanswered.set(reason, (unanswered.get(reason) ?? 0) + 1);
        const atMs = performance.now() - startedAt;
        calls.push({ operation: "no answer", atMs, durationMs: 1_000 * TIMEOUT_S, status: 0, checked: false });
      });
    });
  }

  async function arrive(): Promise<void> {
    const waves = Math.min(WAVES, plan.users);
    const all: Promise<void>[] = [];
    for (let n = 0; n < waves && !stopped; n++) {
      const members = Math.floor(((n + 1) * plan.users) / waves) - Math.floor((n * plan.users) / waves);
      // Waves go to either site in turn, so that the shares hold for few users too.
      const coreSoFar = Math.round(CORE_SHARE * n);
      const site = Math.round(CORE_SHARE * (n + 1)) > coreSoFar ? "core" : "hub";
      const leftMs = plan.durationMs - (performance.now() - startedAt);
      if (leftMs > 0) all.push(wave(site, members, leftMs));
      await sleep(1_000 / waves);
    }
    await Promise.all(all);
  }

  return {
    calls,
    unanswered,
    claimsFiled: () => filed,
    done: arrive(),
    stop() {
      stopped = true;
      for (const instance of instances) instance.stop();
    },
  };
}
