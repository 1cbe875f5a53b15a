/** Sends one notification to its channel. */
import type { AlertSettings } from "../../platform/settings.ts";
import { emailMessage, type Notification, type Place, pagerDutyEvent, slackMessage } from "./notification.ts";

export interface AlertChannels {
  readonly pagerDutyUrl: string;
  readonly pagerDutyRoutingKey: string | undefined;
  readonly slackWebhookUrl: string | undefined;
  readonly emailApiUrl: string | undefined;
  readonly emailApiKey: string | undefined;
  readonly emailFrom: string;
}

interface ChannelSecrets {
  readonly PAGERDUTY_ROUTING_KEY?: string;
  readonly SLACK_WEBHOOK_URL?: string;
  readonly EMAIL_API_KEY?: string;
}

const set = (value: string | undefined): string | undefined => (value === "" ? undefined : value);

export const channelsOf = (settings: AlertSettings, secrets: ChannelSecrets): AlertChannels => ({
  pagerDutyUrl: settings.PAGERDUTY_EVENTS_URL,
  pagerDutyRoutingKey: set(secrets.PAGERDUTY_ROUTING_KEY),
  slackWebhookUrl: set(secrets.SLACK_WEBHOOK_URL),
  emailApiUrl: settings.EMAIL_API_URL,
  emailApiKey: set(secrets.EMAIL_API_KEY),
  emailFrom: settings.EMAIL_FROM,
});

export type SendResult =
  | { readonly type: "sent" }
  /** The channel has no key or address: nobody asked to be told there. */
  | { readonly type: "not-configured" }
  | { readonly type: "failed"; readonly error: string; readonly retryable: boolean };

const TIMEOUT_MS = 8_000;

interface Call {
  readonly url: string;
  readonly body: object;
  readonly authorization?: string;
}

function callOf(notification: Notification, place: Place, channels: AlertChannels): Call | undefined {
  switch (notification.channel) {
    case "pagerduty":
      return channels.pagerDutyRoutingKey === undefined
        ? undefined
        : {
            url: channels.pagerDutyUrl,
            body: pagerDutyEvent(notification, place, channels.pagerDutyRoutingKey),
          };
    case "slack":
      return channels.slackWebhookUrl === undefined
        ? undefined
        : { url: channels.slackWebhookUrl, body: slackMessage(notification, place) };
    case "email": {
      const { emailApiUrl: url, emailApiKey, emailFrom } = channels;
      const body = emailMessage(notification, place, emailFrom);
      if (url === undefined || body === undefined) return undefined;
      return emailApiKey === undefined ? { url, body } : { url, body, authorization: `Bearer ${emailApiKey}` };
    }
  }
}

export async function sendNotification(
  notification: Notification,
  place: Place,
  channels: AlertChannels,
): Promise<SendResult> {
  const call = callOf(notification, place, channels);
  if (call === undefined) return { type: "not-configured" };
  try {
    const answer = await fetch(call.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        // E-mail APIs that know it take a message once.
        "idempotency-key": notification.id,
        ...(call.authorization === undefined ? {} : { authorization: call.authorization }),
      },
      body: JSON.stringify(call.body),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await answer.body?.cancel();
    if (answer.ok) return { type: "sent" };
    const retryable = answer.status === 408 || answer.status === 429 || answer.status >= 500;
    return { type: "failed", error: `answered ${answer.status}`, retryable };
  } catch (error) {
    const timeout = error instanceof Error && error.name === "TimeoutError";
    return { type: "failed", error: timeout ? "timeout" : "no connection", retryable: true };
  }
}
