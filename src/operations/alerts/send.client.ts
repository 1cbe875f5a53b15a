/** Sends one notification to its channel. */
import { emailMessage, type Notification, type Place, pagerDutyEvent, slackMessage } from "./notification.ts";

export interface AlertChannels {
  readonly pagerDutyUrl: string;
  readonly pagerDutyRoutingKey: string | undefined;
  readonly slackWebhookUrl: string | undefined;
  readonly emailApiUrl: string | undefined;
  readonly emailApiKey: string | undefined;
  readonly emailFrom: string;
}

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
