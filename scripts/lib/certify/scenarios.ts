/**
 * The nine scenarios of the webhook contract, against an endpoint as it is: the relay's own code signs, posts, reads the answers and
 * spaces the retries, so what passes here is what will be delivered.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import type { EventType } from "../../../src/relay/event-type.ts";
import { type EventData, type WebhookEvent, webhookBody } from "../../../src/relay/events.ts";
import type { LeasedDelivery, PostResult } from "../../../src/relay/port.ts";
import { postWebhook, webhookHeaders } from "../../../src/relay/post.client.ts";
import { classifyResponse, nextDueAt, type RetryPolicy } from "../../../src/relay/retry.ts";
import type { Signing } from "../../../src/relay/signing-secrets.ts";
import { messageOf } from "../fail.ts";
import { call } from "../http.ts";

export interface CertifyOptions {
  readonly url: string;
  readonly secret: string;
  /** Of the reference receiver, or of an endpoint that offers the same: tells it to answer 503, and counts effects. */
  readonly controlUrl: string | undefined;
  readonly insurerAddress: string;
  readonly timeoutMs: number;
  readonly loadMs: number;
  readonly loadPerMinute: number;
  readonly say: (line: string) => void;
}

export interface ScenarioResult {
  readonly name: string;
  readonly passed: boolean;
  /** What was seen, or what was wrong; one line each. */
  readonly findings: readonly string[];
  readonly ms: number;
  readonly figures?: LoadFigures;
}

export interface LoadFigures {
  readonly posts: number;
  readonly failed: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export const SCENARIOS = [
  "SUBMITTED is received",
  "the signature is verified",
  "a duplicate is answered 200 without effect",
  "a bad signature is refused",
  "acknowledge emits ACKNOWLEDGED",
  "adjudicate APPROVED emits ADJUDICATED",
  "adjudicate DENIED emits ADJUDICATED",
  "503 is retried with backoff",
  "load without error, p99 under 5 s",
] as const;
export type ScenarioName = (typeof SCENARIOS)[number];

const P99_LIMIT_MS = 5_000;
const STALE_MS = 10 * 60_000;
const MAX_IN_FLIGHT = 20;

const RETRIES: RetryPolicy = {
  maxRetries: 8,
  initialBackoffMs: 500,
  maxBackoffMs: 8_000,
  notYetKnownWindowMs: 60_000,
  afterTimeoutWaitMs: 1_000,
};

const hex = (bytes: number): string => randomBytes(bytes).toString("hex");

class Findings {
  readonly lines: string[] = [];
  passed = true;

  note(line: string): void {
    this.lines.push(line);
  }

  /** @returns whether it held. */
  must(held: boolean, line: string): boolean {
    if (!held) this.passed = false;
    this.lines.push(held ? line : `not: ${line}`);
    return held;
  }
}

const describe = (result: PostResult): string =>
  result.type === "answered" ? `answered ${result.status}` : result.type;

const isStatus = (result: PostResult, from: number, to: number): boolean =>
  result.type === "answered" && result.status >= from && result.status <= to;
const accepted = (result: PostResult): boolean => isStatus(result, 200, 299);
const refused = (result: PostResult): boolean => isStatus(result, 400, 499);

const effectsSchema = z.looseObject({ effects: z.number() });

export class Certification {
  readonly #options: CertifyOptions;
  readonly #signing: Signing;

  constructor(options: CertifyOptions) {
    this.#options = options;
    this.#signing = { secrets: [options.secret], itransSecret: options.secret, extraHeaders: {} };
  }

  async run(only: readonly ScenarioName[] = SCENARIOS): Promise<readonly ScenarioResult[]> {
    const results: ScenarioResult[] = [];
    for (const name of SCENARIOS) {
      if (!only.includes(name)) continue;
      const startedAt = performance.now();
      const findings = new Findings();
      let figures: LoadFigures | undefined;
      try {
        figures = await this.#scenario(name, findings);
      } catch (error) {
        findings.must(false, `it ran to its end: ${messageOf(error)}`);
      }
      const ms = Math.round(performance.now() - startedAt);
      const result = { name, passed: findings.passed, findings: findings.lines, ms };
      results.push(figures === undefined ? result : { ...result, figures });
      this.#options.say(`${findings.passed ? "pass" : "FAIL"}  ${name} (${(ms / 1000).toFixed(1)} s)`);
      if (!findings.passed) for (const line of findings.lines) this.#options.say(`        ${line}`);
    }
    return results;
  }

  async #scenario(name: ScenarioName, findings: Findings): Promise<LoadFigures | undefined> {
    switch (name) {
      case "SUBMITTED is received":
        await this.#emits(findings, this.#submitted(this.#newRequest()));
        return undefined;
      case "the signature is verified":
        await this.#verifies(findings);
        return undefined;
      case "a duplicate is answered 200 without effect":
        await this.#deduplicates(findings);
        return undefined;
      case "a bad signature is refused":
        await this.#refusesBadSignatures(findings);
        return undefined;
      case "acknowledge emits ACKNOWLEDGED":
        await this.#afterSubmission(findings, "REQUEST_ACKNOWLEDGED");
        return undefined;
      case "adjudicate APPROVED emits ADJUDICATED":
        await this.#afterSubmission(findings, "REQUEST_ADJUDICATED", "APPROVED");
        return undefined;
      case "adjudicate DENIED emits ADJUDICATED":
        await this.#afterSubmission(findings, "REQUEST_ADJUDICATED", "DENIED");
        return undefined;
      case "503 is retried with backoff":
        await this.#retries(findings);
        return undefined;
      case "load without error, p99 under 5 s":
        return this.#load(findings);
    }
  }

  #newRequest(): string {
    return `0x${hex(32)}`;
  }

  #event(requestIdHash: string, eventType: EventType, data: EventData): LeasedDelivery {
    const entryHash = hex(32);
    const event: WebhookEvent = {
      eventId: `31337:0x${entryHash}:0:INSURER`,
      eventType,
      requestIdHash,
      occurredAt: Math.floor(Date.now() / 1000),
      data,
      ledger: { id: "certification", seq: 0, entryHash },
    };
    const chain = {
      chainId: 31_337,
      contractAddress: `0x${hex(20)}`,
      blockNumber: 1,
      blockHash: `0x${hex(32)}`,
      txHash: `0x${hex(32)}`,
      logIndex: 0,
    };
    const { url, timeoutMs } = this.#options;
    return {
      outboxId: 0,
      leaseToken: 0,
      startBeforeMs: 0,
      eventId: event.eventId,
      eventType,
      body: webhookBody(event, chain),
      correlationId: `certify-${hex(6)}`,
      attempts: 0,
      destination: { destinationId: "certification", kind: "INSURER", url, timeoutMs, sealedSecret: undefined },
    };
  }

  #submitted(requestIdHash: string): LeasedDelivery {
    return this.#event(requestIdHash, "REQUEST_SUBMITTED", {
      payloadHash: `0x${hex(32)}`,
      submitter: `0x${hex(20)}`,
      insurer: this.#options.insurerAddress,
      requestType: "CLAIM",
    });
  }

  #post(delivery: LeasedDelivery, signing = this.#signing, timestampMs = Date.now()): Promise<PostResult> {
    return postWebhook(delivery, signing, timestampMs);
  }

  async #emits(findings: Findings, delivery: LeasedDelivery): Promise<boolean> {
    const result = await this.#post(delivery);
    return findings.must(accepted(result), `${delivery.eventType} is taken with 2xx (${describe(result)})`);
  }

  async #afterSubmission(
    findings: Findings,
    eventType: "REQUEST_ACKNOWLEDGED" | "REQUEST_ADJUDICATED",
    decision?: "APPROVED" | "DENIED",
  ): Promise<void> {
    const request = this.#newRequest();
    const insurer = this.#options.insurerAddress;
    const steps = [this.#submitted(request), this.#event(request, "REQUEST_ACKNOWLEDGED", { insurer })];
    if (eventType === "REQUEST_ADJUDICATED" && decision !== undefined) {
      steps.push(this.#event(request, eventType, { insurer, decision, decisionHash: `0x${hex(32)}` }));
    }
    for (const step of steps.slice(0, -1)) {
      const result = await this.#post(step);
      if (!accepted(result)) findings.note(`${step.eventType} before it was not taken (${describe(result)})`);
    }
    const last = steps.at(-1);
    if (last !== undefined) await this.#emits(findings, last);
  }

  async #verifies(findings: Findings): Promise<void> {
    await this.#emits(findings, this.#submitted(this.#newRequest()));
    const original = this.#submitted(this.#newRequest());
    const now = Date.now();
    const headers = webhookHeaders(original, this.#signing, now);
    const changed = await call(this.#options.url, {
      method: "POST",
      headers,
      // Parsed and written again with one more key: the signature is of other bytes.
      body: { ...z.looseObject({}).parse(JSON.parse(original.body)), changed: true },
      timeoutMs: this.#options.timeoutMs,
    });
    findings.must(
      changed.status >= 400 && changed.status <= 499,
      `a body changed after signing is refused with 4xx (answered ${changed.status})`,
    );
    const old = await this.#post(this.#submitted(this.#newRequest()), this.#signing, now - STALE_MS);
    findings.must(refused(old), `a signature ten minutes old is refused with 4xx (${describe(old)})`);
  }

  async #refusesBadSignatures(findings: Findings): Promise<void> {
    const secret = hex(24);
    const wrong = await this.#post(this.#submitted(this.#newRequest()), {
      secrets: [secret],
      itransSecret: secret,
      extraHeaders: {},
    });
    findings.must(refused(wrong), `another secret's signature is refused with 4xx (${describe(wrong)})`);
    const delivery = this.#submitted(this.#newRequest());
    const none = await call(this.#options.url, {
      method: "POST",
      headers: { "idempotency-key": delivery.eventId, "x-itrans-relay-event-id": delivery.eventId },
      body: JSON.parse(delivery.body),
      timeoutMs: this.#options.timeoutMs,
    });
    findings.must(
      none.status >= 400 && none.status <= 499,
      `no signature at all is refused with 4xx (answered ${none.status})`,
    );
  }

  async #deduplicates(findings: Findings): Promise<void> {
    const delivery = this.#submitted(this.#newRequest());
    const before = await this.#effects();
    await this.#emits(findings, delivery);
    const second = await this.#post(delivery);
    findings.must(accepted(second), `the same event again is answered 2xx (${describe(second)})`);
    const three = await Promise.all([this.#post(delivery), this.#post(delivery), this.#post(delivery)]);
    findings.must(three.every(accepted), `three at once are answered 2xx (${three.map(describe).join(", ")})`);
    const after = await this.#effects();
    if (before === undefined || after === undefined) {
      findings.note("whether it has no effect cannot be seen from outside: look at the claim, or give --control");
    } else {
      findings.must(after - before === 1, `it had one effect (${after - before})`);
    }
  }

  async #effects(): Promise<number | undefined> {
    const { controlUrl } = this.#options;
    if (controlUrl === undefined) return undefined;
    return effectsSchema.parse((await call(controlUrl)).body).effects;
  }

  /**
   * Two answers of 503, then the endpoint. With a control address it is the endpoint itself that answers them; without one they are
   * imagined, and what is seen is that an event comes late, with the same id and a new signature.
   */
  async #retries(findings: Findings): Promise<void> {
    const { controlUrl } = this.#options;
    const times = 2;
    if (controlUrl !== undefined) await call(controlUrl, { method: "PUT", body: { unavailable: times } });
    else findings.note(`the endpoint was not made to answer 503 (no --control): ${times} answers were stood in for it`);
    const before = await this.#effects();
    const delivery = this.#submitted(this.#newRequest());
    const waits: number[] = [];
    try {
      for (let attempts = 0; ; attempts++) {
        const standIn: PostResult = { type: "answered", status: 503, retryAfter: undefined, retryable: false };
        const result = controlUrl === undefined && attempts < times ? standIn : await this.#post(delivery);
        const now = Date.now();
        const state = { attempts, notYetKnownSince: undefined };
        const meaning = classifyResponse(result, state, RETRIES, now);
        if (meaning.type !== "retry") {
          const answeredIn = `after ${attempts} answers of 503 the event is taken with 2xx (${describe(result)})`;
          findings.must(meaning.type === "delivered", answeredIn);
          break;
        }
        if (attempts >= times) findings.note(`attempt ${attempts + 1}: ${describe(result)}`);
        // Not full jitter: the gaps are to be seen growing.
        const waitMs = nextDueAt(meaning, state, RETRIES, now, () => 0.999) - now;
        waits.push(waitMs);
        await sleep(waitMs);
      }
    } finally {
      if (controlUrl !== undefined) await call(controlUrl, { method: "PUT", body: { unavailable: 0 } });
    }
    const after = await this.#effects();
    if (before !== undefined && after !== undefined) {
      findings.must(after - before === 1, `it had one effect (${after - before})`);
    }
    findings.must(waits.length >= times, `it was tried again ${times} times (${waits.length})`);
    const growing = waits.every((wait, i) => i === 0 || wait > (waits[i - 1] ?? 0));
    findings.must(growing, `each gap is longer than the one before (${waits.map((wait) => `${wait} ms`).join(", ")})`);
  }

  async #load(findings: Findings): Promise<LoadFigures> {
    const { loadMs, loadPerMinute, say } = this.#options;
    const gapMs = 60_000 / loadPerMinute;
    const startedAt = performance.now();
    const durations: number[] = [];
    const failures = new Map<string, number>();
    const inFlight = new Set<Promise<void>>();
    let posts = 0;
    let saidAt = startedAt;
    while (performance.now() - startedAt < loadMs) {
      const delivery = this.#submitted(this.#newRequest());
      const began = performance.now();
      posts += 1;
      const one = this.#post(delivery).then((result) => {
        durations.push(performance.now() - began);
        if (!accepted(result)) failures.set(describe(result), (failures.get(describe(result)) ?? 0) + 1);
        inFlight.delete(one);
      });
      inFlight.add(one);
      if (inFlight.size >= MAX_IN_FLIGHT) await Promise.race(inFlight);
      const nextAt = startedAt + posts * gapMs;
      await sleep(Math.max(0, nextAt - performance.now()));
      if (performance.now() - saidAt >= 10_000) {
        saidAt = performance.now();
        say(`      load: ${Math.round((saidAt - startedAt) / 1000)} of ${Math.round(loadMs / 1000)} s, ${posts} posts`);
      }
    }
    await Promise.all(inFlight);
    const sorted = durations.toSorted((a, b) => a - b);
    const at = (share: number) => Math.round(sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0);
    const failed = [...failures.values()].reduce((sum, count) => sum + count, 0);
    const figures = {
      posts,
      failed,
      seconds: Math.round((performance.now() - startedAt) / 100) / 10,
      p50Ms: at(0.5),
      p95Ms: at(0.95),
      p99Ms: at(0.99),
      maxMs: at(1),
    };
    const kinds = [...failures].map(([kind, count]) => `${count} ${kind}`).join(", ");
    findings.must(
      failed === 0,
      `${posts} posts in ${figures.seconds} s without an error${kinds === "" ? "" : ` (${kinds})`}`,
    );
    findings.must(figures.p99Ms < P99_LIMIT_MS, `p99 is under ${P99_LIMIT_MS} ms (${figures.p99Ms} ms)`);
    return figures;
  }
}
