/**
 * Who may call what: one row for each route of the hub. `access-matrix.test.ts` asks every route as every caller and compares; it
 * fails for a route without a row, so a new route comes with its row.
 */

/** All that a request can come with. Of the clinic's people each has a fresh session. */
export const CALLERS = [
  "nobody",
  /** The administrator's session, unused for over 30 minutes. */
  "expiredSession",
  /** The administrator's session, sent by another site's page. */
  "crossSite",
  /** The administrator of another clinic. */
  "wrongClinic",
  "operatorKey",
  "operator",
  "readToken",
  "writeToken",
  "provider",
  "billing",
  "admin",
] as const;
export type Caller = (typeof CALLERS)[number];

/** `in`: let in, whatever becomes of the request then. A number: exactly this status. */
export type Outcome = "in" | number;

/** Ids of the demo clinic, for paths and bodies. */
export interface World {
  readonly claimId: string;
  readonly jobId: string;
  readonly coreId: string;
  readonly userId: string;
  readonly invitationId: string;
  readonly tokenId: string;
  readonly patientId: string;
  readonly providerId: string;
  readonly insurerId: string;
}

export interface Row {
  readonly outcomes: Readonly<Record<Caller, Outcome>>;
  /** Values of the path's braces. */
  readonly params?: (world: World) => Readonly<Record<string, string>>;
  readonly query?: string;
  /** Default `{}` where the method has a body. */
  readonly body?: (world: World) => unknown;
}

const everyone = (outcome: Outcome): Row["outcomes"] => ({
  nobody: outcome,
  expiredSession: outcome,
  crossSite: outcome,
  wrongClinic: outcome,
  operatorKey: outcome,
  operator: outcome,
  readToken: outcome,
  writeToken: outcome,
  provider: outcome,
  billing: outcome,
  admin: outcome,
});

interface Rest extends Omit<Row, "outcomes"> {
  /** What the wrong clinic hears: 404 about another's thing, `in` (the default) where it is shown its own. */
  readonly stranger?: Outcome;
  /** false: not for integrations. */
  readonly tokens?: boolean;
  readonly roles?: readonly ("provider" | "billing" | "admin")[];
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Anyone may read; another site's page may not make anyone write. */
const open = (method: Method, rest: Omit<Row, "outcomes"> = {}, outcome: Outcome = "in"): Row => ({
  ...rest,
  outcomes: { ...everyone(outcome), ...(method === "GET" ? {} : { crossSite: 403 }) },
});

function clinic(method: Method, rest: Rest = {}): Row {
  const { stranger = "in", tokens = true, roles = ["provider", "billing", "admin"], ...row } = rest;
  const byRole = (role: "provider" | "billing" | "admin"): Outcome => (roles.includes(role) ? "in" : 403);
  // An integration has the rights of billing.
  const token = (scope: "read" | "write"): Outcome =>
    tokens && (scope === "read") === (method === "GET") ? byRole("billing") : 403;
  return {
    ...row,
    outcomes: {
      nobody: 401,
      expiredSession: 401,
      crossSite: method === "GET" ? byRole("admin") : 403,
      wrongClinic: roles.includes("admin") ? stranger : 403,
      operatorKey: 403,
      operator: 403,
      readToken: token("read"),
      writeToken: token("write"),
      provider: byRole("provider"),
      billing: byRole("billing"),
      admin: byRole("admin"),
    },
  };
}

/** A clinic's people of these roles, and operators. */
function staff(method: Method, roles: Rest["roles"], rest: Rest = {}): Row {
  const row = clinic(method, { ...rest, ...(roles === undefined ? {} : { roles }) });
  return { ...row, outcomes: { ...row.outcomes, operatorKey: "in", operator: "in" } };
}

const operators = (method: Method, rest: Rest = {}): Row => staff(method, [], { ...rest, tokens: false });

/** Everyone with an account, about that account. */
function account(method: Method, rest: Rest = {}): Row {
  const row = clinic(method, { ...rest, tokens: false });
  return { ...row, outcomes: { ...row.outcomes, operator: rest.stranger ?? "in" } };
}

const claim = { params: ({ claimId }: World) => ({ claimId }), stranger: 404 };
const user = { params: ({ userId }: World) => ({ userId }), stranger: 404, tokens: false };
const flag = { params: () => ({ name: "FEATURE_FLAG_NEW_UI" }) };
const core = { params: ({ coreId: id }: World) => ({ id }), stranger: 404 };
const destination = { params: () => ({ destinationId: "hub" }) };
const deadLetter = { params: () => ({ outboxId: "1" }) };
const newInsurer = { name: "Matrix Mutual", insurerAddress: `0x${"7".repeat(40)}` };

/** By method and path, as the API document writes it. */
export const ACCESS: Readonly<Record<string, Row>> = {
  "GET /healthz": open("GET"),
  "GET /api/health": open("GET"),
  "GET /readyz": open("GET"),
  "GET /api/version": open("GET"),
  "GET /api/openapi.json": open("GET"),

  "POST /api/auth/login": open("POST"),
  "POST /api/auth/second-factor": open("POST"),
  "POST /api/auth/logout": open("POST"),
  "POST /api/auth/password-reset": open("POST"),
  "POST /api/invitations/accept": open("POST"),

  "POST /api/auth/logout-everywhere": account("POST"),
  "GET /api/auth/me": account("GET"),
  "PATCH /api/auth/me": account("PATCH"),
  "POST /api/auth/change-password": account("POST"),
  "POST /api/auth/totp/setup": account("POST"),
  "POST /api/auth/totp/enable": account("POST"),
  "POST /api/auth/totp/disable": account("POST"),
  "POST /api/auth/totp/backup-codes": account("POST"),
  "GET /api/auth/sessions": account("GET"),
  // Nobody's session, so that all who are let in hear the same.
  "DELETE /api/auth/sessions/{sessionId}": {
    ...account("DELETE", { params: () => ({ sessionId: "ses_none" }), stranger: 404 }),
    outcomes: {
      ...account("DELETE", { stranger: 404 }).outcomes,
      provider: 404,
      billing: 404,
      admin: 404,
    },
  },

  "GET /api/users": staff("GET", ["admin"], { tokens: false }),
  "PATCH /api/users/{userId}": staff("PATCH", ["admin"], { ...user, body: () => ({ role: "billing" }) }),
  "DELETE /api/users/{userId}/second-factor": staff("DELETE", ["admin"], user),
  "POST /api/users/{userId}/password-reset": staff("POST", ["admin"], user),
  "GET /api/invitations": staff("GET", ["admin"], { tokens: false }),
  "POST /api/invitations": staff("POST", ["admin"], { tokens: false }),
  "DELETE /api/invitations/{invitationId}": staff("DELETE", ["admin"], {
    params: ({ invitationId }) => ({ invitationId }),
    stranger: 404,
    tokens: false,
  }),
  "GET /api/tokens": clinic("GET", { roles: ["admin"], tokens: false }),
  "POST /api/tokens": clinic("POST", { roles: ["admin"], tokens: false }),
  "DELETE /api/tokens/{tokenId}": clinic("DELETE", {
    params: ({ tokenId }) => ({ tokenId }),
    roles: ["admin"],
    stranger: 404,
    tokens: false,
  }),

  "GET /api/admin/flags": staff("GET", ["admin"], { tokens: false }),
  "PUT /api/admin/flags/{name}": operators("PUT", { ...flag, body: () => ({ enabled: true }) }),
  "GET /api/admin/flags/{name}/exposures": operators("GET", flag),
  "GET /api/admin/clinics": operators("GET"),
  "POST /api/admin/clinics": operators("POST"),
  "POST /api/admin/sessions/clear": operators("POST"),
  "GET /api/admin/second-factors": operators("GET"),
  "GET /api/admin/auth-config": operators("GET"),
  "POST /api/admin/seed": operators("POST"),
  // As if it were not there, without its token.
  "POST /api/dev/seed": { outcomes: everyone(404) },

  "GET /api/patients": clinic("GET"),
  "POST /api/patients": clinic("POST"),
  "GET /api/providers": clinic("GET"),
  "POST /api/providers": clinic("POST", { roles: ["admin"] }),
  "GET /api/insurers": clinic("GET"),
  "POST /api/insurers": clinic("POST", { roles: ["admin"], body: () => newInsurer }),

  "GET /api/claims": clinic("GET"),
  "POST /api/claims": clinic("POST", {
    body: ({ patientId, providerId, insurerId }) => ({
      patientId,
      providerId,
      insurerId,
      type: "claim",
      amount: "10.00",
      codes: [],
    }),
    stranger: 400,
  }),
  "GET /api/claims/{claimId}": clinic("GET", claim),
  "PATCH /api/claims/{claimId}": clinic("PATCH", { ...claim, body: () => ({ notes: "changed" }) }),
  "POST /api/claims/{claimId}/submit": clinic("POST", claim),

  "GET /api/itrans/auto-submit/queue": clinic("GET"),
  "GET /api/itrans/auto-submit/settings": clinic("GET"),
  "PUT /api/itrans/auto-submit/settings": staff("PUT", ["admin"], { body: () => ({ enabled: false }) }),
  "GET /api/itrans/auto-submit/status": staff("GET", ["billing", "admin"]),
  "POST /api/itrans/auto-submit/requeue": staff("POST", ["billing", "admin"]),
  "POST /api/itrans/auto-submit/enqueue": staff("POST", ["billing", "admin"], {
    body: () => ({ claimIds: ["clm_none"] }),
  }),
  "POST /api/itrans/auto-submit/jobs/{jobId}/requeue": staff("POST", ["billing", "admin"], {
    params: ({ jobId }) => ({ jobId }),
    stranger: 404,
  }),

  // The relay proves itself by the event's signature.
  "POST /api/itrans/webhooks/workflow": open("POST", {}, 400),
  "POST /api/itrans/claims": clinic("POST", { body: () => ({ offchainPayload: {} }) }),
  "GET /api/itrans/claims/{id}": clinic("GET", core),
  "POST /api/itrans/claims/{id}/finalize": clinic("POST", core),
  "POST /api/itrans/claims/{id}/settle": clinic("POST", core),
  "GET /api/itrans/claims/{id}/anchor/status": clinic("GET", core),
  "POST /api/itrans/workflow/claims": clinic("POST", {
    body: () => ({ insurerAddress: "0x00", offchainPayload: {} }),
  }),
  "POST /api/itrans/workflow/preauths": clinic("POST", {
    body: () => ({ insurerAddress: "0x00", offchainPayload: {} }),
  }),
  "GET /api/itrans/workflow/requests/{id}": clinic("GET", core),

  "POST /api/operations/relay/pause": operators("POST"),
  "POST /api/operations/relay/resume": operators("POST"),
  "POST /api/operations/relay/destinations/{destinationId}/pause": operators("POST", destination),
  "POST /api/operations/relay/destinations/{destinationId}/resume": operators("POST", destination),
  "POST /api/operations/relay/dead-letters/replay": operators("POST", { body: () => ({ destinationId: "hub" }) }),
  "POST /api/operations/relay/dead-letters/{outboxId}/replay": operators("POST", deadLetter),
  "POST /api/operations/relay/dead-letters/{outboxId}/discard": operators("POST", {
    ...deadLetter,
    body: () => ({ reason: "TICKET-1" }),
  }),
  "GET /api/operations/ledger/entries/{seq}/proof": operators("GET", {
    params: () => ({ seq: "0" }),
    query: `?subject=0x${"0".repeat(64)}`,
  }),
};
