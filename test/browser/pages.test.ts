import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { disconnect, lookAtPage, Visitor } from "./support/visitor.ts";

const claimAnswer = z.object({ claimId: z.string() });

let admin: Visitor;
let claimId = "";
let remittanceId = "";

beforeAll(async () => {
  admin = await Visitor.arrive();
  await admin.signInQuickly();
  const filed = await admin.api("POST", "/api/claims", CLAIM, 201);
  ({ claimId } = claimAnswer.parse(filed));
  await admin.waitForPaid(claimId);
  const paid = {
    insurerId: "ins_demo_1",
    reference: "EFT-2026-11-1",
    paidOn: "2026-11-20",
    total: "182.50",
    lines: [{ claimId, paid: "182.50" }],
  };
  const recorded = await admin.api("POST", "/api/remittances", paid, 201);
  ({ remittanceId } = z.object({ remittanceId: z.string() }).parse(recorded));
  await admin.api("PATCH", "/api/auth/me", { timeZone: "America/Toronto" }, 200);
});
afterAll(async () => {
  await admin.leave();
  await disconnect();
});

const CLAIM = {
  patientId: "pat_demo_1",
  providerId: "prv_demo_1",
  insurerId: "ins_demo_1",
  type: "claim",
  amount: "182.50",
  currency: "CAD",
  codes: [
    { code: "01202", description: "Examination, recall", quantity: 1, unitPrice: "62.50" },
    { code: "11101", description: "Scaling, one unit", quantity: 2, unitPrice: "60.00" },
  ],
  notes: "Recall visit.",
};

const PAGES: readonly (readonly [name: string, path: () => string])[] = [
  ["dashboard", () => "/"],
  ["claims", () => "/claims"],
  ["claims-no-match", () => "/claims?q=clm_nothinglikethis"],
  ["claim", () => `/claims/${claimId}`],
  ["claim-proof", () => `/claims/${claimId}/proof`],
  ["claim-new", () => "/claims/new?patientId=pat_demo_1"],
  ["claim-correct", () => `/claims/${claimId}/correct`],
  ["patients", () => "/patients"],
  ["patient", () => "/patients/pat_demo_1"],
  ["patient-new", () => "/patients/new"],
  ["claims-bulk", () => "/claims/bulk"],
  ["remittances", () => "/remittances"],
  ["remittance-new", () => "/remittances/new"],
  ["remittance", () => `/remittances/${remittanceId}`],
  ["connectors", () => "/admin/connectors"],
  ["clinic", () => "/clinic"],
  ["settings", () => "/settings"],
  ["people", () => "/admin/people"],
  ["flags", () => "/admin/flags"],
  ["secrets", () => "/admin/secrets"],
  ["audit", () => "/admin/audit"],
];

describe("a page in both widths and themes", () => {
  for (const [name, path] of PAGES) {
    it(`holds what axe asks for, and complains of nothing: ${name}`, async () => {
      await admin.page.goto(path());
      expect(await lookAtPage(admin, name)).toEqual([]);
    });
  }

  it("is also there for what is not there", async () => {
    await admin.page.goto("/no/such/page");
    admin.complaints.length = 0; // the browser notes the 404 itself
    expect(await lookAtPage(admin, "not-found")).toEqual([]);
  });
});

describe("a page for someone who is not signed in", () => {
  for (const [name, path] of [
    ["accept-invitation", "/accept-invitation"],
    ["reset-password", `/reset-password#${"ab".repeat(32)}`],
  ] as const) {
    it(`holds what axe asks for, and complains of nothing: ${name}`, async () => {
      const visitor = await Visitor.arrive();
      await visitor.page.goto(path);
      expect(await lookAtPage(visitor, name)).toEqual([]);
      await visitor.leave();
    });
  }
});
