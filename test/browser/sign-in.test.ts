import { afterAll, afterEach, describe, expect, it } from "vitest";
import { disconnect, facts, lookAtPage, Visitor } from "./support/visitor.ts";

const visitors: Visitor[] = [];

async function arrive(...options: Parameters<typeof Visitor.arrive>): Promise<Visitor> {
  const visitor = await Visitor.arrive(...options);
  visitors.push(visitor);
  return visitor;
}

afterEach(async () => {
  for (const visitor of visitors.splice(0)) await visitor.leave();
});
afterAll(disconnect);

describe("the sign-in page", () => {
  it("says what is wrong beside the fields, and what to do when the password is", async () => {
    const visitor = await arrive();
    const { page } = visitor;
    await page.goto("/sign-in");
    expect(await lookAtPage(visitor, "sign-in")).toEqual([]);
    await page.click("#sign-in button[type=submit]");
    expect(await page.textContent("#f-email-error")).toBe("Fill this in.");
    expect(await page.evaluate<string>("document.activeElement.name")).toBe("email");
    await visitor.signIn(facts.email, "not the password at all");
    await page.waitForSelector("#sign-in [data-form-error]:not([hidden])");
    expect(await page.textContent("#sign-in [data-form-error]")).toMatch(/Check both and try again/);
  });

  it("speaks the language that the browser asks for, and the other when it is switched", async () => {
    const { page } = await arrive({ locale: "fr-CA" });
    await page.goto("/sign-in");
    expect(await page.textContent("h1")).toBe("Connexion");
    await Promise.all([page.waitForEvent("load"), page.selectOption("[data-locale-switch]", "en")]);
    expect(await page.textContent("h1")).toBe("Sign in");
    expect(await page.getAttribute("html", "lang")).toBe("en-CA");
  });

  it("tells the browser to run and load nothing but its own", async () => {
    const response = await fetch(`${facts.hubUrl}/sign-in`);
    const policy = response.headers.get("content-security-policy") ?? "";
    for (const rule of [
      "script-src 'self'",
      "style-src 'self'",
      "object-src 'none'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
      "form-action 'self'",
    ]) {
      expect(policy.split("; ")).toContain(rule);
    }
    expect(policy).not.toContain("unsafe");
    const text = await response.text();
    expect(text).not.toMatch(/<script(?![^>]*\bsrc=)|<style|\bstyle=|\son\w+=/i);
  });
});
