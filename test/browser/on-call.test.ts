/** What somebody on call sees and decides: settlements, reconciliation, Idempotency-Keys, alerts. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { disconnect, facts, lookAtPage, Visitor } from "./support/visitor.ts";

const DAY_MS = 86_400_000;
const INVENTED = "operator-only-1";
const CLAIM = {
  patientId: "pat_demo_1",
  providerId: "prv_demo_1",
  insurerId: "ins_demo_1",
  type: "claim",
  amount: "140.00",
  codes: [{ code: "01202", description: "Examination, recall" }],
};

let operator: Visitor;
let clinic: Visitor;
let paidClaim = "";
let settled = "";
let waiting = "";

const settlement = z.object({ refId: z.string(), status: z.string() });

async function core(method: string, path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) {
  const key = method === "POST" ? facts.secrets.WORKFLOW_API_KEY : facts.secrets.OPERATOR_API_KEY;
  const answer = await fetch(`${facts.coreUrl}${path}`, {
    method,
    headers: { "x-api-key": key ?? "", "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answered: unknown = await answer.json();
  return { status: answer.status, body: answered };
}

async function books(method: string, path: string, body: unknown): Promise<void> {
  const { url, controlToken } = facts.operator;
  const answer = await fetch(`${url}/control/${path}`, {
    method,
    headers: { "x-control-token": controlToken, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
}

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 300; i++) {
    if (await look()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what} did not come`);
}

async function fileApprovedClaim(): Promise<string> {
  const filed = z.object({ claimId: z.string() }).parse(await clinic.api("POST", "/api/claims", CLAIM, 201));
  await until("the approval", async () => {
    const claim = await clinic.api("GET", `/api/claims/${filed.claimId}`, undefined, 200);
    return z.object({ status: z.string() }).parse(claim).status === "paid";
  });
  return filed.claimId;
}

/** Asks for all that was approved. @param until the settlement's status that is waited for. */
async function settle(claimId: string, status: string): Promise<string> {
  const body = { requestId: claimId, type: "payment" };
  const made = await core("POST", "/settlements", body, { "idempotency-key": `pay-${claimId}` });
  expect(made.status).toBe(201);
  const { refId } = settlement.parse(made.body);
  await until(`a settlement that is ${status}`, async () => {
    const found = await core("GET", `/settlements/${refId}`);
    return settlement.parse(found.body).status === status;
  });
  return refId;
}

/** A claim that was paid; one whose operator is still at work; and a transaction that only the operator has. */
beforeAll(async () => {
  clinic = await Visitor.arrive();
  await clinic.signInQuickly();
  const [first, second] = await Promise.all([fileApprovedClaim(), fileApprovedClaim()]);
  paidClaim = first;
  settled = await settle(paidClaim, "COMPLETED");
  await books("PUT", "behaviour", { late: 1, completesAfterMs: 3_600_000 });
  waiting = await settle(second, "PROCESSING");
  await books("POST", "transactions", {
    transactionId: INVENTED,
    type: "payment",
    amountCents: 9_900,
    currency: "CAD",
    reverses: null,
    createdAt: Math.floor(Date.now() / DAY_MS) * DAY_MS - DAY_MS / 2,
  });
  operator = await Visitor.arrive();
  await operator.signInQuickly("operator@demo.invalid", facts.password);
}, 120_000);

afterAll(async () => {
  await operator?.leave();
  await clinic?.leave();
  await disconnect();
});

describe("somebody on call", () => {
  it("finds settlements by status, and says by hand what became of one that waits", async () => {
    const { page } = operator;
    await page.goto("/operations/settlements?status=PROCESSING");
    expect(await page.textContent("#stuck")).toContain("Nothing is stuck");
    expect(await lookAtPage(operator, "operations-settlements")).toEqual([]);
    await page.click(`#settlements a[href="/operations/settlements/${waiting}"]`);
    await page.waitForURL(`**/operations/settlements/${waiting}`);
    expect(await page.textContent("#settlement")).toContain("$140.00");
    await page.click("button[data-open=resolve]");
    await page.selectOption("#resolve [name=outcome]", "COMPLETED");
    await page.click("#resolve button[type=submit]");
    await page.waitForSelector("#resolve [aria-invalid=true]");
    await page.fill("#resolve [name=reason]", "TICKET-17");
    expect(await lookAtPage(operator, "operations-settlement-resolve")).toEqual([]);
    await page.click("#resolve button[type=submit]");
    await page.waitForSelector("text=It is recorded.");
    expect(await page.textContent("#settlement .card-head")).toContain("Completed");
    expect(await page.textContent("#settlement table")).toContain("TICKET-17");
    expect(await page.$("button[data-open=resolve]")).toBeNull();
    expect(await lookAtPage(operator, "operations-settlement")).toEqual([]);
    const audit = await operator.api("GET", "/api/audit?limit=20", undefined, 200);
    expect(JSON.stringify(audit)).toContain('"settlement.resolve"');
  });

  it("compares a day, takes what only the operator has, and accepts it with a reason", async () => {
    const { page } = operator;
    await page.goto("/operations/reconciliation");
    await page.click("button[data-open=run]");
    await page.click("#run button[type=submit]");
    await page.waitForURL("**/operations/reconciliation?list=runs");
    await page.waitForSelector("#runs a[download]");
    await until("the item", async () => {
      const found = await core("GET", `/settlements/reconciliation/items?refId=${INVENTED}`);
      return z.object({ items: z.array(z.unknown()) }).parse(found.body).items.length === 1;
    });
    await page.goto("/operations/reconciliation?list=runs");
    expect(await lookAtPage(operator, "operations-reconciliation-runs")).toEqual([]);
    const report = await operator.context.request.get((await page.getAttribute("#runs a[download]", "href")) ?? "none");
    expect(report.headers()["content-disposition"]).toMatch(/^attachment; filename="reconciliation-.*\.csv"$/);
    await page.goto("/operations/reconciliation");
    expect(await lookAtPage(operator, "operations-reconciliation")).toEqual([]);
    await page.click("#lists tbody a[href*='/items/']");
    await page.waitForSelector("#item");
    expect(await page.textContent("#item")).toContain("Not there");
    await page.click("button[data-call$='/owner']");
    await page.waitForSelector("text=It is yours.");
    expect(await page.textContent("#item")).toContain("You");
    await page.click("button[data-open=accept]");
    await page.fill("#accept [name=reason]", "TICKET-18");
    expect(await lookAtPage(operator, "operations-reconciliation-accept")).toEqual([]);
    await page.click("#accept button[type=submit]");
    await page.waitForSelector("text=It is accepted.");
    expect(await page.textContent("#item")).toContain("TICKET-18");
    expect(await page.$("button[data-open=accept]")).toBeNull();
    expect(await lookAtPage(operator, "operations-reconciliation-item")).toEqual([]);
  });

  it("sees which requests with a key are at work, and which were answered", async () => {
    const { page } = operator;
    await page.goto("/operations/idempotency");
    expect(await page.textContent("main")).toContain("No key is left processing");
    expect(await lookAtPage(operator, "operations-idempotency-none")).toEqual([]);
    await page.click(".tabs a[href*='COMPLETED']");
    await page.waitForSelector(`#keys a[href="/operations/settlements/${settled}"]`);
    expect(await lookAtPage(operator, "operations-idempotency")).toEqual([]);
  });

  it("is shown an alert first, acknowledges it, silences it and ends the silence", async () => {
    const { page } = operator;
    const reused = { requestId: paidClaim, type: "adjustment", amountCents: 1 };
    const answer = await core("POST", "/settlements", reused, { "idempotency-key": `pay-${paidClaim}` });
    expect(answer.status).toBe(422);
    const alert = "#alert-idempotency-collision";
    await page.goto("/operations/alerts");
    await page.waitForSelector(alert, { timeout: 60_000 });
    expect(await page.textContent(alert)).toContain("Acknowledge within");
    expect(await lookAtPage(operator, "operations-alerts")).toEqual([]);
    await page.goto("/operations");
    expect(await page.textContent("#ops-overview .stack > :first-child")).toContain(
      "An Idempotency-Key was used twice",
    );
    expect(await lookAtPage(operator, "operations-overview-alerts")).toEqual([]);
    await page.goto("/operations/alerts");
    await page.click(`${alert} button[data-call$="/acknowledge"]`);
    await page.waitForSelector("text=It is acknowledged");
    expect(await page.textContent(alert)).not.toContain("Acknowledge within");
    await page.click(`${alert} button[data-open]`);
    await page.fill("#silence-idempotency-collision [name=reason]", "CHG-7");
    await page.click("#silence-idempotency-collision button[type=submit]");
    await page.waitForSelector("text=It is silent.");
    expect(await page.textContent(alert)).toContain("Silent until");
    expect(await lookAtPage(operator, "operations-alerts-silenced")).toEqual([]);
    await page.click("button[data-call^='DELETE']");
    await page.waitForSelector("text=The silence is ended.");
    await page.click("button[data-confirm=test]");
    await page.click("#test [data-confirmed]");
    await page.waitForSelector("text=The test was sent.");
    expect(operator.complaints).toEqual([]);
  });

  it("reads it all in French", async () => {
    const { page } = operator;
    await operator.api("PATCH", "/api/auth/me", { locale: "fr" }, 200);
    for (const [path, heading] of [
      ["/operations/settlements", "Règlements"],
      [`/operations/settlements/${settled}`, "Règlement"],
      ["/operations/reconciliation?state=all", "Rapprochement"],
      ["/operations/idempotency", "Clés d’idempotence"],
      ["/operations/alerts", "Alertes"],
    ] as const) {
      await page.goto(path);
      expect(await page.textContent("h1")).toContain(heading);
      expect(await page.textContent("main")).not.toMatch(/\b(ops|stl|rec|idem|alerts)\.\w+/);
    }
    expect(await page.textContent("#alerts")).toContain("Une clé d’idempotence a servi deux fois");
    expect(await lookAtPage(operator, "operations-alerts-french")).toEqual([]);
    await operator.api("PATCH", "/api/auth/me", { locale: "en" }, 200);
  });
});

describe("a clinic's people", () => {
  it("see on a claim what the payer's operator confirmed, and none of the operators' pages", async () => {
    const { page } = clinic;
    await page.goto(`/claims/${paidClaim}`);
    expect(await page.textContent("#claim-payments")).toContain("Paid to the clinic");
    expect(await page.textContent("#claim-payments")).toContain("$140.00");
    expect(await lookAtPage(clinic, "claim-payments")).toEqual([]);
    for (const path of ["settlements", `settlements/${settled}`, "reconciliation", "idempotency", "alerts"]) {
      expect((await page.goto(`/operations/${path}`))?.status(), path).toBe(403);
    }
  });
});
