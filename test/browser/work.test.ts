import { text } from "node:stream/consumers";
import { afterAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { disconnect, facts, lookAtPage, Visitor } from "./support/visitor.ts";

afterAll(disconnect);

const CLAIM = {
  patientId: "pat_demo_1",
  providerId: "prv_demo_1",
  insurerId: "ins_demo_1",
  type: "claim",
  amount: "40.00",
  codes: ["01202"],
};

const CSV = [
  "patientId,providerId,insurerId,amount,codes,reference",
  "pat_demo_1,prv_demo_1,ins_demo_1,80.00,01202,row-1",
  "pat_nobody,prv_demo_1,ins_demo_1,80.00,01202,row-2",
  "pat_demo_2,prv_demo_1,ins_demo_1,not money,01202,row-3",
].join("\n");

const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "base64",
);

async function switchOn(flag: string): Promise<void> {
  const answer = await fetch(`${facts.hubUrl}/api/admin/flags/${flag}`, {
    method: "PUT",
    headers: { "content-type": "application/json", "x-api-key": facts.secrets.HUB_OPERATOR_API_KEY ?? "" },
    body: JSON.stringify({ enabled: true, percentage: 100 }),
  });
  expect(answer.status).toBe(200);
}

describe("many claims in a file", () => {
  it("are checked first, reported row by row, and the good ones filed", async () => {
    await switchOn("FEATURE_FLAG_BULK_OPERATIONS");
    const visitor = await Visitor.arrive();
    const { page } = visitor;
    await visitor.signInQuickly();
    await page.goto("/claims");
    await page.click("a[href='/claims/bulk']");
    await page.setInputFiles("#bulk-file", { name: "claims.csv", mimeType: "text/csv", buffer: Buffer.from(CSV) });
    expect(await page.isDisabled("[data-dry-run=false]")).toBe(true);
    await page.click("[data-dry-run=true]");
    await page.waitForSelector("#bulk-report tbody tr");
    expect(await page.textContent("#bulk-report .verdict")).toBe(
      "Good rows: 1. Wrong or double: 2. Nothing is filed yet.",
    );
    expect(await page.locator("#bulk-report tbody .badge").allTextContents()).toEqual(["Good", "Wrong", "Wrong"]);
    expect(await page.locator("#bulk-report tbody td:last-child").allTextContents()).toEqual([
      "",
      "patientId: This clinic has no such record. Look it up in its list.",
      "amount: Write an amount of this currency, such as 120.50.",
    ]);
    expect(await lookAtPage(visitor, "claims-bulk-report")).toEqual([]);
    await page.click("[data-dry-run=false]");
    await page.waitForSelector("#bulk-report tbody a");
    expect(await page.textContent("#bulk-report .verdict")).toMatch(/^Claims filed: 1/);
    await Promise.all([page.waitForURL(/\/claims\/clm_/), page.click("#bulk-report tbody a")]);
    expect(visitor.complaints).toEqual([]);
    await visitor.leave();
  });
});

describe("a file beside a claim", () => {
  it("is attached, shown by its name, and removed after a question; one that lies about its type is refused", async () => {
    const visitor = await Visitor.arrive();
    const { page } = visitor;
    await visitor.signInQuickly();
    await page.goto("/claims");
    await Promise.all([page.waitForEvent("load"), page.click("tbody a")]);
    await page.setInputFiles("#attachment", {
      name: "x-ray.png",
      mimeType: "image/png",
      buffer: Buffer.from("no image"),
    });
    await page.waitForSelector("#attachment-error:not([hidden])");
    expect(await page.textContent("#attachment-error")).toBe("This kind of file is not accepted.");
    visitor.complaints.length = 0; // the refusal
    await page.setInputFiles("#attachment", { name: "x-ray <b>1.png", mimeType: "image/png", buffer: PNG });
    await page.waitForSelector(".files li");
    await page.waitForLoadState();
    expect(await page.textContent(".files a")).toBe("x-ray <b>1.png");
    expect(await lookAtPage(visitor, "claim-attachment")).toEqual([]);
    await page.click(".files button");
    await page.waitForSelector("#remove-file[open]");
    await page.click("#remove-file [data-close]");
    expect(await page.locator(".files li").count()).toBe(1);
    await page.click(".files button");
    await Promise.all([page.waitForEvent("load"), page.click("#remove-file [data-confirmed]")]);
    expect(await page.locator(".files li").count()).toBe(0);
    expect(visitor.complaints).toEqual([]);
    await visitor.leave();
  });
});

describe("someone new", () => {
  it("is invited by a link shown once, chooses a password, and is in; the link is good once", async () => {
    const visitor = await Visitor.arrive();
    const { page } = visitor;
    await visitor.signInQuickly();
    await page.goto("/admin/people");
    await page.click("[data-open=invite]");
    await page.fill("#invite-form [name=name]", "Robin Gagnon");
    await page.fill("#invite-form [name=email]", "robin@demo.invalid");
    await page.selectOption("#invite-form [name=role]", "billing");
    await page.click("#invite-form button[type=submit]");
    await page.waitForSelector("#invitation-once[open]");
    expect(await lookAtPage(visitor, "people-invited")).toEqual([]);
    const link = await page.inputValue("#invitation-once [data-once-value]");
    expect(link).toMatch(/\/accept-invitation#[0-9a-f]{64}$/);
    await Promise.all([page.waitForEvent("load"), page.click("#invitation-once [data-close]")]);
    expect(await page.content()).not.toContain(link.split("#")[1] ?? "");

    const guest = await Visitor.arrive();
    await guest.page.goto(link);
    expect(guest.page.url()).toBe(`${facts.hubUrl}/accept-invitation`);
    await guest.page.fill("[name=password]", "correct horse battery");
    await guest.page.fill("[name=again]", "correct horse batter");
    await guest.page.click("#link-form button[type=submit]");
    expect(await guest.page.textContent("#f-again-error")).toBe("The two do not match.");
    await guest.page.fill("[name=again]", "correct horse battery");
    await guest.page.click("#link-form button[type=submit]");
    await guest.page.waitForURL(`${facts.hubUrl}/`);
    expect(await guest.page.textContent(".lead")).toContain("Robin Gagnon");
    await guest.leave();

    const late = await Visitor.arrive();
    await late.page.goto(link);
    await late.page.fill("[name=password]", "correct horse battery");
    await late.page.fill("[name=again]", "correct horse battery");
    await late.page.click("#link-form button[type=submit]");
    await late.page.waitForSelector("#link-form [data-form-error]:not([hidden])");
    expect(await late.page.textContent("#link-form [data-form-error]")).toMatch(/used up or has expired/);
    await late.leave();
    await visitor.leave();
  });
});

describe("a patient who asks", () => {
  it("is given a copy of everything, and is erased for a reason, after which nothing of them is shown", async () => {
    const visitor = await Visitor.arrive();
    const { page } = visitor;
    await visitor.signInQuickly();
    const made = await visitor.api(
      "POST",
      "/api/patients",
      { firstName: "Marguerite", lastName: "Leaving", healthNumber: "ERASE 1" },
      201,
    );
    const { patientId } = z.object({ patientId: z.string() }).parse(made);
    const claim = { ...CLAIM, patientId, notes: "Only between us." };
    const { claimId } = z.object({ claimId: z.string() }).parse(await visitor.api("POST", "/api/claims", claim, 201));
    await visitor.waitForPaid(claimId);

    await page.goto(`/patients/${patientId}`);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("a[href$='/export']")]);
    expect(download.suggestedFilename()).toBe(`${patientId}.json`);
    const copy = z
      .object({
        patient: z.object({ lastName: z.string() }),
        claims: z.array(z.object({ claimId: z.string(), notes: z.string() })),
        complete: z.literal(true),
      })
      .parse(JSON.parse(await text(await download.createReadStream())));
    expect(copy.patient.lastName).toBe("Leaving");
    expect(copy.claims).toMatchObject([{ claimId, notes: "Only between us." }]);

    await page.click("[data-open=erase-patient]");
    await page.click("#erase-form button[type=submit]");
    expect(await page.textContent("#f-reason-error")).toBe("Choose one.");
    expect(await lookAtPage(visitor, "patient-erase")).toEqual([]);
    await page.selectOption("#erase-form [name=reason]", "PATIENT_REQUEST");
    await Promise.all([page.waitForURL("**/patients"), page.click("#erase-form button[type=submit]")]);
    await page.waitForSelector("text=The erasure has begun.");
    expect(await page.textContent("main")).not.toContain("Marguerite");
    expect(visitor.complaints).toEqual([]);
    for (const path of [`/patients/${patientId}`, `/claims/${claimId}`]) {
      expect((await page.goto(path))?.status(), path).toBe(404);
    }
    await visitor.leave();
  });
});

describe("a field that the API refuses", () => {
  it("says why, beside the field and in the page's language", async () => {
    const visitor = await Visitor.arrive({ locale: "fr-CA" });
    const { page } = visitor;
    await visitor.signInQuickly();
    await visitor.api("PATCH", "/api/auth/me", { locale: "fr" }, 200);
    await page.goto("/remittances/new");
    await page.selectOption("[name=insurerId]", "ins_demo_1");
    await page.fill("[name=reference]", "EFT-REFUSED");
    await page.fill("[name=total]", "5,00");
    await page.fill("[data-item] [name=claimId]", "clm_nothinglikethis");
    await page.fill("[data-item] [name=paid]", "5,00");
    await page.click("#remittance-form button[type=submit]");
    await page.waitForSelector("#remittance-form [data-form-error]:not([hidden])");
    expect(await page.textContent("#remittance-form [data-form-error]")).toMatch(
      /^Ligne 1 : Cette clinique n’a pas cette réclamation/,
    );
    expect(await page.getAttribute("[data-item] [name=claimId]", "aria-invalid")).toBe("true");
    await page.goto("/claims/new?patientId=pat_demo_1");
    await page.selectOption("[name=providerId]", "prv_demo_1");
    await page.selectOption("[name=insurerId]", "ins_demo_1");
    await page.fill("[name=amount]", "1,001");
    // As if the page's own check had missed it.
    await page.evaluate("document.querySelector('[name=amount]').removeAttribute('pattern')");
    await page.click("#claim-form button[type=submit]");
    await page.waitForSelector("#f-amount-error:not([hidden])");
    expect(await page.textContent("#f-amount-error")).toBe("Écrivez un montant dans cette devise, comme 120,50.");
    await visitor.api("PATCH", "/api/auth/me", { locale: "en" }, 200);
    await visitor.leave();
  });
});

describe("a token of an integration", () => {
  it("is shown once, works, and is refused once it is revoked", async () => {
    const visitor = await Visitor.arrive();
    const { page } = visitor;
    await visitor.signInQuickly();
    await page.goto("/settings");
    await page.click("[data-open=new-token]");
    await page.fill("#token-name", "Practice software");
    await page.click("#token-form button[type=submit]");
    await page.waitForSelector("#token-once[open]");
    const token = await page.inputValue("#token-once [data-once-value]");
    const ask = () => fetch(`${facts.hubUrl}/api/claims`, { headers: { authorization: `Bearer ${token}` } });
    expect((await ask()).status).toBe(200);
    await Promise.all([page.waitForEvent("load"), page.click("#token-once [data-close]")]);
    await page.click("#tokens tr:has-text('Practice software') button");
    await Promise.all([page.waitForEvent("load"), page.click("#revoke-token [data-confirmed]")]);
    expect((await ask()).status).toBe(401);
    expect(visitor.complaints).toEqual([]);
    await visitor.leave();
  });
});
