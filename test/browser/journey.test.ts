import { afterAll, describe, expect, it } from "vitest";
import { STEP_MS, totp } from "./support/totp.ts";
import { disconnect, facts, lookAtPage, tooWide, Visitor } from "./support/visitor.ts";

afterAll(disconnect);

/** A code is taken once: the next is that of the next half minute, which is accepted a little early. */
const nextCode = (secret: string, used: string): string => {
  const now = totp(secret, Date.now());
  return now === used ? totp(secret, Date.now() + STEP_MS) : now;
};

describe("a person of the clinic", () => {
  it("signs in with a second factor, files a claim, watches it become paid, verifies its proof, changes language", async () => {
    const visitor = await Visitor.arrive();
    const { page } = visitor;

    // Sets the second factor up.
    await visitor.signIn("billing@demo.invalid", facts.password);
    await page.waitForURL("**/");
    await page.goto("/settings");
    await page.click("[data-factor-setup] button");
    const secret = (await page.textContent("[data-factor-secret]:not(:empty)"))?.replace(/\s/g, "") ?? "";
    expect(secret).toMatch(/^[A-Z2-7]{32,}$/);
    expect(await page.getAttribute("img.qr", "src")).toMatch(/^data:image\/svg\+xml,/);
    expect(await lookAtPage(visitor, "settings-second-factor")).toEqual([]);
    const first = totp(secret, Date.now());
    await page.fill("#enable-code", first);
    await page.click("#enable-form button[type=submit]");
    await page.waitForSelector("#backup-codes[open] li");
    const backupCodes = await page.locator("#backup-codes li").allTextContents();
    expect(backupCodes.length).toBeGreaterThanOrEqual(8);
    await Promise.all([page.waitForEvent("load"), page.click("#backup-codes [data-close].primary")]);

    // Signs out, and in again with it.
    await page.click("[data-sign-out]");
    await page.waitForURL("**/sign-in");
    await visitor.signIn("billing@demo.invalid", facts.password);
    await page.waitForSelector("#second-factor:not([hidden])");
    expect(await lookAtPage(visitor, "second-factor")).toEqual([]);
    await page.fill("#code [name=code]", "000000");
    await page.click("#code button[type=submit]");
    await page.waitForSelector("#code [data-form-error]:not([hidden])");
    await page.fill("#code [name=code]", nextCode(secret, first));
    await page.click("#code button[type=submit]");
    await page.waitForURL("**/");
    visitor.complaints.length = 0; // the refused code

    // Files a claim.
    await page.goto("/claims/new");
    await page.click("#claim-form button[type=submit]");
    expect(await page.textContent("#patient-error")).toMatch(/choose one from the list/);
    await page.focus("#patient-name");
    await page.waitForSelector("#patient-options [role=option]");
    await page.fill("#patient-name", "Tremblay");
    expect(await page.isVisible("#patient-options")).toBe(false); // found for other words
    await page.waitForSelector("#patient-options [role=option]");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    expect(await page.inputValue("#patient-name")).toBe("Avery Tremblay");
    const row = page.locator("[data-item]").first();
    await row.locator("[name=code]").fill("01202");
    await row.locator("[name=quantity]").fill("2");
    await row.locator("[name=unitPrice]").fill("60,25");
    expect(await page.inputValue("[name=amount]")).toBe("120.50");
    await page.selectOption("[name=providerId]", "prv_demo_1");
    await page.selectOption("[name=insurerId]", "ins_demo_1");
    await page.click("#claim-form button[type=submit]");
    await page.waitForURL(/\/claims\/clm_/);
    await page.waitForSelector(".toast");

    // Watches it: nothing is clicked or reloaded.
    await page.waitForSelector("#claim-status .badge.good", { timeout: 30_000 });
    expect(await page.textContent("#claim-status")).toBe("Paid");
    const anchored = page.locator("#claim-timeline .place .badge.good");
    await expect.poll(() => anchored.count(), { timeout: 20_000 }).toBeGreaterThanOrEqual(3);

    // Verifies its proof.
    await page.click("[data-verify]");
    await page.waitForSelector("[data-verdict]");
    expect(await page.getAttribute("[data-verdict]", "data-verdict")).toBe("passed");
    const results = await page
      .locator("[data-step]")
      .evaluateAll((items) =>
        items.map((item) => `${item.getAttribute("data-step")} ${item.getAttribute("data-result")}`),
      );
    expect(results).toEqual([
      "entry passed",
      "claim passed",
      "inclusion passed",
      "signature passed",
      "memory open",
      "anchor passed",
    ]);
    await page.click("[data-verify]");
    await page.waitForSelector("[data-step=memory][data-result=passed]");
    expect(await lookAtPage(visitor, "claim-verified")).toEqual([]);

    // A proof that was tampered with on its way does not hold.
    await page.route("**/proof", async (route) => {
      const answer = await route.fetch();
      const bundle: unknown = await answer.json();
      const path =
        typeof bundle === "object" &&
        bundle !== null &&
        "inclusionProof" in bundle &&
        Array.isArray(bundle.inclusionProof)
          ? bundle.inclusionProof
          : [];
      await route.fulfill({ response: answer, json: { ...Object(bundle), inclusionProof: path.slice(1) } });
    });
    await page.click("[data-verify]");
    await page.waitForSelector("[data-step=inclusion][data-result=failed]");
    expect(await page.getAttribute("[data-verdict]", "data-verdict")).toBe("failed");
    await page.unroute("**/proof");

    // Changes language; the account keeps it.
    await Promise.all([page.waitForEvent("load"), page.selectOption("[data-locale-switch]", "fr")]);
    expect(await page.getAttribute("html", "lang")).toBe("fr-CA");
    expect(await page.textContent("#claim-status")).toBe("Payée");
    expect(await page.textContent("#claim-facts, .facts")).toMatch(/120,50\s\$/);
    await visitor.context.clearCookies({ name: "medlink_locale" });
    await page.goto("/");
    expect(await page.textContent("h1")).toBe("Tableau de bord");
    expect(await lookAtPage(visitor, "dashboard-french")).toEqual([]);
    expect(visitor.complaints).toEqual([]);
    await visitor.leave();
  });

  it("reaches everything by keyboard: the skip link first, dialogs that close with Escape and give the focus back", async () => {
    const visitor = await Visitor.arrive();
    const { page } = visitor;
    await visitor.signInQuickly();
    await page.goto("/patients/pat_demo_1");
    await page.keyboard.press("Tab");
    expect(await page.evaluate<string>("document.activeElement.className")).toBe("skip");
    await page.keyboard.press("Enter");
    expect(await page.evaluate<string>("document.activeElement.id")).toBe("content");
    await page.focus("[data-open=edit-patient]");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#edit-patient[open]");
    expect(await lookAtPage(visitor, "patient-edit")).toEqual([]);
    await page.keyboard.press("Escape");
    expect(await page.evaluate<string>("document.activeElement.dataset.open")).toBe("edit-patient");
    await visitor.leave();
  });

  it("finds a patient without putting the name into an address", async () => {
    const visitor = await Visitor.arrive();
    const { page } = visitor;
    const addresses: string[] = [];
    page.on("request", (request) => addresses.push(request.url()));
    await visitor.signInQuickly();
    await page.goto("/patients");
    await page.fill("[name=q]", "okafor");
    await page.click("search button[type=submit]");
    await page.waitForSelector("text=1 patient found");
    expect(await page.textContent("tbody")).toMatch(/Okafor, Jordan/);
    expect(addresses.filter((address) => /okafor|jordan/i.test(address))).toEqual([]);
    await visitor.leave();
  });

  it("who signs in on the way somewhere arrives there, and nowhere else", async () => {
    const visitor = await Visitor.arrive();
    const { page } = visitor;
    await page.goto("/claims?status=paid");
    expect(new URL(page.url()).pathname).toBe("/sign-in");
    await page.fill("#sign-in [name=email]", facts.email);
    await page.fill("#sign-in [name=password]", facts.password);
    await page.click("#sign-in button[type=submit]");
    await page.waitForURL("**/claims?status=paid");
    for (const next of ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]) {
      await page.goto(`/sign-in?next=${encodeURIComponent(next)}`);
      expect(page.url(), next).toBe(`${facts.hubUrl}/`);
    }
    await visitor.leave();
  });
});

describe("text that wants to be markup", () => {
  const ATTACK = `"><img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'{{7*7}}`;

  it("shows as text wherever it was stored", async () => {
    const visitor = await Visitor.arrive();
    const { page } = visitor;
    await visitor.signInQuickly();
    const stored = async (
      path: string,
      fields: object,
      method = "POST",
      status = 201,
    ): Promise<Record<string, string>> => Object(await visitor.api(method, path, fields, status));
    const patient = await stored("/api/patients", {
      firstName: ATTACK,
      lastName: ATTACK,
      healthNumber: ATTACK.slice(0, 40),
      notes: ATTACK,
    });
    const provider = await stored("/api/providers", { name: ATTACK, licenceNumber: ATTACK.slice(0, 40) });
    const insurer = await stored("/api/insurers", { name: ATTACK, insurerAddress: `0x${"ab".repeat(20)}` });
    const claim = await stored("/api/claims", {
      patientId: patient.patientId,
      providerId: provider.providerId,
      insurerId: insurer.insurerId,
      type: "claim",
      amount: "10.00",
      codes: [{ code: ATTACK.slice(0, 40), description: ATTACK }],
      notes: ATTACK,
    });
    await stored("/api/tokens", { name: ATTACK, scopes: ["read"] });
    await stored("/api/invitations", { name: ATTACK, email: "x@demo.invalid", role: "provider" });
    await stored("/api/auth/me", { name: ATTACK }, "PATCH", 200);
    await stored("/api/clinic", { name: ATTACK }, "PATCH", 200);
    const paths = [
      "/",
      "/claims",
      `/claims/${claim.claimId}`,
      `/claims/new?patientId=${patient.patientId}`,
      "/patients",
      `/patients/${patient.patientId}`,
      "/clinic",
      "/settings",
      "/admin/people",
      "/admin/audit",
      `/claims?q=${encodeURIComponent(ATTACK)}`,
    ];
    for (const path of paths) {
      await page.goto(path);
      expect(await page.content(), path).toMatch(/&lt;img src=x|value="&quot;&gt;&lt;img/);
      expect(await page.evaluate("[window.hacked ?? null, document.querySelector('img[src=x]')]"), path).toEqual([
        null,
        null,
      ]);
      expect(await tooWide(page), path).toEqual([]);
    }
    // Through the scripts too: the list of a combo box.
    await page.goto("/claims/new");
    await page.focus("#patient-name");
    await page.waitForSelector("#patient-options [role=option]");
    expect(await page.textContent("#patient-options")).toContain("<img src=x");
    expect(await page.evaluate("[window.hacked ?? null, document.querySelector('img[src=x]')]")).toEqual([null, null]);
    expect(visitor.complaints).toEqual([]);
    await visitor.api("PATCH", "/api/auth/me", { name: "Demo Administrator" }, 200);
    await visitor.api("PATCH", "/api/clinic", { name: "Maple Street Dental (demo)" }, 200);
    await visitor.leave();
  });
});
