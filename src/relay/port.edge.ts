/** The entry point that core offers the relay: the stores, wired to the settings, the clock and the queue. */

import { WorkerEntrypoint } from "cloudflare:workers";
import type { CoreEnv } from "../core/env.ts";
import { recordSightings } from "../keys/secret-ages.store.ts";
import { flushLater, isMeasured, measureOf, metricSink } from "../operations/meter.edge.ts";
import { readTotals, writeMetrics } from "../operations/metrics.store.ts";
import { METRICS, metricsOf, postResultLabel } from "../operations/metrics.ts";
import type { MetricRow } from "../operations/metrics-buffer.ts";
import { renderMetrics } from "../operations/metrics-text.ts";
import { makeLog, systemNow, systemRandom } from "../platform/clock.edge.ts";
import type { SecretSighting } from "../platform/secret-fingerprint.ts";
import { secretsOf } from "../platform/secrets.ts";
import { type CoreSettings, coreSettingsSchema, parseSettings } from "../platform/settings.ts";
import { beginSuspected, claimWake, leaseDue } from "./leases.store.ts";
import { recordOutcomes, type ScheduledRetry, type SettledRow } from "./outcomes.store.ts";
import { pingTarget, recordPing } from "./pings.store.ts";
import type {
  DeliveryOutcome,
  Lease,
  LeasedPing,
  MetricsPortApi,
  PingPortApi,
  PostResult,
  RelayHint,
  RelayPortApi,
} from "./port.ts";
import type { RetryPolicy } from "./retry.ts";

/** What the queue can delay a message by; a later retry is the sweep's. */
const MAX_QUEUE_DELAY_S = 86_400;
const MAX_MESSAGES_A_SEND = 100;
const MAX_LEASE = 500;
const MAX_MEASURED_ROWS = 2_100;

export function retryPolicyOf(settings: CoreSettings): RetryPolicy {
  return {
    maxRetries: settings.RELAY_MAX_RETRIES,
    initialBackoffMs: settings.RELAY_INITIAL_BACKOFF_MS,
    maxBackoffMs: settings.RELAY_MAX_BACKOFF_MS,
    notYetKnownWindowMs: settings.RELAY_NOT_YET_KNOWN_WINDOW_MS,
    afterTimeoutWaitMs: settings.RELAY_AFTER_TIMEOUT_WAIT_MS,
  };
}

/** Hints for retries, one message for all that fall due in the same second. */
export function retryHints(retries: readonly ScheduledRetry[], now: number): readonly MessageSendRequest<RelayHint>[] {
  const bySecond = new Map<number, number[]>();
  for (const { outboxId, dueAt } of retries) {
    const delaySeconds = Math.max(0, Math.ceil((dueAt - now) / 1000));
    if (delaySeconds > MAX_QUEUE_DELAY_S) continue;
    const outboxIds = bySecond.get(delaySeconds);
    if (outboxIds === undefined) bySecond.set(delaySeconds, [outboxId]);
    else outboxIds.push(outboxId);
  }
  return [...bySecond].map(([delaySeconds, outboxIds]) => ({ body: { outboxIds }, delaySeconds }));
}

const log = makeLog("itrans-core");

const settingsByEnv = new WeakMap<CoreEnv, CoreSettings>();

/** @throws Error naming the settings that are wrong. */
function settingsOf(env: CoreEnv): CoreSettings {
  const held = settingsByEnv.get(env);
  if (held !== undefined) return held;
  const parsed = parseSettings(coreSettingsSchema, env);
  if (!parsed.ok) throw new Error(parsed.problem.detail);
  settingsByEnv.set(env, parsed.settings);
  return parsed.settings;
}

export class RelayPort extends WorkerEntrypoint<CoreEnv> implements RelayPortApi, PingPortApi, MetricsPortApi {
  async lease(limit: number, exclude: readonly string[]): Promise<Lease> {
    const bounded = Math.max(1, Math.min(limit, MAX_LEASE));
    return leaseDue(this.env.DB, {
      now: systemNow(),
      limit: bounded,
      perDestination: Math.ceil(bounded / 2),
      exclude,
      afterTimeoutWaitMs: settingsOf(this.env).RELAY_AFTER_TIMEOUT_WAIT_MS,
    });
  }

  async begin(outboxId: number, leaseToken: number): Promise<boolean> {
    return beginSuspected(this.env.DB, outboxId, leaseToken);
  }

  async record(outcomes: readonly DeliveryOutcome[]): Promise<{ readonly recorded: number; readonly due: number }> {
    const now = systemNow();
    const policy = retryPolicyOf(settingsOf(this.env));
    const { recorded, due, retries, breakers, settled } = await recordOutcomes(
      this.env.DB,
      outcomes,
      policy,
      now,
      systemRandom,
    );
    this.#measureOutcomes(outcomes, settled, now);
    for (const { destinationId, change } of breakers) {
      log(change === "open" ? "warn" : "info", `relay.breaker_${change}`, { destinationId });
    }
    const hints = retryHints(retries, now);
    for (let from = 0; from < hints.length; from += MAX_MESSAGES_A_SEND) {
      await this.env.RELAY_QUEUE.sendBatch(hints.slice(from, from + MAX_MESSAGES_A_SEND));
    }
    return { recorded, due };
  }

  /** Of rows changed just now alone: what is recorded twice counts once. The relay's posts are counted here too, without a call of its own. */
  #measureOutcomes(outcomes: readonly DeliveryOutcome[], settled: readonly SettledRow[], now: number): void {
    const core = measureOf("itrans-core", this.env);
    const relay = measureOf("itrans-relay", this.env);
    const rows = new Map(settled.map((row) => [row.outboxId, row]));
    for (const outcome of outcomes) {
      const row = rows.get(outcome.outboxId);
      if (row === undefined) continue;
      const { destinationId: destination, eventType: event } = row;
      core.add("itrans_core_delivery_attempts_total", { destination, outcome: row.outcome });
      if (outcome.type === "posted") {
        relay.add("itrans_relay_posts_total", { result: postResultLabel(outcome.result) });
        relay.observe("itrans_relay_post_duration_seconds", { destination }, outcome.durationMs / 1000);
      }
      if (row.outcome === "delivered") {
        core.observe("itrans_core_delivery_latency_seconds", { event }, (now - row.createdAt) / 1000);
      }
    }
    for (const worker of ["itrans-core", "itrans-relay"] as const) {
      flushLater(worker, this.env, metricSink(this.env), (work) => this.ctx.waitUntil(work));
    }
  }

  async measure(flushId: string, rows: readonly MetricRow[]): Promise<void> {
    if (!isMeasured(this.env)) return;
    const own = rows.slice(0, MAX_MEASURED_ROWS).filter(({ name }) => METRICS[name]?.worker === "itrans-relay");
    await writeMetrics(this.env.DB, flushId, own, systemNow());
  }

  async recordSecrets(sightings: readonly SecretSighting[]): Promise<void> {
    const names = new Set(secretsOf("itrans-relay").map(({ name }) => name));
    const own = sightings.filter(({ name }) => names.has(name));
    await recordSightings(this.env.DB, "itrans-relay", own, systemNow());
  }

  async metrics(): Promise<string> {
    const names = metricsOf("itrans-relay");
    return renderMetrics(names, await readTotals(this.env.DB, names));
  }

  async leasePing(destinationId: string, pingId: string): Promise<LeasedPing | undefined> {
    return pingTarget(this.env.DB, destinationId, pingId, systemNow());
  }

  async recordPing(destinationId: string, pingId: string, result: PostResult, durationMs: number): Promise<void> {
    await recordPing(this.env.DB, destinationId, pingId, result, durationMs, systemNow());
  }

  async wake(delayMs: number): Promise<void> {
    const now = systemNow();
    const delaySeconds = Math.min(MAX_QUEUE_DELAY_S, Math.max(0, Math.ceil(delayMs / 1000)));
    if (!(await claimWake(this.env.DB, now, now + delaySeconds * 1000))) return;
    await this.env.RELAY_QUEUE.send({ outboxIds: [] }, { delaySeconds });
  }
}
