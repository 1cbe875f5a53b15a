/** PagerDuty, Slack and an e-mail API, as their senders meet them: on loopback, and strict about what they take. */
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";

/** Each can be rotated: what follows the first letter, the last slash or the last hyphen is free. */
const ROUTING_KEY = "R0123456789ABCDEFGHIJKLMNOPQRSTU";
const EMAIL_KEY = "email-api-key-for-tests-9b1f4a";
const SLACK_PATH = "/services/T000/B000/";

/** Events API v2: a trigger says what happened, the other two only name it. */
const pagerDutySchema = z.strictObject({
  routing_key: z.string().regex(/^R[0-9A-Za-z]{31}$/),
  event_action: z.enum(["trigger", "acknowledge", "resolve"]),
  dedup_key: z.string().min(1).max(255),
  client: z.string().optional(),
  client_url: z.url().optional(),
  payload: z.strictObject({
    summary: z.string().min(1).max(1_024),
    source: z.string().min(1),
    severity: z.enum(["critical", "error", "warning", "info"]),
    timestamp: z.iso.datetime(),
    component: z.string().min(1),
    group: z.string().optional(),
    class: z.string().optional(),
    custom_details: z.record(z.string(), z.unknown()),
  }),
  links: z.array(z.strictObject({ href: z.url(), text: z.string() })).optional(),
  images: z.array(z.unknown()).optional(),
});
const slackSchema = z.strictObject({ text: z.string().min(1).max(40_000) });
const emailSchema = z.strictObject({
  from: z.string().min(3),
  to: z.array(z.email()).min(1),
  subject: z.string().min(1).max(200),
  text: z.string().min(1),
});

export type ChannelName = "pagerduty" | "slack" | "email";
export const CHANNEL_NAMES: readonly ChannelName[] = ["pagerduty", "slack", "email"];

export type Kind = "opened" | "escalated" | "acknowledged" | "resolved" | "test";

export interface Heard {
  readonly channel: ChannelName;
  readonly kind: Kind;
  readonly alert: string;
  /** PagerDuty alone. */
  readonly dedupKey: string | undefined;
  readonly severity: string | undefined;
  /** E-mail alone. */
  readonly to: readonly string[];
  readonly text: string;
  /** performance.now() */
  readonly at: number;
}

/** What a receiver does instead of taking a message. */
export type Refusal = { readonly status: number } | { readonly hang: true };

export interface AlertReceivers {
  readonly settings: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
  readonly heard: readonly Heard[];
  /** What was not as its receiver's documentation asks. */
  readonly faults: readonly string[];
  /** Posts that were refused, by channel. */
  readonly refused: readonly ChannelName[];
  /** The next posts to a channel are answered so, one after the other. */
  refuse(channel: ChannelName, refusals: readonly Refusal[]): void;
  dispose(): Promise<void>;
}

const KINDS: readonly (readonly [RegExp, Kind])[] = [
  [/nobody has acknowledged: /, "escalated"],
  [/\] Acknowledged: /, "acknowledged"],
  [/\] Resolved: /, "resolved"],
  [/\] Test: /, "test"],
  [/\] S[1-4]: /, "opened"],
];

const kindOf = (text: string): Kind | undefined => KINDS.find(([pattern]) => pattern.test(text))?.[1];
const alertOf = (text: string): string | undefined => /^Runbook: \S*#([a-z-]+)$/m.exec(text)?.[1];

const CONTACTS = [
  { role: "on-call-primary", name: "Primary", email: "primary@clinic.test", slack: "U0PRIMARY" },
  { role: "on-call-secondary", name: "Secondary", email: "secondary@clinic.test", slack: "U0SECOND" },
  { role: "engineering-lead", name: "Lead", email: "lead@clinic.test" },
  { role: "vp-engineering", name: "Vice President", email: "vp@clinic.test" },
];

export async function startAlertReceivers(): Promise<AlertReceivers> {
  const heard: Heard[] = [];
  const faults: string[] = [];
  const refused: ChannelName[] = [];
  const refusals: Record<ChannelName, Refusal[]> = { pagerduty: [], slack: [], email: [] };

  const take = (channel: ChannelName, authorization: string | undefined, body: string): void => {
    const at = performance.now();
    if (channel === "pagerduty") {
      const event = pagerDutySchema.parse(JSON.parse(body));
      const { summary, component, severity } = event.payload;
      const kind = kindOf(summary);
      const action = { trigger: "opened", acknowledge: "acknowledged", resolve: "resolved" }[event.event_action];
      if (kind !== action && kind !== "test") throw new Error(`${event.event_action} of "${summary}"`);
      if (kind === undefined) throw new Error(`a summary that says nothing: ${summary}`);
      heard.push({ channel, kind, alert: component, dedupKey: event.dedup_key, severity, to: [], text: summary, at });
      return;
    }
    const parsed = channel === "slack" ? undefined : emailSchema.parse(JSON.parse(body));
    if (channel === "email" && !/^Bearer email-api-key-for-tests-\w+$/.test(authorization ?? ""))
      throw new Error("no key");
    const text = parsed === undefined ? slackSchema.parse(JSON.parse(body)).text : `${parsed.subject}\n${parsed.text}`;
    const kind = kindOf(text);
    const alert = alertOf(text);
    if (kind === undefined || alert === undefined) throw new Error(`says nothing: ${text}`);
    heard.push({ channel, kind, alert, dedupKey: undefined, severity: undefined, to: parsed?.to ?? [], text, at });
  };

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", async () => {
      const byPath: Readonly<Record<string, ChannelName>> = {
        "/v2/enqueue": "pagerduty",
        "/email": "email",
      };
      const path = request.url ?? "";
      const channel = path.startsWith(SLACK_PATH) ? "slack" : byPath[path];
      if (channel === undefined || request.method !== "POST") return response.writeHead(404).end();
      const refusal = refusals[channel].shift();
      if (refusal !== undefined) {
        refused.push(channel);
        if ("hang" in refusal) {
          await sleep(30_000, undefined, { ref: false });
          return response.destroy();
        }
        return response.writeHead(refusal.status).end();
      }
      try {
        take(channel, request.headers.authorization, Buffer.concat(chunks).toString("utf8"));
      } catch (error) {
        faults.push(`${channel}: ${String(error).slice(0, 400)}`);
        return response.writeHead(400).end();
      }
      if (channel === "pagerduty") response.writeHead(202).end(JSON.stringify({ status: "success" }));
      else response.writeHead(200).end("ok");
    });
  });
  server.on("clientError", (_error, socket) => socket.destroy());
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (typeof address === "object" && address !== null) resolve(address.port);
    });
  });
  const url = `http://127.0.0.1:${port}`;
  return {
    settings: {
      PAGERDUTY_EVENTS_URL: `${url}/v2/enqueue`,
      PAGERDUTY_FROM_GRADE: "info",
      EMAIL_API_URL: `${url}/email`,
      ALERT_CONTACTS: JSON.stringify(CONTACTS),
    },
    secrets: {
      PAGERDUTY_ROUTING_KEY: ROUTING_KEY,
      SLACK_WEBHOOK_URL: `${url}${SLACK_PATH}for-tests`,
      EMAIL_API_KEY: EMAIL_KEY,
    },
    heard,
    faults,
    refused,
    refuse: (channel, more) => void refusals[channel].push(...more),
    async dispose() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
