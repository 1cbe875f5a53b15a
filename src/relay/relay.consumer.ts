/** The relay's queue handlers. Messages are hints: what is due is read from core, and what a message names is never looked at. */
import { systemNow } from "../platform/clock.edge.ts";
import { makeKeyring } from "../platform/keyring.ts";
import { type Log, reasonOf } from "../platform/log.ts";
import { acceptedValues } from "../platform/secrets.ts";
import type { RelaySettings } from "../platform/settings.ts";
import { runDeliveryLoop } from "./delivery-loop.ts";
import type { RelayEnv } from "./env.ts";
import type { LeasedDelivery, PostResult, RelayHint } from "./port.ts";
import { pingDestination, postWebhook } from "./post.client.ts";
import { SigningSecrets } from "./signing-secrets.ts";

const POLL_MS = 200;

/** One per isolate: the environment of an isolate does not change. */
const secretsByEnv = new WeakMap<RelayEnv, Promise<SigningSecrets>>();

function signingSecrets(env: RelayEnv, settings: RelaySettings): Promise<SigningSecrets> {
  const held = secretsByEnv.get(env);
  if (held !== undefined) return held;
  const made = makeKeyring(acceptedValues({ ...env }, "DESTINATION_WRAPPING_KEY"), "destination").then(
    (keyring) =>
      new SigningSecrets(keyring, {
        current: env.RELAY_WEBHOOK_SIGNING_SECRET,
        previous: acceptedValues({ ...env }, "RELAY_WEBHOOK_SIGNING_SECRET")[1],
        itransSignature: settings.RELAY_ITRANS_SIGNATURE,
      }),
  );
  secretsByEnv.set(env, made);
  return made;
}

/**
 * Delivers until nothing is due.
 * @throws when core cannot be reached: the batch is then retried, and in the end the sweep brings the work back.
 */
export async function consumeHints(
  batch: MessageBatch<RelayHint>,
  env: RelayEnv,
  settings: RelaySettings,
  log: Log,
): Promise<void> {
  const startedAt = systemNow();
  const secrets = await signingSecrets(env, settings);
  const pings = Promise.all(
    batch.messages.flatMap(({ body: { ping } }) => (ping === undefined ? [] : [answerPing(ping, env, secrets, log)])),
  );
  const summary = await runDeliveryLoop(
    {
      port: env.CORE,
      post: (delivery) => postSigned(delivery, secrets, log),
      now: systemNow,
      sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    },
    {
      leaseLimit: settings.RELAY_LEASE_LIMIT,
      slots: settings.RELAY_SLOTS,
      invocationMs: settings.RELAY_INVOCATION_MS,
      pollMs: POLL_MS,
    },
  );
  await pings;
  batch.ackAll();
  if (summary.posted > 0) {
    const durationMs = systemNow() - startedAt;
    log("info", "relay.delivered", { queue: batch.queue, count: summary.delivered, size: summary.posted, durationMs });
  }
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
  { destinationId, pingId }: NonNullable<RelayHint["ping"]>,
  env: RelayEnv,
  secrets: SigningSecrets,
  log: Log,
): Promise<void> {
  try {
    const ping = await env.CORE.leasePing(destinationId, pingId);
    if (ping === undefined) return;
    const startedAt = systemNow();
    const result = await pingDestination(ping, pingId, await secrets.of(ping.destination), startedAt);
    await env.CORE.recordPing(destinationId, pingId, result, systemNow() - startedAt);
  } catch (thrown) {
    log("warn", "relay.ping_failed", { destinationId, reason: reasonOf(thrown) });
  }
}

/** Hints that failed time after time. Nothing is lost with them: the sweep finds the rows and sends new ones. */
export function consumeDeadHints(batch: MessageBatch<RelayHint>, log: Log): void {
  log("warn", "relay.hints_given_up", { queue: batch.queue, count: batch.messages.length });
  batch.ackAll();
}
