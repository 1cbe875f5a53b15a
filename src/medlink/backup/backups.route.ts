/** Snapshots of the hub's database: begun, made, listed and fetched by operators. The same as core's, under the hub's own key. */
import { z } from "@hono/zod-openapi";
import {
  type Asked,
  askForManifest,
  askForObject,
  askForRun,
  askToAdvance,
  askToBegin,
  listApart,
  listBackups,
  NO_BACKUPS,
} from "../../backup/backup-service.edge.ts";
import type { SnapshotParts } from "../../backup/snapshot.edge.ts";
import type { HubDeed } from "../audit/trail.ts";
import type { Hub } from "../hub.edge.ts";
import { type Answer, none, ok, operatorOperation } from "../operation.edge.ts";

const nameParams = z.object({ name: z.string().regex(/^[0-9A-Za-z-]{1,80}$/) });

/** All that an operator fetches within an hour is one. */
const EXPORT: HubDeed = { action: "HUB_BACKUP_EXPORT" };

const run = { description: "Where the snapshot stands" };

async function answered<Value>(
  hub: Hub,
  ask: (parts: SnapshotParts) => Promise<Asked<Value>>,
  show: (value: Value) => Answer,
): Promise<Answer> {
  const asked = hub.backup === undefined ? NO_BACKUPS : await ask(hub.backup);
  return asked.ok ? show(asked.value) : { type: "problem", problem: asked.problem };
}

const bytesOf = (contents: BodyInit, type: string): Answer => ({
  type: "raw",
  response: new Response(contents, { headers: { "content-type": type } }),
});

export const startHubBackup = operatorOperation(
  {
    method: "post",
    path: "/api/operations/backups",
    summary: "Begin a snapshot of the hub",
    params: none,
    body: z.object({ tag: z.string().max(32).optional() }),
    trail: () => ({ action: "HUB_BACKUP_CREATE" }),
    answers: { 202: run },
  },
  ({ hub, body }) =>
    answered(
      hub,
      (parts) => askToBegin(parts, body.tag),
      (value) => ok(202, value),
    ),
);

export const listHubBackups = operatorOperation(
  {
    method: "get",
    path: "/api/operations/backups",
    summary: "Snapshots of the hub, newest first",
    params: none,
    body: none,
    answers: { 200: { description: "What there is" } },
  },
  ({ hub }) =>
    answered(
      hub,
      async (parts) => ({ ok: true, value: await listBackups(parts) }),
      (value) => ok(200, value),
    ),
);

export const readHubBackup = operatorOperation(
  {
    method: "get",
    path: "/api/operations/backups/{name}",
    summary: "Where a snapshot of the hub stands",
    params: nameParams,
    body: none,
    answers: { 200: run },
  },
  ({ hub, params }) =>
    answered(
      hub,
      (parts) => askForRun(parts, params.name),
      (value) => ok(200, value),
    ),
);

export const advanceHubBackup = operatorOperation(
  {
    method: "post",
    path: "/api/operations/backups/{name}/advance",
    summary: "Go on with a snapshot of the hub now, for at most BACKUP_TURN_MS",
    params: nameParams,
    body: none,
    answers: { 200: run },
  },
  ({ hub, params }) =>
    answered(
      hub,
      (parts) => askToAdvance(parts, params.name, hub.settings.BACKUP_TURN_MS, hub.log),
      (value) => ok(200, value),
    ),
);

export const readHubManifest = operatorOperation(
  {
    method: "get",
    path: "/api/operations/backups/{name}/manifest",
    summary: "The manifest of a good snapshot of the hub",
    params: nameParams,
    body: none,
    trail: () => EXPORT,
    answers: { 200: { description: "The manifest, its bytes as they were written" } },
  },
  ({ hub, params }) =>
    answered(
      hub,
      (parts) => askForManifest(parts, params.name),
      (text) => bytesOf(text, "text/plain; charset=utf-8"),
    ),
);

export const listHubBackupKeys = operatorOperation(
  {
    method: "get",
    path: "/api/operations/backup-keys",
    summary: "Files that a restore takes beside a snapshot: the hub has none",
    params: none,
    body: none,
    answers: { 200: { description: "Their paths" } },
  },
  ({ hub }) =>
    answered(
      hub,
      async (parts) => ({ ok: true, value: await listApart(parts) }),
      (value) => ok(200, value),
    ),
);

export const readHubBackupObject = operatorOperation(
  {
    method: "get",
    path: "/api/operations/backup-object",
    summary: "One encrypted file of a snapshot of the hub",
    params: z.object({ path: z.string().max(200) }),
    body: none,
    trail: () => EXPORT,
    answers: { 200: { description: "The file" } },
  },
  ({ hub, params }) =>
    answered(
      hub,
      (parts) => askForObject(parts, params.path),
      (bytes) => bytesOf(bytes, "application/octet-stream"),
    ),
);
