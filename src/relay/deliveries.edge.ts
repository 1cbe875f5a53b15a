/** Deliveries as an invocation of their own, which the queue's handler calls and which outlives it while receivers keep it waiting. */
import { WorkerEntrypoint } from "cloudflare:workers";
import { makeLog, newUuid, systemNow } from "../platform/clock.edge.ts";
import { correlated } from "../platform/invocation.edge.ts";
import { makeKeyring } from "../platform/keyring.ts";
import { type Log, reasonOf } from "../platform/log.ts";
import { acceptedValues } from "../platform/secrets.ts";
import { parseSettings, type RelaySettings, relaySettingsSchema } from "../platform/settings.ts";
import { LEFT_BEHIND_MS, startDeliveryLoop } from "./delivery-loop.ts";
import type { RelayEnv } from "./env.ts";
import { KnownReceivers } from "./known-receivers.ts";
import type { LeasedDelivery, PostResult } from "./port.ts";
import { pingDestination, postWebhook } from "./post.client.ts";
import type { DeliveriesApi, PingHint } from "./relay.consumer.ts";
import { SigningSecrets } from "./signing-secrets.ts";

const POLL_MS = 200;

/** The platform allows a request 32 calls to workers, this invocation and its pings among them. */
const CORE_CALLS = 24;

/** One per isolate: the environment of an isolate does not change. The value is kept, not its promise, which belongs to one invocation. */
const secretsByEnv = new WeakMap<RelayEnv, SigningSecrets>();

async function signingSecrets(env: RelayEnv, settings: RelaySettings): Promise<SigningSecrets> {
  const held = secretsByEnv.get(env);
  if (held !== undefined) return held;
  const keyring = await makeKeyring(acceptedValues({ ...env }, "DESTINATION_WRAPPING_KEY"), "destination");
  const made = new SigningSecrets(keyring, {
    current: env.RELAY_WEBHOOK_SIGNING_SECRET,
    previous: acceptedValues({ ...env }, "RELAY_WEBHOOK_SIGNING_SECRET")[1],
    itransSignature: settings.RELAY_ITRANS_SIGNATURE,
  });
  secretsByEnv.set(env, made);
  return made;
}

/** The isolate's. */
const receivers = new KnownReceivers();

/**
 * A queue's handler is acknowledged when all that it began has ended, and few run at once: a post that hangs would hold up the hints of
 * every other destination. So the handler calls this entry point, which answers as soon as nothing is under way but posts that take
 * long, and ends those in the time that the platform gives it after its answer.
 */
export class Deliveries extends WorkerEntrypoint<RelayEnv> implements DeliveriesApi {
  /** @throws when core cannot be reached. */
  async deliver(pings: readonly PingHint[]): Promise<void> {
    const parsed = parseSettings(relaySettingsSchema, this.env);
    if (!parsed.ok) throw new Error(parsed.problem.detail);
    const log = correlated(makeLog("itrans-relay", this.env), newUuid());
    const { free, ended } = await startDeliveries(pings, this.env, parsed.settings, log, receivers);
    this.ctx.waitUntil(ended.catch(() => {}));
    await free;
  }
}

export interface StartedDeliveries {
  /** See DeliveryRun. */
  readonly free: Promise<void>;
  /** Pings too have ended then. */
  readonly ended: Promise<void>;
}

/** Delivers until nothing is due. What fails after `free` is logged: its leases run out. */
export async function startDeliveries(
  pings: readonly PingHint[],
  env: RelayEnv,
  settings: RelaySettings,
  log: Log,
  known: KnownReceivers,
): Promise<StartedDeliveries> {
  const startedAt = systemNow();
  const secrets = await signingSecrets(env, settings);
  const run = startDeliveryLoop(
    {
      port: env.CORE,
      post: (delivery) => postSigned(delivery, secrets, log),
      now: systemNow,
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
      receivers: known,
    },
    {
      leaseLimit: settings.RELAY_LEASE_LIMIT,
      slots: settings.RELAY_SLOTS,
      invocationMs: settings.RELAY_INVOCATION_MS,
      pollMs: POLL_MS,
      coreCalls: CORE_CALLS,
    },
  );
  const pinged = Promise.all(pings.map((ping) => answerPing(ping, env, secrets, log)));
  const ended = run.ended.then(
    ({ posted, delivered }) => {
      log(posted === 0 ? "debug" : "info", "relay.delivered", {
        count: delivered,
        size: posted,
        durationMs: systemNow() - startedAt,
      });
    },
    (thrown: unknown) => {
      log("warn", "relay.delivery_failed", { reason: reasonOf(thrown) });
      throw thrown;
    },
  );
  return { free: run.free, ended: Promise.all([ended, pinged]).then(() => {}) };
}

async function postSigned(delivery: LeasedDelivery, secrets: SigningSecrets, log: Log): Promise<PostResult> {
  try {
    return await postWebhook(delivery, await secrets.of(delivery.destination), systemNow());
  } catch (thrown) {
    const { destinationId } = delivery.destination;
    log("error", "relay.not_signed", { destinationId, eventId: delivery.eventId, reason: reasonOf(thrown) });
    return { type: "connection-failed", reason: "the signing secret does not open" };
  }
}

/** Never throws: a ping that fails is asked for again by whoever wants to know. */
async function answerPing(
  { destinationId, pingId }: PingHint,
  env: RelayEnv,
  secrets: SigningSecrets,
  log: Log,
): Promise<void> {
  try {
    const ping = await env.CORE.leasePing(destinationId, pingId);
    if (ping === undefined) return;
    const startedAt = systemNow();
    // Longer it would not outlast the answer to the queue's handler.
    const destination = { ...ping.destination, timeoutMs: Math.min(ping.destination.timeoutMs, LEFT_BEHIND_MS) };
    const result = await pingDestination({ ...ping, destination }, pingId, await secrets.of(destination), startedAt);
    await env.CORE.recordPing(destinationId, pingId, result, systemNow() - startedAt);
  } catch (thrown) {
    log("warn", "relay.ping_failed", { destinationId, reason: reasonOf(thrown) });
  }
}
