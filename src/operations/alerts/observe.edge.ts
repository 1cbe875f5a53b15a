/** Looks at the running system: core's own metrics, the hub through its `/metrics`, and whether each part answers. */
import type { CoreEnv } from "../../core/env.ts";
import { verifyStored } from "../../ledger/verify.route.ts";
import { acceptedValues } from "../../platform/secrets.ts";
import type { CoreSettings } from "../../platform/settings.ts";
import { readTotals } from "../metrics.store.ts";
import { metricsOf } from "../metrics.ts";
import { type MetricTotal, parseMetrics } from "../metrics-text.ts";
import { coreGauges } from "../record-metrics.cron.ts";
import type { Observation } from "./observation.ts";
import { isDeliveryOverdue } from "./overdue.store.ts";
import { observe } from "./signals.ts";

const TIMEOUT_MS = 5_000;
/** A relay that runs takes what is due within a minute: the sweep hints once a minute. */
const OVERDUE_MS = 75_000;
const CRON_LATE_MS = 120_000;

async function within<Value>(work: Promise<Value>): Promise<Value | undefined> {
  const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), TIMEOUT_MS));
  return Promise.race([work.catch(() => undefined), late]);
}

async function answersOk(url: string, headers: Readonly<Record<string, string>> = {}): Promise<boolean> {
  try {
    const answer = await fetch(url, { headers, redirect: "manual", signal: AbortSignal.timeout(TIMEOUT_MS) });
    await answer.body?.cancel();
    return answer.status === 200;
  } catch {
    return false;
  }
}

async function hubTotals(hubUrl: string, token: string | undefined): Promise<readonly MetricTotal[] | undefined> {
  if (token === undefined) return undefined;
  try {
    const answer = await fetch(`${hubUrl}/metrics`, {
      headers: { authorization: `Bearer ${token}` },
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (answer.status !== 200) return undefined;
    return parseMetrics(metricsOf("medlink-hub"), await answer.text());
  } catch {
    return undefined;
  }
}

async function coreTotals(
  env: CoreEnv,
  settings: CoreSettings,
  now: number,
): Promise<readonly MetricTotal[] | undefined> {
  const read = Promise.all([readTotals(env.DB, metricsOf("itrans-core")), coreGauges(env, settings, now)]);
  const found = await within(read);
  return found === undefined ? undefined : found.flat();
}

/**
 * @param now epoch ms. @param cronSeenAt when the cron last came, epoch ms.
 * @param scale how many times faster than real the alerts' clock runs.
 */
export async function look(
  env: CoreEnv,
  settings: CoreSettings,
  now: number,
  cronSeenAt: number,
  scale: number,
): Promise<Observation> {
  const { MEDLINK_HUB_URL: hubUrl, RELAY_URL: relayUrl } = settings;
  const token = acceptedValues({ ...env }, "METRICS_SCRAPE_TOKEN")[0];
  const [core, hub, hubHealth, relayHealth, overdue, intact] = await Promise.all([
    coreTotals(env, settings, now),
    hubUrl === undefined ? undefined : hubTotals(hubUrl, token),
    hubUrl === undefined ? undefined : answersOk(`${hubUrl}/api/health`),
    relayUrl === undefined ? true : answersOk(`${relayUrl}/health`),
    within(isDeliveryOverdue(env.DB, now - Math.max(OVERDUE_MS / scale, 5_000))),
    within(verifyStored(env, settings).then(({ status }) => status)),
  ]);
  const watchedAt = hub?.find(({ name }) => name === "medlink_watched_timestamp_seconds")?.value;
  const cronLateMs = Math.max(CRON_LATE_MS / scale, 5_000);
  return observe(
    now,
    { core, hub },
    {
      "core.database": core !== undefined,
      // What can not be read is not wrong: the database's own alert says that it is away.
      ...(intact === undefined || intact === "unverified" ? {} : { "ledger.intact": intact === "valid" }),
      "relay.status": core !== undefined && overdue === false && relayHealth,
      ...(hubHealth === undefined ? {} : { "hub.health": hubHealth, "hub.metrics": hub !== undefined }),
      "cron.on-time": now - cronSeenAt < cronLateMs,
      ...(watchedAt === undefined ? {} : { "hub.cron-on-time": now - watchedAt * 1000 < cronLateMs }),
    },
  );
}
