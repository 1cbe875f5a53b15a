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
  /** A draft at first; routes change it. */
  readonly claimId: string;
  readonly draftClaimId: string;
  readonly submittedClaimId: string;
  readonly paidClaimId: string;
  readonly jobId: string;
  readonly coreId: string;
  readonly userId: string;
  readonly invitationId: string;
  readonly tokenId: string;
  readonly patientId: string;
  readonly providerId: string;
  readonly insurerId: string;
  readonly attachmentId: string;
  readonly remittanceId: string;
  /** A good snapshot of the hub. */
  readonly backupName: string;
}

export interface Row {
  readonly outcomes: Readonly<Record<Caller, Outcome>>;
  /** Values of the path's braces. */
  readonly params?: (world: World) => Readonly<Record<string, string>>;
  readonly query?: string;
  /** Default `{}` where the method has a body. */
  readonly body?: (world: World) => unknown;
  /** A body that is not JSON, instead. */
  readonly raw?: { readonly type: string; readonly text: string };
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
  /** What a token needs for it, where the method does not tell. */
  readonly scope?: "read" | "write";
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

/** Anyone may read; another site's page may not make anyone write. */
const open = (method: Method, rest: Omit<Row, "outcomes"> = {}, outcome: Outcome = "in"): Row => ({
  ...rest,
  outcomes: { ...everyone(outcome), ...(method === "GET" ? {} : { crossSite: 403 }) },
});

function clinic(method: Method, rest: Rest = {}): Row {
  const { stranger = "in", tokens = true, roles = ["provider", "billing", "admin"], ...given } = rest;
  const { scope: needed = method === "GET" ? "read" : "write", ...row } = given;
  const byRole = (role: "provider" | "billing" | "admin"): Outcome => (roles.includes(role) ? "in" : 403);
  // An integration has the rights of billing.
  const token = (scope: "read" | "write"): Outcome => (tokens && scope === needed ? byRole("billing") : 403);
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

/** Pages are for sessions alone; everyone else is sent to sign in. @param operator what an operator sees. */
function page(rest: Rest = {}, operator: Outcome = 403): Row {
  const row = clinic("GET", rest);
  const sent = { nobody: 303, expiredSession: 303, operatorKey: 303, readToken: 303, writeToken: 303 };
  return { ...row, outcomes: { ...row.outcomes, ...sent, operator } };
}

/** For operators who signed in: a page knows neither keys nor tokens, and shows the way to sign in. */
const operatorPage = (rest: Rest = {}, operator: Outcome = "in"): Row => page({ ...rest, roles: [] }, operator);

const settlement = { params: () => ({ refId: `stl_${"0".repeat(26)}` }) };
const run = { params: () => ({ runId: "daily-2026-01-01" }) };
const item = { params: () => ({ itemId: "1" }) };
const claim = { params: ({ claimId }: World) => ({ claimId }), stranger: 404 };
const user = { params: ({ userId }: World) => ({ userId }), stranger: 404, tokens: false };
const flag = { params: () => ({ name: "FEATURE_FLAG_NEW_UI" }) };
const submitted = { params: ({ submittedClaimId: claimId }: World) => ({ claimId }), stranger: 404 };
const patient = { params: ({ patientId }: World) => ({ patientId }), stranger: 404 };
const erasable = { params: () => ({ patientId: "pat_demo_2" }), stranger: 404 };
const provider = { params: ({ providerId }: World) => ({ providerId }), stranger: 404 };
const insurer = { params: ({ insurerId }: World) => ({ insurerId }), stranger: 404 };
const attachment = {
  params: ({ claimId, attachmentId }: World) => ({ claimId, attachmentId }),
  stranger: 404,
};
const connector = { params: () => ({ name: "cdanet" }) };
const fhirClaim = { params: ({ claimId }: World) => ({ id: claimId.replace("_", "-") }), stranger: 404 };
const core = { params: ({ coreId: id }: World) => ({ id }), stranger: 404 };
const destination = { params: () => ({ destinationId: "hub" }) };
const deadLetter = { params: () => ({ outboxId: "1" }) };
const newInsurer = { name: "Matrix Mutual", insurerAddress: `0x${"7".repeat(40)}` };

/** By method and path, as the API document writes it. */
const snapshot: Rest = { params: ({ backupName }) => ({ name: backupName }) };

export const ACCESS: Readonly<Record<string, Row>> = {
  "GET /healthz": open("GET"),
  "GET /api/health": open("GET"),
  "GET /readyz": open("GET"),
  "GET /api/version": open("GET"),
  // Its own token opens it, and nothing that anyone signs in with.
  "GET /metrics": open("GET", {}, 401),
  "GET /assets/{file}": open("GET", { params: () => ({ file: "none.css" }) }, 404),

  // Who is signed in already is sent on.
  "GET /sign-in": {
    outcomes: {
      ...everyone(303),
      nobody: "in",
      expiredSession: "in",
      operatorKey: "in",
      readToken: "in",
      writeToken: "in",
    },
  },
  "GET /accept-invitation": open("GET"),
  "GET /reset-password": open("GET"),
  // An operator's first page is another.
  "GET /": page({}, 303),
  "GET /settings": page({}, "in"),
  "GET /claims": page(),
  "GET /claims/new": page(),
  "GET /claims/bulk": page({ roles: ["billing", "admin"] }),
  "GET /claims/{claimId}": page(claim),
  "GET /claims/{claimId}/edit": page({ params: ({ draftClaimId: claimId }) => ({ claimId }), stranger: 404 }),
  "GET /claims/{claimId}/correct": page(submitted),
  "GET /claims/{claimId}/proof": page(submitted),
  "GET /patients": page(),
  "POST /patients": {
    raw: { type: "application/x-www-form-urlencoded", text: "q=nobody" },
    outcomes: { ...page().outcomes, crossSite: 404 },
  },
  "GET /patients/new": page(),
  "GET /patients/{patientId}": page(patient),
  "GET /clinic": page(),
  "GET /admin/people": page({ roles: ["admin"] }),
  "GET /admin/audit": page({ roles: ["admin"] }),
  "GET /admin/flags": page({ roles: ["admin"] }, "in"),
  "GET /admin/secrets": page({ roles: ["admin"] }, "in"),
  "GET /admin/connectors": page({ roles: ["billing", "admin"] }),
  "GET /remittances": page({ roles: ["billing", "admin"] }),
  "GET /remittances/new": page({ roles: ["billing", "admin"] }),
  "GET /remittances/{remittanceId}": page({
    params: ({ remittanceId }) => ({ remittanceId }),
    roles: ["billing", "admin"],
    stranger: 404,
  }),

  "GET /operations": operatorPage(),
  "GET /operations/charts": operatorPage({}, 303),
  "GET /operations/charts/{board}": operatorPage({ params: () => ({ board: "queues" }) }),
  "GET /operations/auto-submit": operatorPage(),
  "GET /operations/deliveries": operatorPage(),
  "GET /operations/deliveries/{outboxId}": operatorPage(deadLetter),
  "GET /operations/ledger": operatorPage(),
  "GET /operations/ledger/{seq}": operatorPage({ params: () => ({ seq: "0" }) }),
  "GET /operations/alerts": operatorPage(),
  "GET /operations/settlements": operatorPage(),
  "GET /operations/settlements/{refId}": operatorPage(settlement),
  "GET /operations/reconciliation": operatorPage(),
  "GET /operations/reconciliation/items/{itemId}": operatorPage(item),
  "GET /operations/idempotency": operatorPage(),
  "GET /operations/anchors": operatorPage(),
  "GET /operations/anchors/{size}": operatorPage({ params: () => ({ size: "1" }) }),

  "GET /api/operations/overview": operators("GET"),
  "GET /api/operations/series": operators("GET"),
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
  "GET /api/admin/cache": operators("GET"),
  "GET /api/admin/re-encrypt": operators("GET"),
  "POST /api/admin/re-encrypt": operators("POST"),
  "GET /api/admin/re-hash": operators("GET"),
  "POST /api/admin/re-hash": operators("POST"),
  "POST /api/admin/seed": operators("POST"),
  // As if it were not there, without its token.
  "POST /api/dev/seed": { outcomes: everyone(404) },

  "GET /api/patients": clinic("GET"),
  "POST /api/patients": clinic("POST"),
  "GET /api/providers": clinic("GET"),
  "POST /api/providers": clinic("POST", { roles: ["admin"] }),
  "GET /api/insurers": clinic("GET"),
  "POST /api/insurers": clinic("POST", { roles: ["admin"], body: () => newInsurer }),

  "POST /api/patients/search": clinic("POST", { scope: "read" }),
  "GET /api/patients/{patientId}": clinic("GET", patient),
  "PATCH /api/patients/{patientId}": clinic("PATCH", { ...patient, body: () => ({ notes: "changed" }) }),
  "GET /api/patients/{patientId}/export": clinic("GET", { ...erasable, roles: ["admin"] }),
  "GET /api/patients/{patientId}/personal-data": clinic("GET", { ...erasable, roles: ["admin"] }),
  "DELETE /api/patients/{patientId}/personal-data": clinic("DELETE", {
    ...erasable,
    roles: ["admin"],
    body: () => ({ reason: "PATIENT_REQUEST" }),
  }),
  "GET /api/providers/{providerId}": clinic("GET", provider),
  "PATCH /api/providers/{providerId}": clinic("PATCH", {
    ...provider,
    roles: ["admin"],
    body: () => ({ name: "Dr. Changed" }),
  }),
  "GET /api/insurers/{insurerId}": clinic("GET", insurer),
  "PATCH /api/insurers/{insurerId}": clinic("PATCH", {
    ...insurer,
    roles: ["admin"],
    body: () => ({ name: "Changed Mutual" }),
  }),

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

  "POST /api/claims/{claimId}/requeue": clinic("POST", { ...claim, roles: ["billing", "admin"] }),
  "POST /api/claims/{claimId}/correct": clinic("POST", { ...claim, body: () => ({ notes: "corrected" }) }),
  "GET /api/claims/{claimId}/timeline": clinic("GET", claim),
  "GET /api/claims/{claimId}/proof": clinic("GET", claim),
  "POST /api/claims/bulk": clinic("POST", {
    roles: ["billing", "admin"],
    query: "?dryRun=true",
    raw: { type: "text/csv", text: "patientId,providerId,insurerId,type,amount\n" },
  }),
  "POST /api/claims/{claimId}/attachments": clinic("POST", {
    ...claim,
    raw: { type: "application/pdf", text: "%PDF-1.7\n%%EOF\n" },
  }),
  "GET /api/claims/{claimId}/attachments": clinic("GET", claim),
  "GET /api/claims/{claimId}/attachments/{attachmentId}": clinic("GET", attachment),
  "DELETE /api/claims/{claimId}/attachments/{attachmentId}": clinic("DELETE", attachment),

  "GET /api/remittances": clinic("GET", { roles: ["billing", "admin"] }),
  "POST /api/remittances": clinic("POST", { roles: ["billing", "admin"] }),
  "GET /api/remittances/{remittanceId}": clinic("GET", {
    roles: ["billing", "admin"],
    params: ({ remittanceId }) => ({ remittanceId }),
    stranger: 404,
  }),

  "GET /api/audit": staff("GET", ["admin"]),
  "GET /api/clinic": clinic("GET"),
  "PATCH /api/clinic": clinic("PATCH", { roles: ["admin"], body: () => ({ locale: "en" }) }),

  "GET /api/edi/connectors": staff("GET", ["billing", "admin"]),
  "POST /api/edi/connectors/{name}/test": staff("POST", ["admin"], connector),
  "POST /api/edi/sandbox/reset": staff("POST", ["admin"]),
  "GET /api/edi/exchanges": staff("GET", ["billing", "admin"]),
  "POST /api/claims/{claimId}/edi": clinic("POST", { ...claim, body: () => ({ connector: "cdanet" }) }),
  "GET /api/claims/{claimId}/edi": clinic("GET", claim),

  "GET /fhir/metadata": open("GET"),
  "POST /fhir": clinic("POST", { body: () => ({ resourceType: "Bundle" }) }),
  "POST /fhir/Claim": clinic("POST", { body: () => ({ resourceType: "Claim" }) }),
  "GET /fhir/Claim/{id}": clinic("GET", fhirClaim),
  "GET /fhir/ClaimResponse/{id}": clinic("GET", {
    params: ({ paidClaimId }) => ({ id: paidClaimId.replace("_", "-") }),
    stranger: 404,
  }),
  "GET /fhir/ClaimResponse": clinic("GET"),

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

  "GET /api/operations/secrets": operators("GET"),
  "POST /api/operations/backups": operators("POST"),
  "GET /api/operations/backups": operators("GET"),
  "GET /api/operations/backups/{name}": operators("GET", snapshot),
  "POST /api/operations/backups/{name}/advance": operators("POST", snapshot),
  "GET /api/operations/backups/{name}/manifest": operators("GET", snapshot),
  "GET /api/operations/backup-keys": operators("GET"),
  "GET /api/operations/backup-object": operators("GET", { query: "?path=none" }),
  "GET /api/operations/maintenance": operators("GET"),
  "PUT /api/operations/maintenance": operators("PUT", { body: () => ({ on: false }) }),
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
  "POST /api/operations/settlements/{refId}/resolve": operators("POST", {
    ...settlement,
    body: () => ({ outcome: "FAILED", reason: "TICKET-1" }),
  }),
  "POST /api/operations/settlements/{refId}/replay": operators("POST", settlement),
  "POST /api/operations/reconciliation/runs": operators("POST", {
    body: () => ({ from: "2026-01-01", to: "2026-01-02" }),
  }),
  "POST /api/operations/reconciliation/runs/{runId}/continue": operators("POST", run),
  "GET /api/operations/reconciliation/runs/{runId}/report.csv": operators("GET", run),
  "PUT /api/operations/reconciliation/items/{itemId}/owner": operators("PUT", {
    ...item,
    body: () => ({ mine: true }),
  }),
  "POST /api/operations/reconciliation/items/{itemId}/resolve": operators("POST", {
    ...item,
    body: () => ({ action: "ask" }),
  }),
  "POST /api/operations/idempotency-keys/{keyId}/resolve": operators("POST", {
    params: () => ({ keyId: "0".repeat(64) }),
  }),
  "POST /api/operations/alerts/{name}/acknowledge": operators("POST", { params: () => ({ name: "dead-letters" }) }),
  "POST /api/operations/alerts/silences": operators("POST", { body: () => ({ minutes: 5, reason: "CHG-1" }) }),
  "DELETE /api/operations/alerts/silences/{silenceId}": operators("DELETE", {
    params: () => ({ silenceId: "none" }),
  }),
  "GET /api/operations/alerts/contacts": operators("GET"),
  "PUT /api/operations/alerts/contacts": operators("PUT", {
    body: () => ({ people: [{ name: "One", phone: "+1-555-0101", roles: ["on-call-primary"] }] }),
  }),
  "POST /api/operations/alerts/test": operators("POST"),
  "GET /api/operations/ledger/entries/{seq}/proof": operators("GET", {
    params: () => ({ seq: "0" }),
    query: `?subject=0x${"0".repeat(64)}`,
  }),
};
