/** The least that a delivery can be: both signatures, a POST, its answer read. `?count=N&slots=S&url=U`; the body is what is posted. */
import { signRelayBody, signStandardWebhook } from "../../src/platform/signature.ts";

const SECRET = "webhook-signing-for-the-bench-93f6b7710c4e";

async function post(url: string, body: string, eventId: string): Promise<void> {
  const now = Date.now();
  const seconds = Math.floor(now / 1_000);
  const answer = await fetch(url, {
    method: "POST",
    body,
    redirect: "manual",
    headers: {
      "content-type": "application/json",
      "idempotency-key": eventId,
      "x-itrans-relay-event-id": eventId,
      "x-itrans-relay-event-type": "REQUEST_SUBMITTED",
      "x-itrans-relay-timestamp": String(now),
      "x-itrans-relay-signature": signRelayBody(now, body, SECRET),
      "webhook-id": eventId,
      "webhook-timestamp": String(seconds),
      "webhook-signature": signStandardWebhook(eventId, seconds, body, SECRET),
      "x-correlation-id": eventId,
    },
  });
  await answer.text();
  if (answer.status !== 200) throw new Error(`the receiver answered ${answer.status}`);
}

export default {
  async fetch(request) {
    const query = new URL(request.url).searchParams;
    const url = query.get("url") ?? "";
    const body = await request.text();
    let left = Number(query.get("count"));
    const slot = async (): Promise<void> => {
      for (; left > 0; ) {
        left -= 1;
        await post(url, body, `event-${left}`);
      }
    };
    await Promise.all(Array.from({ length: Number(query.get("slots")) }, slot));
    return new Response("done");
  },
} satisfies ExportedHandler;
