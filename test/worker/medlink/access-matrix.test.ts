import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { userUpsert } from "../../../src/medlink/accounts/accounts.store.ts";
import { readSessionCookie, SESSION_IDLE_MS } from "../../../src/medlink/accounts/session.ts";
import { makeApp } from "../../../src/medlink/app.edge.ts";
import { bridgeRequestInsert } from "../../../src/medlink/bridge/bridge.store.ts";
import { clinicUpsert } from "../../../src/medlink/records/records.store.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { ACCESS, CALLERS, type Caller, type Outcome, type Row, type World } from "./access-matrix.ts";
import { CLAIM, json, migrate, TestHub } from "./harness.ts";

const routes = [
  ...new Set(
    makeApp(() => () => undefined)
      .routes.filter(({ method }) => method !== "ALL")
      .map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`),
  ),
];

let hub: TestHub;
let world: World;
let tokens: { readonly read: string; readonly write: string };

beforeAll(async () => {
  await migrate();
  hub = new TestHub({
    API_TOKEN_REQUESTS_PER_MINUTE: "100000",
    FEATURE_FLAG_NEW_UI: "true",
    FEATURE_FLAG_ADVANCED_ANALYTICS: "true",
    FEATURE_FLAG_BULK_OPERATIONS: "true",
  });
  hub.answer = () => Response.json({ status: "ok" });
  await hub.seed();
  const { db, fields, now } = await hub.hub();
  const people = [
    { userId: "usr_stranger", clinicId: "cln_other", role: "admin", email: "s@other.test", name: "Stranger" },
    { userId: "usr_target", clinicId: "cln_demo", role: "billing", email: "t@clinic.test", name: "Target" },
  ] as const;
  await db.batch([
    clinicUpsert(db, "cln_other", "Another clinic", now()),
    ...(await Promise.all(people.map((person) => userUpsert(db, fields, person, "no password", now())))),
    bridgeRequestInsert(db, {
      coreId: "core-request-1",
      clinicId: "cln_demo",
      kind: "workflow",
      requestIdHash: undefined,
      createdBy: "usr_demo_admin",
      createdAt: now(),
    }),
  ]);
  const admin = await hub.signInAs("usr_demo_admin");
  const made = async (path: string, body?: unknown): Promise<Readonly<Record<string, unknown>>> =>
    (await admin.read("POST", path, body)).body;
  const { claimId } = await made("/api/claims", CLAIM);
  const filed = await made("/api/claims", CLAIM);
  await made(`/api/claims/${String(filed.claimId)}/submit`);
  const pdf = "%PDF-1.7\n%%EOF\n";
  const attached = await hub.fetch(`/api/claims/${String(claimId)}/attachments`, {
    method: "POST",
    body: pdf,
    headers: { "content-type": "application/pdf", "content-length": String(pdf.length), cookie: admin.cookie },
  });
  const attachment = await attached.json<{ readonly attachmentId?: string }>();
  const job = await env.DB.prepare("SELECT job_id AS jobId FROM auto_submit_jobs LIMIT 1").first<string>("jobId");
  const { claimId: paidClaimId } = await made("/api/claims", CLAIM);
  await env.DB.prepare(
    "UPDATE claims SET status = 'paid', request_id = claim_id, version = version + 1 WHERE claim_id = ?",
  )
    .bind(paidClaimId)
    .run();
  const { claimId: draftClaimId } = await made("/api/claims", CLAIM);
  const { claimId: submittedClaimId } = await made("/api/claims", CLAIM);
  await env.DB.prepare(
    "UPDATE claims SET status = 'submitted', request_id = claim_id, request_id_hash = ?, version = version + 1 WHERE claim_id = ?",
  )
    .bind(`0x${"5".repeat(64)}`, submittedClaimId)
    .run();
  const remittance = await made("/api/remittances", {
    insurerId: CLAIM.insurerId,
    reference: "MATRIX-1",
    paidOn: "2026-01-31",
    total: CLAIM.amount,
    lines: [{ claimId: paidClaimId, paid: CLAIM.amount }],
  });
  const invitation = await made("/api/invitations", { email: "i@clinic.test", name: "I", role: "billing" });
  const read = await made("/api/tokens", { name: "reads", scopes: ["read"] });
  const write = await made("/api/tokens", { name: "writes", scopes: ["write"] });
  const target = await made("/api/tokens", { name: "to be revoked", scopes: ["read"] });
  const operatorKey = { "x-api-key": TEST_SECRETS.hub.HUB_OPERATOR_API_KEY };
  const operate = (path: string) => {
    const init = json("POST", {});
    return hub.fetch(path, { ...init, headers: { ...init.headers, ...operatorKey } });
  };
  const begun = await (await operate("/api/operations/backups")).json<{ readonly name?: string }>();
  await operate(`/api/operations/backups/${begun.name}/advance`);
  tokens = { read: String(read.token), write: String(write.token) };
  world = {
    claimId: String(claimId),
    jobId: job ?? "",
    coreId: "core-request-1",
    userId: "usr_target",
    invitationId: String(invitation.invitationId),
    tokenId: String(target.tokenId),
    patientId: CLAIM.patientId,
    providerId: CLAIM.providerId,
    insurerId: CLAIM.insurerId,
    attachmentId: String(attachment.attachmentId),
    remittanceId: String(remittance.remittanceId),
    backupName: String(begun.name),
    paidClaimId: String(paidClaimId),
    submittedClaimId: String(submittedClaimId),
    draftClaimId: String(draftClaimId),
  };
});

async function credentials(caller: Caller): Promise<Record<string, string>> {
  const session = async (userId: string) => ({ cookie: (await hub.signInAs(userId)).cookie });
  switch (caller) {
    case "nobody":
      return {};
    case "expiredSession": {
      const { cookie } = await session("usr_demo_admin");
      const hash = readSessionCookie(cookie.split("=")[1] ?? "", [TEST_SECRETS.hub.SESSION_SECRET]);
      await env.DB.prepare("UPDATE sessions SET last_seen_at = last_seen_at - ? WHERE session_hash = ?")
        .bind(SESSION_IDLE_MS + 1, hash)
        .run();
      return { cookie };
    }
    case "crossSite":
      return {
        ...(await session("usr_demo_admin")),
        origin: "https://elsewhere.test",
        "sec-fetch-site": "cross-site",
      };
    case "wrongClinic":
      return session("usr_stranger");
    case "operatorKey":
      return { "x-api-key": TEST_SECRETS.hub.HUB_OPERATOR_API_KEY };
    case "operator":
      return session("usr_demo_operator");
    case "readToken":
      return { authorization: `Bearer ${tokens.read}` };
    case "writeToken":
      return { authorization: `Bearer ${tokens.write}` };
    case "provider":
    case "billing":
    case "admin":
      return session(`usr_demo_${caller}`);
  }
}

async function ask(route: string, row: Row, caller: Caller): Promise<{ status: number; text: string }> {
  const [method = "", template = ""] = route.split(" ");
  const params = row.params?.(world) ?? {};
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? "missing"));
  const needsBody = method === "POST" || method === "PUT" || method === "PATCH";
  const init =
    row.raw !== undefined
      ? {
          method,
          body: row.raw.text,
          headers: { "content-type": row.raw.type, "content-length": String(row.raw.text.length) },
        }
      : needsBody || row.body !== undefined
        ? json(method, row.body?.(world) ?? {})
        : { method, headers: {} };
  const headers = { ...init.headers, ...(await credentials(caller)) };
  const response = await hub.fetch(`${path}${row.query ?? ""}`, { ...init, headers });
  return { status: response.status, text: await response.text() };
}

/** What a caller who was let in may hear: not that they were refused, were sent elsewhere, or broke something. */
const letIn = (status: number): boolean => status < 300 || [400, 404, 409].includes(status);

const fits = (outcome: Outcome, status: number): boolean => (outcome === "in" ? letIn(status) : status === outcome);

const belongsHere = ["nobody", "expiredSession", "wrongClinic"] as const satisfies readonly Caller[];

describe("who may call what", () => {
  it("is written down for every route, and for no other", () => {
    expect(Object.keys(ACCESS).sort(), "rows of access-matrix.ts, and the routes of the app").toEqual(routes.sort());
  });

  it.each(routes.filter((route) => route in ACCESS))("%s", async (route) => {
    const row = ACCESS[route];
    if (row === undefined) throw new Error("no row");
    const found: Partial<Record<Caller, Outcome>> = {};
    const statuses: number[] = [];
    // Those who are refused ask first: whoever is let in may use the thing up.
    const refused = CALLERS.filter((caller) => row.outcomes[caller] !== "in");
    const answers = await Promise.all(refused.map(async (caller) => ({ caller, ...(await ask(route, row, caller)) })));
    for (const caller of CALLERS) {
      if (row.outcomes[caller] === "in") answers.push({ caller, ...(await ask(route, row, caller)) });
    }
    for (const { caller, status, text } of answers) {
      const expected = row.outcomes[caller];
      found[caller] = fits(expected, status) ? expected : status;
      if (expected === "in" && caller !== "wrongClinic") statuses.push(status);
      if (belongsHere.some((each) => each === caller)) {
        const ids = [...Object.values(world), "usr_demo_admin", "@clinic.test", "cln_demo"];
        for (const id of ids) expect(text, `${caller} hears of ${id}`).not.toContain(id);
      }
    }
    expect(found).toEqual(row.outcomes);
    // Else "there is no such thing" to the wrong clinic would prove nothing.
    if (row.params !== undefined && statuses.length > 0) expect(statuses[0]).not.toBe(404);
  });
});
