import { describe, expect, test } from "vitest";
import { destinationUrlFault, extraHeadersFault } from "../../../src/relay/destinations.ts";

const REFUSED_EVERYWHERE = [
  "",
  "not a url",
  "ftp://hooks.insurer.ca/",
  "javascript:alert(1)",
  "file:///etc/passwd",
  "http://hooks.insurer.ca/hook",
  "https://user:secret@hooks.insurer.ca/hook",
  "https://user@hooks.insurer.ca/hook",
  "https://hooks.insurer.ca/hook#fragment",
  "https://10.0.0.1/hook",
  "https://192.168.1.1/hook",
  "https://169.254.169.254/latest/meta-data",
  "https://8.8.8.8/hook",
  "https://0x0a000001/hook",
  "https://167772161/hook",
  "https://0/hook",
  "https://[fd00::1]/hook",
  "https://[::ffff:10.0.0.1]/hook",
  "https://intranet/hook",
  "https://printer.local/hook",
  "https://db.internal/hook",
  "https://db.internal./hook",
  "https://router.home.arpa/hook",
  "https://10.0.0.1./hook",
  "https://0177.0.0.1.0x10/hook",
  "https://012.0.0.1/hook",
  "https://10.1/hook",
  "https://%31%30.0.0.1/hook",
  "https://１０.0.0.1/hook",
  "https://[fe80::1]/hook",
  "https://[64:ff9b::a00:1]/hook",
  "https://[::]/hook",
  "https://localhost.localdomain.internal/hook",
  "https://hooks.insurer.ca../hook",
  "https://.insurer.ca/hook",
  "https://10.0.0.1.nip.io/hook",
  "https://a.localtest.me/hook",
  `https://hooks.insurer.ca/${"a".repeat(2_048)}`,
];

const LOOPBACK = [
  "http://127.0.0.1:4000/hook",
  "http://localhost:4000/hook",
  "http://[::1]:4000/hook",
  "https://127.8.9.1/hook",
  "http://0x7f.1/hook",
];

describe("destination URLs", () => {
  test.each(["development", "staging", "production"] as const)(
    "https to a public name is taken in %s",
    (environment) => {
      expect(destinationUrlFault("https://hooks.insurer.ca:8443/itrans?clinic=1", environment)).toBeUndefined();
    },
  );

  test.each(REFUSED_EVERYWHERE)("%j is refused everywhere", (url) => {
    expect(destinationUrlFault(url, "development")).toBeTypeOf("string");
    expect(destinationUrlFault(url, "production")).toBeTypeOf("string");
  });

  test.each(LOOPBACK)("%j is for development only", (url) => {
    expect(destinationUrlFault(url, "development")).toBeUndefined();
    expect(destinationUrlFault(url, "staging")).toBeTypeOf("string");
    expect(destinationUrlFault(url, "production")).toBeTypeOf("string");
  });

  test.each(["http://user:pw@127.0.0.1/hook", "ftp://127.0.0.1/hook"])("%j is refused in development too", (url) => {
    expect(destinationUrlFault(url, "development")).toBeTypeOf("string");
  });
});

describe("extra headers", () => {
  test("names and values of one's own are taken", () => {
    expect(extraHeadersFault({})).toBeUndefined();
    expect(extraHeadersFault({ Authorization: "Bearer abc", "x-tenant": "clinic 7" })).toBeUndefined();
  });

  test.each([
    "content-type",
    "Content-Length",
    "HOST",
    "idempotency-key",
    "webhook-signature",
    "x-iTrans-relay-signature",
    "X-Correlation-Id",
    "transfer-encoding",
    "x-forwarded-for",
    "cf-connecting-ip",
    "bad name",
    "bad:name",
    "",
  ])("the name %j is refused", (name) => {
    expect(extraHeadersFault({ [name]: "value" })).toBeTypeOf("string");
  });

  test.each(["", " padded", "two\r\nlines", "tab\there", "caf\u00e9", "x".repeat(513)])(
    "the value %j is refused",
    (value) => {
      const fault = extraHeadersFault({ "x-own": value });
      expect(fault).toBeTypeOf("string");
      if (value.trim() !== "") expect(fault).not.toContain(value);
    },
  );

  test("too many, or one twice, are refused", () => {
    expect(extraHeadersFault(Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`x-${i}`, "v"])))).toBeTypeOf(
      "string",
    );
    expect(extraHeadersFault({ "x-own": "a", "X-Own": "b" })).toBeTypeOf("string");
  });
});
