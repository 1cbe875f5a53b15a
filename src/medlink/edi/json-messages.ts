/** What the networks that speak JSON over HTTPS have in common. */
import {
  findingOfStatus,
  isSuccess,
  type MessageKind,
  type Prepared,
  type Reply,
  type WireAnswer,
  type WireMessage,
} from "./connector.ts";

export const unreadable = (status: number, kind: MessageKind): Reply => ({
  about: undefined,
  messageType: "none",
  finding: isSuccess(status) ? { type: "unknown", code: "unreadable_answer" } : findingOfStatus(status, kind),
});

/** The answer to a confirmation or a test has no content that matters. */
export const readNothing = ({ status }: WireAnswer): Reply => ({
  about: undefined,
  messageType: "none",
  finding: isSuccess(status) ? { type: "nothing" } : findingOfStatus(status, "test"),
});

export const prepared = (
  kind: MessageKind,
  request: Pick<WireMessage, "method" | "path" | "idempotencyKey"> & { readonly body?: unknown },
  reader: (answer: WireAnswer) => Reply,
): Prepared => ({
  ok: true,
  outgoing: {
    kind,
    messageType: kind,
    message: {
      ...request,
      contentType: "application/json",
      charset: "utf-8",
      body: request.body === undefined ? undefined : JSON.stringify(request.body),
    },
    read: reader,
  },
});

export const missing = (fields: Readonly<Record<string, string | undefined>>): readonly string[] =>
  Object.entries(fields)
    .filter(([, value]) => value === undefined || value === "")
    .map(([name]) => name);
