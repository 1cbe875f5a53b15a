/** Every call that changes something for an operator is in the trail, or here with the reason why not. */
import { beforeAll, expect, it } from "vitest";
import { call, callWith, INSURER, KEYS, migrate, testEnv } from "../support.ts";

const OPERATOR = KEYS.OPERATOR_API_KEY;
const METHODS = ["post", "put", "patch", "delete"] as const;

type Row =
  /** The action that this call records, and a call that is let through to it. */
  | { readonly action: string; readonly path?: string; readonly body?: unknown; readonly status: number }
  /** Recorded by the code that this file tests, which needs more than a row to be reached. */
  | { readonly action: string; readonly calledIn: string }
  | { readonly exempt: string };

const START = "2026-11-22T10:00:00.000Z";
const ITS_OWN_ENTRY = "the command is an entry of the ledger itself, with who gave it";

/** In the order in which they are called: each leaves what the next ones need. */
const TRAIL: Readonly<Record<string, Row>> = {
  "POST /tenants": { action: "TENANT_CREATE", body: { tenantId: "trail-clinic", name: "Trail" }, status: 201 },
  "POST /tenants/{tenantId}/keys": {
    action: "KEY_CREATE",
    path: "/tenants/trail-clinic/keys",
    body: { surface: "workflow", scopes: ["read"] },
    status: 201,
  },
  "DELETE /tenants/{tenantId}/keys/{keyId}": {
    action: "KEY_REVOKE",
    path: "/tenants/trail-clinic/keys/KEY",
    status: 204,
  },
  "DELETE /tenants/{tenantId}": { action: "TENANT_CLOSE", path: "/tenants/trail-clinic", status: 204 },
  "PUT /relay/destinations/{destinationId}": {
    action: "DESTINATION_PUT",
    path: "/relay/destinations/trail",
    body: {
      kind: "INSURER",
      insurerAddress: INSURER,
      url: "http://127.0.0.1:9/hook",
      secret: "a-secret-of-the-destination-0123456789",
    },
    status: 201,
  },
  "POST /relay/destinations/{destinationId}/pause": {
    action: "DESTINATION_PAUSE",
    path: "/relay/destinations/trail/pause",
    status: 200,
  },
  "POST /relay/destinations/{destinationId}/resume": {
    action: "DESTINATION_RESUME",
    path: "/relay/destinations/trail/resume",
    status: 200,
  },
  "POST /relay/destinations/{destinationId}/rotate-secret": {
    action: "DESTINATION_SECRET_ROTATE",
    path: "/relay/destinations/trail/rotate-secret",
    body: { secret: "the-next-secret-of-it-9876543210-abcdef" },
    status: 200,
  },
  "POST /relay/destinations/{destinationId}/ping": {
    action: "DESTINATION_PING",
    calledIn: "test/worker/core/relay",
  },
  "DELETE /relay/destinations/{destinationId}": {
    action: "DESTINATION_DELETE",
    path: "/relay/destinations/trail",
    status: 204,
  },
  "POST /relay/pause": { action: "RELAY_PAUSE", status: 200 },
  "POST /relay/resume": { action: "RELAY_RESUME", status: 200 },
  "POST /operations/alerts/silences": {
    action: "ALERT_SILENCE",
    body: { minutes: 1, reason: "CHG-1" },
    status: 201,
  },
  "DELETE /operations/alerts/silences/{silenceId}": {
    action: "ALERT_UNSILENCE",
    path: "/operations/alerts/silences/none",
    status: 404,
  },
  "POST /operations/alerts/{name}/acknowledge": {
    action: "ALERT_ACKNOWLEDGE",
    path: "/operations/alerts/none/acknowledge",
    status: 404,
  },
  "POST /operations/alerts/test": { action: "ALERT_TEST", status: 200 },
  "POST /operations/incidents": {
    action: "INCIDENT_OPEN",
    body: { ticket: "INC-1", severity: "S3", summary: "Trail" },
    status: 201,
  },
  "POST /operations/incidents/{ticket}/notes": {
    action: "INCIDENT_NOTE",
    path: "/operations/incidents/INC-1/notes",
    body: { note: "Looked at" },
    status: 201,
  },
  "POST /operations/incidents/{ticket}/close": {
    action: "INCIDENT_CLOSE",
    path: "/operations/incidents/INC-1/close",
    body: { rootCause: "None", prevention: "None" },
    status: 200,
  },
  "POST /operations/secrets/{name}/rotations": {
    action: "SECRET_ROTATE",
    path: "/operations/secrets/AUDITOR_TOKEN/rotations",
    body: { step: "add" },
    status: 204,
  },
  "POST /operations/rewrap": { action: "REWRAP_START", status: 200 },
  "POST /operations/backups": { action: "BACKUP_CREATE", body: { tag: "trail" }, status: 202 },
  "POST /operations/backups/{name}/advance": { exempt: "it pushes on what BACKUP_CREATE, or the cron, began" },
  "POST /operations/restore-drills": {
    action: "RESTORE_DRILL",
    body: { snapshot: "s", good: true, startedAt: START, finishedAt: START, entries: 1, reason: null, report: {} },
    status: 201,
  },
  "POST /ledger/anchors/retry": { action: "ANCHOR_RETRY", calledIn: "test/worker/core/anchor.test.ts" },
  "POST /ledger/anchors/supersede": { action: "ANCHOR_SUPERSEDE", calledIn: "test/worker/core/anchor.test.ts" },
};

interface Listed {
  readonly seq: number;
  readonly action: string;
  readonly actor: string;
}
const newest = async (): Promise<Listed | undefined> =>
  (await call("/operations/actions?limit=1", { key: OPERATOR })).json.actions[0];

beforeAll(migrate);

/** The mutating calls that a key of operators may make only with the scope `operate`. */
async function operatorsCalls(): Promise<readonly string[]> {
  const { json: made } = await call("/tenants/default/keys", {
    method: "POST",
    key: OPERATOR,
    body: { surface: "operator", scopes: ["read"] },
  });
  const { json: document } = await call("/openapi.json", { key: "" });
  const found: string[] = [];
  for (const [path, item] of Object.entries<Record<string, unknown>>(document.paths)) {
    for (const method of METHODS.filter((one) => one in item)) {
      const url = path.replace(/\{\w+\}/g, "x");
      const { status, json } = await call(url, { method: method.toUpperCase(), key: made.key, body: {} });
      if (status === 403 && /scope.*\boperate\b/.test(json.detail)) found.push(`${method.toUpperCase()} ${path}`);
    }
  }
  return found;
}

it("has a row for every call by which operators change something, and no other", async () => {
  const found = await operatorsCalls();
  expect(found.length).toBeGreaterThan(25);
  expect(Object.keys(TRAIL).toSorted()).toEqual(found.toSorted());
});
