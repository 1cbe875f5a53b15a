/** Alerts over the hub: acknowledged, silenced, tested. Core evaluates them; the hub notes who asked. */
import { z } from "@hono/zod-openapi";
import { none, operatorOperation } from "../operation.edge.ts";
import { operateCore } from "./core-answer.edge.ts";
import { reasonCode } from "./reason-code.ts";

const CORE = "/operations/alerts";

const answers = { 200: { description: "As iTrans answers" } };

const alertName = z.string().regex(/^[a-z0-9-]{1,60}$/);
const MAX_MINUTES = 7 * 24 * 60;

export const acknowledgeAlert = operatorOperation(
  {
    method: "post",
    path: "/api/operations/alerts/{name}/acknowledge",
    summary: "Say that somebody looks at an open alert: it is escalated no further",
    params: z.object({ name: alertName }),
    body: none,
    answers,
  },
  (input) => {
    const { name } = input.params;
    const path = `${CORE}/${name}/acknowledge`;
    return operateCore({ ...input, body: undefined, action: "alert.acknowledge", subject: name, path });
  },
);

export const silenceAlerts = operatorOperation(
  {
    method: "post",
    path: "/api/operations/alerts/silences",
    summary: "Tell nobody of an alert, or of any, for a while",
    params: none,
    body: z.strictObject({
      alert: alertName.optional().openapi({ description: "Left out: every alert" }),
      minutes: z.number().int().min(1).max(MAX_MINUTES),
      reason: reasonCode,
    }),
    answers: { 201: { description: "As iTrans answers" } },
  },
  (input) => {
    const { alert = "all", reason } = input.body;
    const path = `${CORE}/silences`;
    return operateCore({ ...input, action: "alert.silence", subject: alert, detail: reason, path });
  },
);

export const endAlertSilence = operatorOperation(
  {
    method: "delete",
    path: "/api/operations/alerts/silences/{silenceId}",
    summary: "End a silence now",
    params: z.object({ silenceId: z.string().regex(/^[A-Za-z0-9-]{1,60}$/) }),
    body: none,
    answers: { 204: { description: "Ended" } },
  },
  (input) => {
    const { silenceId } = input.params;
    const path = `${CORE}/silences/${silenceId}`;
    const method = "DELETE";
    return operateCore({ ...input, body: undefined, action: "alert.endSilence", subject: silenceId, method, path });
  },
);

export const testAlerts = operatorOperation(
  {
    method: "post",
    path: "/api/operations/alerts/test",
    summary: "Send a test, and its end, to every channel",
    params: none,
    body: none,
    answers,
  },
  (input) => operateCore({ ...input, body: undefined, action: "alert.test", subject: "alerts", path: `${CORE}/test` }),
);
