/** What is shown of core's alerts. */
import * as z from "zod";
import { ACKNOWLEDGE_WITHIN_MS } from "../../../../operations/alerts/escalation.ts";

export const ALERTS_PATH = "/operations/alerts";
export const ALERTS_API = "/api/operations/alerts";

const moment = z.iso.datetime().transform((text) => Date.parse(text));
const severity = z.enum(["S1", "S2", "S3", "S4"]);

export const alertsShape = z.object({
  evaluatedAt: moment.nullable(),
  fault: z.string().nullable(),
  runbookUrl: z.string().nullable().default(null),
  alerts: z.array(
    z.object({
      name: z.string(),
      title: z.string(),
      says: z.string(),
      severity,
      phase: z.enum(["quiet", "pending", "open"]),
      openedAt: moment.nullable(),
      value: z.number().nullable(),
      acknowledgedAt: moment.nullable(),
      acknowledgedBy: z.string().nullable(),
      silencedUntil: moment.nullable(),
    }),
  ),
  silences: z.array(
    z.object({
      silenceId: z.string(),
      alert: z.string().nullable(),
      until: moment,
      reason: z.string(),
      by: z.string(),
    }),
  ),
  incidents: z.array(
    z.object({
      incident: z.number(),
      alert: z.string(),
      severity,
      openedAt: moment,
      resolvedAt: moment.nullable(),
    }),
  ),
  notifications: z.array(
    z.object({
      id: z.string(),
      state: z.enum(["waiting", "sent", "given-up"]),
      attempts: z.number(),
      at: moment,
      error: z.string().nullable(),
    }),
  ),
});
export type Alerts = z.output<typeof alertsShape>;
export type Alert = Alerts["alerts"][number];
export type Severity = Alert["severity"];

/** The worst first; of one severity, the oldest. */
export const openAlerts = (alerts: readonly Alert[]): readonly Alert[] =>
  alerts
    .filter(({ phase }) => phase === "open")
    .toSorted((a, b) => a.severity.localeCompare(b.severity) || (a.openedAt ?? 0) - (b.openedAt ?? 0));

/** How long somebody still has to acknowledge it, in milliseconds; below zero: how late it is. Undefined: nobody has to. */
export const acknowledgeLeftMs = (alert: Alert, now: number): number | undefined =>
  alert.openedAt === null || alert.acknowledgedAt !== null
    ? undefined
    : alert.openedAt + ACKNOWLEDGE_WITHIN_MS[alert.severity] - now;

/** The page that shows what an alert is about, by how its name begins. */
const PLACES: readonly (readonly [prefix: string, path: string])[] = [
  ["relay-down", "/operations/deliveries"],
  ["dead-letters", "/operations/deliveries#dead-letters"],
  ["callbacks", "/operations/deliveries"],
  ["webhook-", "/operations/deliveries"],
  ["server-errors", "/operations/charts/errors?range=1h"],
  ["latency", "/operations/charts/errors?range=1h"],
  ["auto-submit", "/operations/auto-submit"],
  ["ledger-", "/operations/ledger"],
  ["anchor-", "/operations/anchors"],
  ["settlement", "/operations/settlements"],
  ["operator-", "/operations/settlements"],
  ["reconciliation", "/operations/reconciliation"],
  ["idempotency", "/operations/idempotency"],
  ["secret-", "/admin/secrets"],
];

export const placeOfAlert = (name: string): string | undefined =>
  PLACES.find(([prefix]) => name.startsWith(prefix))?.[1];

/** The runbook's section of an alert; undefined where no address is known, or it is none of the web. */
export function runbookOf(runbookUrl: string | null, name: string): string | undefined {
  if (runbookUrl === null || !/^https?:\/\//.test(runbookUrl)) return undefined;
  return `${runbookUrl.replace(/#.*$/, "")}#${name}`;
}
