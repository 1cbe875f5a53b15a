/** Asking core as its operator, for pages and for calls that change something there. */
import type * as z from "zod";
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import { passOn } from "../bridge/forward.edge.ts";
import type { CoreAnswer } from "../core.client.ts";
import type { Hub } from "../hub.edge.ts";
import { type Actor, type Answer, refuse } from "../operation.edge.ts";
import type { Asked } from "./asked.ts";
import { readAnswer } from "./core-view.ts";

const READ_TIMEOUT_MS = 5_000;

export const NO_OPERATOR_KEY = refuse(
  "unavailable",
  "The hub has no operator key of iTrans: set ITRANS_OPERATOR_API_KEY.",
);

export interface CoreAsker {
  readonly hub: Hub;
  readonly correlationId: string;
}

/** @param path of a GET. @param alsoStatus an error status whose answer has this shape too. */
export async function askCore<Schema extends z.ZodType>(
  { hub, correlationId }: CoreAsker,
  path: string,
  schema: Schema,
  alsoStatus?: number,
): Promise<Asked<z.output<Schema>>> {
  if (!hub.core.operates) return { type: "closed" };
  const answer = await hub.core.call({
    method: "GET",
    path,
    surface: "operator",
    correlationId,
    timeoutMs: READ_TIMEOUT_MS,
  });
  if (answer.type !== "answered") return { type: "away" };
  const { status, text } = answer;
  if (status === 404 || status === 400) return { type: "missing" };
  if (status === 401 || status === 403) return { type: "closed" };
  if (status !== 200 && status !== alsoStatus) return { type: "away" };
  const value = readAnswer(schema, text);
  return value === undefined ? { type: "away" } : { type: "ok", value };
}

export interface CoreDeed extends CoreAsker {
  readonly actor: Actor;
  readonly action: string;
  /** What it is done to: a destination, a delivery's number, a settlement, or `relay`. */
  readonly subject: string;
  /** A closed code. */
  readonly detail?: string | undefined;
  /** POST when left out. */
  readonly method?: "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly body?: unknown;
}

/** Has core do something and passes its answer on. What was done, or may have been, is in the audit before it is answered. */
export async function operateCore(deed: CoreDeed): Promise<Answer> {
  const { hub, actor, action, subject, detail, method = "POST", path, body, correlationId } = deed;
  if (!hub.core.operates) return NO_OPERATOR_KEY;
  const answer = await hub.core.call({
    method,
    path,
    surface: "operator",
    ...(method === "DELETE" ? {} : { body: body ?? {} }),
    correlationId,
  });
  if (mayHaveActed(answer)) {
    const at = hub.now();
    await auditInsert(hub.db, {
      clinicId: WHOLE_HUB,
      actor: actor.name,
      action,
      subject,
      detail: answer.type === "timeout" ? "timeout" : detail,
      correlationId,
      at,
    }).run();
  }
  return passOn(answer, correlationId);
}

const mayHaveActed = (answer: CoreAnswer): boolean =>
  answer.type === "timeout" || (answer.type === "answered" && (answer.status < 400 || answer.status >= 500));
