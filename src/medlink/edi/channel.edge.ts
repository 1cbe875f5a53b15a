/** One connector with what carries its messages, and the breaker before it. */

import { readBreaker, saveBreaker } from "../auto-submit/core-breaker.store.ts";
import type { BreakerLimits } from "../auto-submit/core-breaker.ts";
import { jobsAllowed, observe } from "../auto-submit/core-breaker.ts";
import { DECIDE_AGAIN_LIMIT } from "../batch.store.ts";
import type { Hub } from "../hub.edge.ts";
import { makeCdanet } from "./cdanet/cdanet.ts";
import type { ConnectorName, EdiConnector, Finding, MessageKind, Outgoing, Reply, WireResult } from "./connector.ts";
import { type EdiMode, ediModeOf, ediUrlFault, hostsOf } from "./destination.ts";
import { eclaims } from "./eclaims.ts";
import type { EdiExchange } from "./exchange.ts";
import { exchangeInsert } from "./exchanges.store.ts";
import { makeHttpsTransport } from "./https-transport.client.ts";
import { portal } from "./portal.ts";
import { makeSandboxTransport } from "./sandbox.edge.ts";

export interface Channel {
  readonly connector: EdiConnector;
  readonly mode: EdiMode;
  readonly url: string | undefined;
  /** Why nothing can be sent, as a closed code. */
  readonly fault: string | undefined;
}

function connectorOf(hub: Hub, name: ConnectorName): EdiConnector {
  const { settings } = hub;
  switch (name) {
    case "cdanet":
      return makeCdanet({
        prefix: settings.EDI_CDANET_PREFIX,
        softwareId: settings.EDI_CDANET_SOFTWARE_ID,
        officeNumber: settings.EDI_CDANET_OFFICE_NUMBER,
      });
    case "eclaims":
      return eclaims;
    case "portal":
      return portal;
  }
}

export function channelOf(hub: Hub, name: ConnectorName): Channel {
  const { settings } = hub;
  const mode = ediModeOf(settings);
  const url = { cdanet: settings.EDI_CDANET_URL, eclaims: settings.EDI_ECLAIMS_URL, portal: settings.EDI_PORTAL_URL }[
    name
  ];
  const fault = {
    sandbox: () => undefined,
    refused: () => "production_not_enabled",
    production: () => ediUrlFault(url, hostsOf(settings.EDI_ALLOWED_HOSTS), settings.ENVIRONMENT),
  }[mode]();
  return { connector: connectorOf(hub, name), mode, url, fault };
}

/** What an exchange is about. `clinicId` is `hub` where it is of no clinic. */
export interface Subject {
  readonly clinicId: string;
  readonly claimId: string | undefined;
  readonly transactionId: string | undefined;
  readonly correlationId: string;
}

/** Failures in a row that open the breaker; from opening to the probe, doubling up to the second. */
const BREAKER: BreakerLimits = { outagesToOpen: 5, probeDelayMs: 10_000, maxProbeDelayMs: 300_000, window: 1 };

const breakerName = (channel: Channel): string => `edi:${channel.connector.name}`;

export const readChannelBreaker = async (hub: Hub, channel: Channel) =>
  (await readBreaker(hub.db, breakerName(channel))).breaker;

/**
 * Whether a message may leave now. An open breaker lets one through when its time has come: who moves the next probe's time
 * first. The sandbox has no breaker: its fates follow from its own count alone.
 */
export async function isAdmitted(hub: Hub, channel: Channel): Promise<boolean> {
  if (channel.fault !== undefined) return false;
  if (channel.mode !== "production") return true;
  const now = hub.now();
  const read = await readBreaker(hub.db, breakerName(channel));
  if (jobsAllowed(read.breaker, BREAKER, now) === 0) return false;
  if (read.breaker.type !== "open") return true;
  const probing = { ...read.breaker, probeAt: now + hub.settings.EDI_TIMEOUT_MS };
  return saveBreaker(hub.db, read, probing, now, breakerName(channel));
}

async function recordReachability(hub: Hub, channel: Channel, startedAt: number, result: WireResult): Promise<void> {
  if (channel.mode !== "production" || result.type === "refused") return;
  const reached = result.type === "answered" && result.status < 500;
  for (let round = 0; round < DECIDE_AGAIN_LIMIT; round++) {
    const now = hub.now();
    const read = await readBreaker(hub.db, breakerName(channel));
    // The probe's own claim moved the time of the next one: its answer counts all the same.
    const breaker =
      read.breaker.type === "open" ? { ...read.breaker, probeAt: Math.min(read.breaker.probeAt, now) } : read.breaker;
    const next = observe(breaker, { reached, startedAt }, BREAKER, now);
    if (next === breaker || (await saveBreaker(hub.db, read, next, now, breakerName(channel)))) return;
  }
}

const outcomeOf = (finding: Finding): { readonly outcome: string; readonly ok: boolean } => {
  switch (finding.type) {
    case "acknowledged":
      return { outcome: "acknowledged", ok: true };
    case "adjudicated":
      return { outcome: finding.decision, ok: true };
    case "rejected":
      return { outcome: finding.code, ok: true };
    case "notTaken":
    case "unknown":
      return { outcome: finding.code, ok: false };
    case "notFound":
      return { outcome: "not_found", ok: true };
    case "nothing":
      return { outcome: "nothing", ok: true };
  }
};

const sizeOf = (text: string | undefined, charset: string): number =>
  text === undefined ? 0 : charset === "utf-8" ? new TextEncoder().encode(text).byteLength : text.length;

function logRow(
  hub: Hub,
  channel: Channel,
  outgoing: Outgoing,
  subject: Subject,
  row: Pick<EdiExchange, "direction" | "messageType" | "outcome" | "ok" | "status" | "durationMs"> & {
    readonly text: string | undefined;
  },
): D1PreparedStatement {
  const { text, ...rest } = row;
  return exchangeInsert(hub.db, {
    ...subject,
    ...rest,
    connector: channel.connector.name,
    mode: channel.mode,
    kind: outgoing.kind,
    sizeBytes: sizeOf(text, outgoing.message.charset),
    messageHash: text === undefined || text === "" ? undefined : hub.fields.hash("message", subject.clinicId, text),
    at: hub.now(),
  });
}

export interface Exchanged {
  readonly kind: MessageKind;
  readonly reply: Reply;
  readonly outcome: string;
  readonly ok: boolean;
  readonly status: number | undefined;
  readonly durationMs: number;
  /** The row of the answer, for the batch that applies it. */
  readonly logged: D1PreparedStatement;
}

/**
 * Sends one message and reads its answer. `before` is written in one batch with the message's log row, before it leaves: no
 * message goes out unseen. Whatever happens to it is a finding, never an exception.
 */
export async function exchange(
  hub: Hub,
  channel: Channel,
  outgoing: Outgoing,
  subject: Subject,
  before: readonly D1PreparedStatement[] = [],
): Promise<Exchanged> {
  const { connector, mode } = channel;
  const { message, messageType } = outgoing;
  const sent = { direction: "out", messageType, outcome: "sent", ok: true, status: undefined } as const;
  const row = logRow(hub, channel, outgoing, subject, { ...sent, durationMs: undefined, text: message.body });
  await hub.db.batch([...before, row]);
  const transport =
    mode === "sandbox"
      ? makeSandboxTransport(hub, connector.name, subject.clinicId)
      : makeHttpsTransport({
          send: hub.edi.send,
          url: mode === "production" ? channel.url : undefined,
          allowedHosts: hostsOf(hub.settings.EDI_ALLOWED_HOSTS),
          environment: hub.settings.ENVIRONMENT,
          apiKey: hub.edi.keys[connector.name],
          timeoutMs: hub.settings.EDI_TIMEOUT_MS,
          correlationId: subject.correlationId,
        });
  const startedAt = hub.now();
  const result = await transport(message);
  const durationMs = hub.now() - startedAt;
  await recordReachability(hub, channel, startedAt, result);
  const reply = replyOf(outgoing, result);
  const { outcome, ok } = outcomeOf(reply.finding);
  const status = result.type === "answered" ? result.status : undefined;
  const text = result.type === "answered" ? result.text : undefined;
  hub.log(ok ? "info" : "warn", "edi.exchange", {
    correlationId: subject.correlationId,
    destinationId: connector.name,
    method: outgoing.kind,
    code: outcome,
    durationMs,
    size: sizeOf(text, message.charset),
    ...(status === undefined ? {} : { status }),
  });
  const answer = { direction: "in", messageType: reply.messageType, outcome, ok, status, durationMs, text } as const;
  return {
    kind: outgoing.kind,
    reply,
    outcome,
    ok,
    status,
    durationMs,
    logged: logRow(hub, channel, outgoing, subject, answer),
  };
}

function replyOf(outgoing: Outgoing, result: WireResult): Reply {
  const none = (finding: Finding): Reply => ({ about: undefined, messageType: "none", finding });
  switch (result.type) {
    case "answered":
      return outgoing.read(result);
    case "refused":
      return none({ type: "notTaken", code: result.code });
    case "silent":
      return none({ type: "unknown", code: result.code });
  }
}
