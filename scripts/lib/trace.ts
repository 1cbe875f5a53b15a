/** One correlation id's story from what each worker knows of it. Pure. */
import type { LogEvent } from "./log-lines.ts";

export interface TraceAnswer {
  readonly correlationId: string;
  readonly entries: readonly {
    readonly seq: number;
    readonly entryHash: string;
    readonly subject: string;
    readonly type: string;
    readonly at: string;
  }[];
  readonly deliveries: readonly {
    readonly outboxId: number;
    readonly eventType: string;
    readonly destinationId: string;
    readonly requestIdHash: string;
    readonly seq: number;
    readonly state: string;
    readonly createdAt: number;
    readonly settledAt: number | null;
    readonly attempts: readonly {
      readonly startedAt: number;
      readonly durationMs: number;
      readonly outcome: string;
      readonly status: number | null;
      readonly error: string | null;
    }[];
  }[];
  readonly settlements: readonly {
    readonly refId: string;
    readonly type: string;
    readonly status: string;
    readonly requestIdHash: string;
    readonly createdAt: number;
    readonly updatedAt: number;
    readonly askedAt: number | null;
    readonly lastAnswer: string | null;
  }[];
  readonly keys: readonly {
    readonly keyId: string;
    readonly scope: string;
    readonly state: string;
    readonly effectId: string;
    readonly createdAt: number;
    readonly updatedAt: number;
  }[];
}

export interface Moment {
  /** Epoch ms. */
  readonly at: number;
  /** The worker that did it, `ledger` for an entry, or `operator` for the payer's. */
  readonly where: string;
  readonly what: string;
  readonly detail: string;
  readonly correlationId: string;
  readonly bad: boolean;
}

const SHOWN_APART = new Set(["at", "level", "worker", "event", "correlationId"]);

/** A log line is written when what it tells of ends. */
export function momentOfLog(event: LogEvent): Moment {
  const fields = Object.entries(event).filter(([name]) => !SHOWN_APART.has(name));
  const { method, route, status, durationMs, ...rest } = Object.fromEntries(fields);
  const call = method === undefined || route === undefined ? "" : `${String(method)} ${String(route)}`;
  const more = Object.entries(rest).map(([name, value]) => `${name} ${String(value)}`);
  const parts = [
    ...(call === "" ? [] : [call]),
    ...(status === undefined ? [] : [String(status)]),
    ...(durationMs === undefined ? [] : [`${String(durationMs)} ms`]),
    ...more,
  ];
  return {
    at: Date.parse(event.at),
    where: event.worker,
    what: event.event,
    detail: parts.join(", "),
    correlationId: event.correlationId ?? "",
    bad: event.level === "error" || event.level === "warn" || (typeof status === "number" && status >= 500),
  };
}

export function momentsOf(answer: TraceAnswer): readonly Moment[] {
  const { correlationId } = answer;
  const moment = (at: number, where: string, what: string, detail: string, bad = false): Moment => ({
    at,
    where,
    what,
    detail,
    correlationId,
    bad,
  });
  return [
    ...answer.entries.map(({ at, type, seq, entryHash, subject }) =>
      moment(
        Date.parse(at),
        "ledger",
        type,
        `entry ${seq}, ${entryHash.slice(0, 10)}…, about ${subject.slice(0, 12)}…`,
      ),
    ),
    ...answer.deliveries.flatMap((one) => {
      const name = `${one.eventType} to ${one.destinationId}`;
      const attempts = one.attempts.map(({ startedAt, durationMs, outcome, status, error }) =>
        moment(
          startedAt,
          "itrans-relay",
          outcome === "delivered" ? "posted" : outcome === "dead" ? "given up" : "failed",
          `${name}: ${status ?? error ?? "no answer"}, ${Math.round(durationMs)} ms`,
          outcome !== "delivered",
        ),
      );
      const isWaiting = one.state === "waiting" || one.state === "due" || one.state === "leased";
      return [
        moment(
          one.createdAt,
          "itrans-core",
          "queued",
          `${name}, delivery ${one.outboxId}${isWaiting ? `, ${one.state}` : ""}`,
        ),
        ...attempts,
        ...(one.settledAt === null
          ? []
          : [moment(one.settledAt, "itrans-core", one.state, name, one.state === "dead")]),
      ];
    }),
    ...answer.settlements.flatMap(({ refId, type, status, createdAt, updatedAt, askedAt, lastAnswer }) => [
      moment(createdAt, "itrans-core", "settlement", `${type} ${refId}`),
      ...(askedAt === null
        ? []
        : [moment(askedAt, "operator", "called last", lastAnswer === null ? refId : `${refId}: ${lastAnswer}`)]),
      ...(updatedAt === createdAt
        ? []
        : [moment(updatedAt, "itrans-core", status.toLowerCase(), refId, status === "FAILED")]),
    ]),
    ...answer.keys.map(({ scope, state, effectId, createdAt }) =>
      moment(createdAt, "itrans-core", "idempotency key", `${scope}, ${state}, ${effectId}`),
    ),
  ];
}

/** By time; what happened at once in the order given. */
export const inOrder = (moments: readonly Moment[]): readonly Moment[] => moments.toSorted((a, b) => a.at - b.at);

/** Of the requests that an answer is about. */
export const requestsOf = ({ deliveries, settlements }: TraceAnswer): readonly string[] => [
  ...new Set([...deliveries, ...settlements].map(({ requestIdHash }) => requestIdHash)),
];
