import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it } from "vitest";
import { migrationsOf, readMigrations } from "../../../scripts/lib/migration-files.ts";
import { timelineInsert } from "../../../src/medlink/claims/claims.store.ts";
import { d1On } from "../../support/d1-sqlite.ts";

const NAME = "0011_fewer_rows";
const directory = migrationsOf("medlink");

/** Before the migration, with a claim that has two events of before. */
function withEvents(): DatabaseSync {
  const sqlite = new DatabaseSync(":memory:");
  for (const { name, up } of readMigrations(directory)) if (name < NAME) sqlite.exec(up);
  sqlite.exec("PRAGMA foreign_keys = OFF");
  sqlite.exec(`INSERT INTO claims (claim_id, clinic_id, patient_id, provider_id, insurer_id, type, status, amount_minor, currency,
      details_sealed, created_by, version, created_at, updated_at, request_id_hash)
    VALUES ('clm_1', 'c', 'p', 'v', 'i', 'claim', 'submitted', 1, 'CAD', 'x', 'u', 1, 1, 1, '0xaa')`);
  for (const [kind, at] of [
    ["created", 1],
    ["queued", 2],
  ]) {
    sqlite
      .prepare(
        "INSERT INTO claim_events (claim_id, clinic_id, kind, status, actor, at) VALUES ('clm_1', 'c', ?, 'draft', 'u', ?)",
      )
      .run(String(kind), Number(at));
  }
  return sqlite;
}

const kinds = (sqlite: DatabaseSync) =>
  sqlite
    .prepare("SELECT kind FROM claim_events WHERE claim_id = 'clm_1' ORDER BY claim_event_id")
    .all()
    .map(({ kind }) => kind);

const run = (sqlite: DatabaseSync, direction: "up" | "down") =>
  sqlite.exec(readFileSync(`${directory}/${NAME}.${direction}.sql`, "utf8"));

const event = { claimId: "clm_1", clinicId: "c", status: "submitted", actor: "itrans" } as const;

describe("the migration to fewer rows", () => {
  it("keeps a timeline in its order, and events come after it from the version before and from this one", async () => {
    const sqlite = withEvents();
    run(sqlite, "up");
    await timelineInsert(d1On(sqlite), { ...event, kind: "submissionAccepted", at: 3 }).run();
    sqlite.exec(
      "INSERT INTO claim_events (claim_id, clinic_id, kind, status, actor, at) VALUES ('clm_1', 'c', 'edited', 'draft', 'u', 4)",
    );
    await timelineInsert(d1On(sqlite), { ...event, kind: "REQUEST_SUBMITTED", eventId: "e1", at: 5 }).run();
    await timelineInsert(d1On(sqlite), { ...event, kind: "REQUEST_SUBMITTED", eventId: "e1", at: 6 }).run();
    expect(kinds(sqlite)).toEqual(["created", "queued", "submissionAccepted", "edited", "REQUEST_SUBMITTED"]);
    expect(sqlite.prepare("SELECT MAX(claim_event_id) < 9007199254740991 AS safe FROM claim_events").get()?.safe).toBe(
      1,
    );
  });

  it("goes back to a timeline by number, where events that came meanwhile are known", async () => {
    const sqlite = withEvents();
    run(sqlite, "up");
    await timelineInsert(d1On(sqlite), { ...event, kind: "REQUEST_SUBMITTED", eventId: "e1", at: 5 }).run();
    run(sqlite, "down");
    expect(kinds(sqlite)).toEqual(["created", "queued", "REQUEST_SUBMITTED"]);
    expect(sqlite.prepare("SELECT event_id, request_id_hash FROM webhook_events").all()).toEqual([
      { event_id: "e1", request_id_hash: "0xaa" },
    ]);
    run(sqlite, "up");
    expect(kinds(sqlite)).toEqual(["created", "queued", "REQUEST_SUBMITTED"]);
  });

  it("keeps a claim to one live job, as the index did", () => {
    const sqlite = withEvents();
    run(sqlite, "up");
    const add = (jobId: string, state: string) =>
      sqlite
        .prepare(
          `INSERT INTO auto_submit_jobs (job_id, clinic_id, claim_id, claim_type, state, attempt, max_attempts, correlation_id,
             requested_by, version, created_at, updated_at) VALUES (?, 'c', 'clm_1', 'claim', ?, 0, 4, 'x', 'u', 0, 1, 1)`,
        )
        .run(jobId, state);
    add("job_1", "failed");
    add("job_2", "queued");
    expect(() => add("job_3", "retrying")).toThrow("UNIQUE constraint failed: auto_submit_jobs.claim_id");
    const requeue = sqlite.prepare(
      "UPDATE auto_submit_jobs SET state = 'queued', version = version + 1 WHERE job_id = 'job_1'",
    );
    expect(() => requeue.run()).toThrow("UNIQUE constraint failed: auto_submit_jobs.claim_id");
    sqlite.exec("UPDATE auto_submit_jobs SET state = 'running', version = version + 1 WHERE job_id = 'job_2'");
    sqlite.exec("UPDATE auto_submit_jobs SET state = 'failed', version = version + 1 WHERE job_id = 'job_2'");
    expect(() => requeue.run()).not.toThrow();
  });
});
