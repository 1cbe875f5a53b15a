import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it } from "vitest";
import { readSecretAges, recordSightings } from "../../../src/medlink/secrets/secret-ages.store.ts";
import { sightingsOf } from "../../../src/medlink/secrets/secret-ages.ts";
import { migrate, type Session, TestHub } from "./harness.ts";

const hub = new TestHub();
let admin: Session;

const page = (session: Session, path: string, init: RequestInit = {}): Promise<Response> =>
  hub.fetch(path, { ...init, headers: { accept: "text/html", cookie: session.cookie, ...init.headers } });

beforeAll(async () => {
  await migrate();
  await hub.seed();
  admin = await hub.signInAs("usr_demo_admin");
});

describe("a page of the console", () => {
  it("sends someone without a session to the sign-in page, and knows the way back", async () => {
    const response = await hub.fetch("/claims?status=paid");
    expect(response.status).toBe(303);
    expect(response.headers.get("location")).toBe("/sign-in?next=%2Fclaims%3Fstatus%3Dpaid");
  });

  it("is not for a role that it is not for", async () => {
    const provider = await hub.signInAs("usr_demo_provider");
    expect((await page(provider, "/admin/people")).status).toBe(403);
    expect((await page(provider, "/remittances")).status).toBe(403);
    expect((await page(admin, "/admin/people")).status).toBe(200);
  });

  it("is kept by nobody on the way and framed by no one", async () => {
    const { headers } = await page(admin, "/patients");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  });

  it("takes no form from another site's page", async () => {
    const body = "q=Tremblay";
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      "content-length": String(body.length),
      "sec-fetch-site": "same-origin",
    };
    const own = await page(admin, "/patients", { method: "POST", body, headers });
    expect(await own.text()).toContain("Tremblay, Avery");
    const foreign = { ...headers, "sec-fetch-site": "cross-site" };
    expect((await page(admin, "/patients", { method: "POST", body, headers: foreign })).status).toBe(404);
  });

  it("shows nothing of another clinic", async () => {
    await env.DB.exec("INSERT INTO clinics (clinic_id, name, created_at) VALUES ('cln_other', 'Other', 0)");
    await env.DB.exec("UPDATE users SET clinic_id = 'cln_other' WHERE user_id = 'usr_demo_billing'");
    const other = await hub.signInAs("usr_demo_billing");
    expect((await page(other, "/patients/pat_demo_1")).status).toBe(404);
    expect(await (await page(other, "/patients")).text()).not.toContain("Tremblay, Avery");
  });

  it("of an address that is none is a page for a browser and a problem for a program", async () => {
    const forBrowser = await hub.fetch("/nowhere", { headers: { accept: "text/html" } });
    expect(forBrowser.status).toBe(404);
    expect(forBrowser.headers.get("content-type")).toContain("text/html");
    const forProgram = await hub.fetch("/nowhere");
    expect(forProgram.headers.get("content-type")).toContain("application/problem+json");
  });
});

describe("the age of a secret", () => {
  it("counts from when its value was first seen, and nothing of the value is kept", async () => {
    const values = { SESSION_SECRET: "one-session-secret-that-is-long-enough" };
    await recordSightings(env.DB, sightingsOf(values), 1_000);
    await recordSightings(env.DB, sightingsOf(values), 2_000);
    expect((await readSecretAges(env.DB)).get("SESSION_SECRET")).toBe(1_000);
    await recordSightings(env.DB, sightingsOf({ SESSION_SECRET: "another-session-secret-long-enough" }), 3_000);
    expect((await readSecretAges(env.DB)).get("SESSION_SECRET")).toBe(3_000);
    const { results } = await env.DB.prepare("SELECT * FROM hub_settings").all();
    expect(JSON.stringify(results)).not.toContain("session-secret-long");
  });
});
