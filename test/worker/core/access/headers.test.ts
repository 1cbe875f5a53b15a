import { beforeAll, describe, expect, it } from "vitest";
import { call, callWith, KEYS, migrate } from "../support.ts";

beforeAll(migrate);

describe("every answer of core", () => {
  it.each([
    ["a page", "/docs"],
    ["a document", "/openapi.json"],
    ["a refusal", "/workflow/requests/x"],
    ["nothing", "/nothing-here"],
    ["the log's key", "/ledger/log/key"],
  ])("forbids guessing, framing and referring: %s", async (_what, path) => {
    const { headers } = await call(path, { key: "" });
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("x-frame-options")).toBe("DENY");
    expect(headers.get("referrer-policy")).toBe("no-referrer");
    expect(headers.get("content-security-policy")).toContain("default-src 'none'");
  });

  it("is kept by nobody, unless it says so, and allows no other site", async () => {
    const { headers } = await call("/health", { headers: { origin: "https://elsewhere.example" } });
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("access-control-allow-origin")).toBeNull();
    expect(headers.get("cross-origin-resource-policy")).toBe("same-origin");
  });

  it("insists on HTTPS outside development alone", async () => {
    const production = await callWith({ ENVIRONMENT: "production" }, "/version");
    expect(production.headers.get("strict-transport-security")).toContain("max-age=31536000");
    expect((await call("/version")).headers.get("strict-transport-security")).toBeNull();
  });
});

it.each(["gzip", "br", "deflate, gzip"])("refuses a body packed with %s: nothing is unpacked", async (encoding) => {
  const refused = await call("/workflow/claims", {
    method: "POST",
    rawBody: "{}",
    headers: { "content-encoding": encoding },
  });
  expect(refused.status).toBe(415);
});

it("refuses a service with a weak secret outside development, and says which it is and not what", async () => {
  const weak = { ENVIRONMENT: "production", CLAIMS_API_KEY: "short-value" };
  const { status, text } = await callWith(weak, "/health", { key: KEYS.WORKFLOW_API_KEY });
  expect(status).toBe(503);
  expect(text).toContain("CLAIMS_API_KEY is shorter");
  expect(text).not.toContain("short-value");
});
