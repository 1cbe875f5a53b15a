/** Alerts as the API shows them. */
import { z } from "@hono/zod-openapi";
import type { AlertReport, Silence } from "./evaluate.ts";
import type { NotificationRecord } from "./notification.ts";

const severity = z.enum(["S1", "S2", "S3", "S4"]);

export const silenceSchema = z
  .object({
    silenceId: z.string(),
    alert: z.string().nullable().openapi({ description: "null: every alert." }),
    until: z.string(),
    reason: z.string(),
    by: z.string(),
  })
  .openapi("Silence");

export const notificationSchema = z
  .object({
    id: z.string(),
    state: z.enum(["waiting", "sent", "given-up"]),
    attempts: z.number().int(),
    at: z.string(),
    error: z.string().nullable(),
  })
  .openapi("AlertNotification");

export const alertsSchema = z
  .object({
    evaluatedAt: z.string().nullable(),
    fault: z.string().nullable().openapi({ description: "What is wrong with the contacts, if anything." }),
    runbookUrl: z
      .string()
      .nullable()
      .openapi({ description: "Where the runbook is; the section of an alert is its name. Null: not set." }),
    alerts: z.array(
      z.object({
        name: z.string(),
        title: z.string(),
        says: z.string(),
        grade: z.enum(["critical", "warning", "info"]),
        severity,
        phase: z.enum(["quiet", "pending", "open"]),
        openedAt: z.string().nullable(),
        value: z.number().nullable().openapi({ description: "What was compared with the threshold." }),
        acknowledgedAt: z.string().nullable(),
        acknowledgedBy: z.string().nullable(),
        silencedUntil: z.string().nullable(),
      }),
    ),
    silences: z.array(silenceSchema),
    incidents: z.array(
      z.object({
        incident: z.number().int(),
        alert: z.string(),
        severity,
        openedAt: z.string(),
        resolvedAt: z.string().nullable(),
      }),
    ),
    notifications: z.array(notificationSchema),
  })
  .openapi("Alerts");

const iso = (at: number): string => new Date(at).toISOString();
const isoOrNull = (at: number | null | undefined): string | null => (at == null ? null : iso(at));

export const silenceView = (silence: Silence): z.output<typeof silenceSchema> => ({
  ...silence,
  alert: silence.alert ?? null,
  until: iso(silence.until),
});

export const notificationView = (record: NotificationRecord): z.output<typeof notificationSchema> => ({
  ...record,
  at: iso(record.at),
});

export const alertsView = (report: AlertReport, runbookUrl: string | undefined): z.output<typeof alertsSchema> => ({
  evaluatedAt: isoOrNull(report.evaluatedAt),
  fault: report.fault,
  runbookUrl: runbookUrl ?? null,
  alerts: report.alerts.map((alert) => ({
    ...alert,
    openedAt: isoOrNull(alert.openedAt),
    acknowledgedAt: isoOrNull(alert.acknowledgedAt),
    silencedUntil: isoOrNull(alert.silencedUntil),
  })),
  silences: report.silences.map(silenceView),
  incidents: report.incidents.map((one) => ({
    ...one,
    openedAt: iso(one.openedAt),
    resolvedAt: isoOrNull(one.resolvedAt),
  })),
  notifications: report.notifications.map(notificationView),
});
