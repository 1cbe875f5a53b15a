/** The evaluator's memory: the Durable Object's own SQLite, which answers while D1 does not. */
import * as z from "zod";
import { type EvaluatorState, FRESH } from "./evaluate.ts";
import {
  type Channel,
  MAX_ATTEMPTS,
  type Notification,
  type NotificationRecord,
  retryAfterMs,
} from "./notification.ts";
import type { Observation } from "./observation.ts";
import { type KeptRoster, rosterFrom, type StoredRoster } from "./roster.ts";

/** Settled notifications that are kept to be looked at. */
const MAX_SETTLED = 500;
/** Waiting ones: more of them say nothing new. */
const MAX_WAITING = 1_000;

const observationSchema = z.object({
  at: z.number(),
  values: z.record(z.string(), z.number()),
  buckets: z.record(z.string(), z.array(z.number())),
});

export interface WaitingNotification {
  readonly position: number;
  readonly notification: Notification;
  readonly attempts: number;
}

export class AlertStateStore {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
    storage.sql.exec("CREATE TABLE IF NOT EXISTS observations (at INTEGER NOT NULL PRIMARY KEY, body TEXT NOT NULL)");
    storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS evaluator (singleton INTEGER NOT NULL PRIMARY KEY, body TEXT NOT NULL)",
    );
    storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS cron (singleton INTEGER NOT NULL PRIMARY KEY, seen_at INTEGER NOT NULL)",
    );
    storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS roster (singleton INTEGER NOT NULL PRIMARY KEY, body TEXT NOT NULL, put_at INTEGER NOT NULL)",
    );
    storage.sql.exec(`CREATE TABLE IF NOT EXISTS notifications (
      position INTEGER PRIMARY KEY AUTOINCREMENT,
      id TEXT NOT NULL UNIQUE,
      channel TEXT NOT NULL,
      body TEXT NOT NULL,
      state TEXT NOT NULL,
      attempts INTEGER NOT NULL DEFAULT 0,
      next_at INTEGER NOT NULL,
      settled_at INTEGER,
      error TEXT
    )`);
  }

  /**
   * When the cron last came, epoch ms. Kept, since the object may be put away between two evaluations: its own beginning says nothing.
   * @param now what is kept when it never came: from then on it is waited for.
   */
  cronSeenAt(now: number): number {
    const { sql } = this.#storage;
    sql.exec("INSERT OR IGNORE INTO cron (singleton, seen_at) VALUES (1, ?)", now);
    return sql.exec<{ seen_at: number }>("SELECT seen_at FROM cron WHERE singleton = 1").one().seen_at;
  }

  sawCron(at: number): void {
    this.#storage.sql.exec("UPDATE cron SET seen_at = ? WHERE singleton = 1", at);
  }

  roster(): KeptRoster {
    const [row] = this.#storage.sql
      .exec<{ body: string; put_at: number }>("SELECT body, put_at FROM roster WHERE singleton = 1")
      .toArray();
    return row && rosterFrom(JSON.parse(row.body), row.put_at);
  }

  putRoster({ roster, putAt }: StoredRoster): void {
    this.#storage.sql.exec(
      "INSERT OR REPLACE INTO roster (singleton, body, put_at) VALUES (1, ?, ?)",
      JSON.stringify(roster),
      putAt,
    );
  }

  load(): EvaluatorState {
    const { sql } = this.#storage;
    const [row] = sql.exec<{ body: string }>("SELECT body FROM evaluator WHERE singleton = 1").toArray();
    const history = sql
      .exec<{ body: string }>("SELECT body FROM observations ORDER BY at")
      .toArray()
      .map(({ body }): Observation => observationSchema.parse(JSON.parse(body)));
    if (row === undefined) return { ...FRESH, history };
    const kept: Omit<EvaluatorState, "history"> = JSON.parse(row.body);
    return { ...kept, history };
  }

  /** State and what is to be told of it, in one transaction: what opened is told, and told once. */
  save(before: EvaluatorState, after: EvaluatorState, told: readonly Notification[]): void {
    const { sql } = this.#storage;
    const { history, ...rest } = after;
    const kept = new Set(history.map(({ at }) => at));
    const known = new Set(before.history.map(({ at }) => at));
    this.#storage.transactionSync(() => {
      sql.exec(
        "INSERT INTO evaluator (singleton, body) VALUES (1, ?) ON CONFLICT (singleton) DO UPDATE SET body = excluded.body",
        JSON.stringify(rest),
      );
      for (const { at } of before.history) if (!kept.has(at)) sql.exec("DELETE FROM observations WHERE at = ?", at);
      for (const seen of history) {
        if (known.has(seen.at)) continue;
        sql.exec("INSERT OR REPLACE INTO observations (at, body) VALUES (?, ?)", seen.at, JSON.stringify(seen));
      }
      for (const one of told) {
        sql.exec(
          "INSERT OR IGNORE INTO notifications (id, channel, body, state, next_at) VALUES (?, ?, ?, 'waiting', ?)",
          one.id,
          one.channel,
          JSON.stringify(one),
          one.at,
        );
      }
      sql.exec(
        `DELETE FROM notifications WHERE state <> 'waiting' AND position NOT IN (
           SELECT position FROM notifications WHERE state <> 'waiting' ORDER BY position DESC LIMIT ${MAX_SETTLED})`,
      );
      sql.exec(
        `UPDATE notifications SET state = 'given-up', error = 'too many wait' WHERE state = 'waiting' AND position NOT IN (
           SELECT position FROM notifications WHERE state = 'waiting' ORDER BY position DESC LIMIT ${MAX_WAITING})`,
      );
    });
  }

  /** The first that waits on a channel, when its time has come: a channel hears of things in their order. */
  due(channel: Channel, now: number): WaitingNotification | undefined {
    const [first] = this.#storage.sql
      .exec<{ position: number; body: string; attempts: number; next_at: number }>(
        `SELECT position, body, attempts, next_at FROM notifications
         WHERE state = 'waiting' AND channel = ? ORDER BY position LIMIT 1`,
        channel,
      )
      .toArray();
    if (first === undefined || first.next_at > now) return undefined;
    const { position, body, attempts } = first;
    return { position, attempts, notification: JSON.parse(body) };
  }

  sent({ position }: WaitingNotification, now: number): void {
    this.#storage.sql.exec(
      "UPDATE notifications SET state = 'sent', attempts = attempts + 1, settled_at = ?, error = NULL WHERE position = ?",
      now,
      position,
    );
  }

  /** Tried again later, or given up. @param scale how many times shorter than real it waits. */
  failed(
    { position, attempts }: WaitingNotification,
    error: string,
    retryable: boolean,
    now: number,
    scale: number,
  ): void {
    const over = !retryable || attempts + 1 >= MAX_ATTEMPTS;
    this.#storage.sql.exec(
      "UPDATE notifications SET state = ?, attempts = attempts + 1, next_at = ?, settled_at = ?, error = ? WHERE position = ?",
      over ? "given-up" : "waiting",
      Math.ceil(now + retryAfterMs(attempts + 1) / scale),
      over ? now : null,
      error,
      position,
    );
  }

  /** Newest first. */
  notifications(limit: number): readonly NotificationRecord[] {
    return this.#storage.sql
      .exec<{ id: string; state: string; attempts: number; at: number; error: string | null }>(
        `SELECT id, state, attempts, COALESCE(settled_at, next_at) AS at, error FROM notifications
         ORDER BY position DESC LIMIT ?`,
        limit,
      )
      .toArray()
      .map((row) => ({ ...row, state: row.state === "sent" || row.state === "given-up" ? row.state : "waiting" }));
  }
}
