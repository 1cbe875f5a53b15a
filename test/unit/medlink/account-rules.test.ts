import { describe, expect, it } from "vitest";
import { type AuthFacts, authFindings } from "../../../src/medlink/accounts/auth-config.ts";
import { deviceOf } from "../../../src/medlink/accounts/device.ts";
import {
  ACCOUNT_FAILURES,
  ADDRESS_FAILURES,
  ATTEMPT_MS,
  type Attempt,
  addressKey,
  LOCKOUT_WINDOW_MS,
  refusalOf,
} from "../../../src/medlink/accounts/lockout.ts";
import { passwordFault } from "../../../src/medlink/accounts/password.ts";
import {
  fromBase32,
  matchTotp,
  newBackupCodes,
  newTotpSecret,
  normalizeBackupCode,
  otpauthUrl,
  TOTP_STEP_MS,
  toBase32,
  totpCode,
  totpStep,
} from "../../../src/medlink/accounts/totp.ts";
import { isTimeZone, placementOf } from "../../../src/medlink/accounts/user.ts";
import { bucketOf, dayOf, FLAG_NAMES, isOnFor } from "../../../src/medlink/flags/flag.ts";
import { utf8 } from "../../../src/platform/encoding.ts";

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length));

describe("one-time passwords", () => {
  const key = utf8("12345678901234567890");

  // RFC 6238, appendix B, SHA-1.
  it.each([
    [59, "94287082"],
    [1_111_111_109, "07081804"],
    [1_111_111_111, "14050471"],
    [1_234_567_890, "89005924"],
    [2_000_000_000, "69279037"],
    [20_000_000_000, "65353130"],
  ])("are those of RFC 6238 at %i s", (seconds, code) => {
    expect(totpCode(key, totpStep(seconds * 1_000), 8)).toBe(code);
  });

  // RFC 4226, appendix D.
  it("are those of RFC 4226 for the first ten counters", () => {
    const codes = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489".split(" ");
    expect(codes.map((_, counter) => totpCode(key, counter))).toEqual(codes);
  });

  it("match in their step and the ones beside it, and are spent from the last step taken backwards", () => {
    const secret = toBase32(key);
    const now = 1_800_000_000_000;
    const step = totpStep(now);
    const at = (offset: number) => totpCode(key, step + offset);
    expect(matchTotp(secret, at(0), now, 0)).toBe(step);
    expect(matchTotp(secret, at(-1), now, 0)).toBe(step - 1);
    expect(matchTotp(secret, at(1), now, 0)).toBe(step + 1);
    expect(matchTotp(secret, at(-2), now, 0)).toBeUndefined();
    expect(matchTotp(secret, at(2), now, 0)).toBeUndefined();
    expect(matchTotp(secret, at(0), now, step)).toBeUndefined();
    expect(matchTotp(secret, at(-1), now, step)).toBeUndefined();
    expect(matchTotp(secret, at(1), now, step)).toBe(step + 1);
    expect(matchTotp(secret, at(0), now + 2 * TOTP_STEP_MS, 0)).toBeUndefined();
    expect(matchTotp("not base32!", at(0), now, 0)).toBeUndefined();
  });

  it("have secrets of 160 bits that base32 carries there and back", () => {
    const secret = newTotpSecret(random);
    expect(secret).toMatch(/^[A-Z2-7]{32}$/);
    expect(toBase32(fromBase32(secret) ?? new Uint8Array())).toBe(secret);
    // RFC 4648, section 10.
    for (const [text, encoded] of [
      ["f", "MY"],
      ["fo", "MZXQ"],
      ["foobar", "MZXW6YTBOI"],
    ] as const) {
      expect(toBase32(utf8(text))).toBe(encoded);
      expect(fromBase32(encoded)).toEqual(Uint8Array.from(utf8(text)));
    }
  });

  it("are set up by a key URI whose label no address can break", () => {
    const url = new URL(otpauthUrl("ABC", "a b&c@x.test"));
    expect(url.searchParams.get("secret")).toBe("ABC");
    expect(url.searchParams.get("issuer")).toBe("MedLink");
    expect(decodeURIComponent(url.pathname)).toContain("MedLink:a b&c@x.test");
  });

  it("have backup codes that are all different and read in any case, with or without the dash", () => {
    const codes = newBackupCodes(random);
    expect(new Set(codes).size).toBe(10);
    for (const code of codes) expect(code).toMatch(/^[a-z2-7]{5}-[a-z2-7]{5}$/);
    expect(normalizeBackupCode(" ABCDE fghij ")).toBe(normalizeBackupCode("abcde-fghij"));
  });
});

describe("the bound on guessing", () => {
  const now = 1_800_000_000_000;
  const attempts = (count: number, state: Attempt["state"], age = 0): readonly Attempt[] =>
    Array.from({ length: count }, (_, i) => ({ state, at: now - age - i }));

  it("locks at five failures until the first of them is 15 minutes old", () => {
    const failed = attempts(ACCOUNT_FAILURES, "failed", 60_000);
    expect(refusalOf(failed, [], now)).toEqual({
      type: "locked",
      retryAfterMs: LOCKOUT_WINDOW_MS - 60_000 - (ACCOUNT_FAILURES - 1),
    });
    expect(refusalOf([], attempts(ADDRESS_FAILURES, "failed"), now).type).toBe("locked");
  });

  it("waits for attempts under way, and counts those that died as failed", () => {
    const mixed = [...attempts(2, "pending"), ...attempts(3, "failed", 1_000)];
    expect(refusalOf(mixed, [], now)).toEqual({ type: "busy" });
    expect(refusalOf(attempts(ACCOUNT_FAILURES, "pending", ATTEMPT_MS), [], now).type).toBe("locked");
  });

  it("takes an IPv6 customer's /64 for one address", () => {
    const same = ["2001:db8:0:1::1", "2001:0DB8:0:1:ffff::2", "2001:db8:0000:0001:0:0:0:3", "2001:db8:0:1::%eth0"];
    expect(new Set(same.map(addressKey)).size).toBe(1);
    expect(addressKey("2001:db8:0:2::1")).not.toBe(addressKey("2001:db8:0:1::1"));
    expect(addressKey("::1")).toBe("0:0:0:0");
    expect(addressKey("192.0.2.7")).toBe("192.0.2.7");
    expect(addressKey(undefined)).toBe("");
  });
});

describe("passwords of one's own choice", () => {
  it.each([
    ["short", "a@x.test"],
    ["aaaaaaaaaaaaaaaa", "a@x.test"],
    ["abababababababab", "a@x.test"],
    ["somebody@clinic.test", "Somebody@clinic.test"],
    ["somebody1234somebody", "somebody@clinic.test"],
  ])("refuse %s", (password, email) => {
    expect(passwordFault(password, email)).toBeDefined();
  });

  it.each(["correct horse battery", "пароль из слов", "Ünïcödé wörds ok"])("take %s", (password) => {
    expect(passwordFault(password, "a@x.test")).toBeUndefined();
  });
});

it("names a session's device from closed lists and keeps nothing else of the header", () => {
  const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
  expect(deviceOf(firefox)).toBe("Firefox, Linux");
  expect(deviceOf("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1")).toBe(
    "Safari, iOS",
  );
  expect(deviceOf("secret-of-jane/1.0")).toBe("unknown");
  expect(deviceOf(undefined)).toBe("unknown");
});

it("places operators outside any clinic and everyone else in one", () => {
  expect(placementOf(null, "operator")).toEqual({ clinicId: null, role: "operator" });
  expect(placementOf("cln_1", "admin")).toEqual({ clinicId: "cln_1", role: "admin" });
  expect(placementOf("cln_1", "operator")).toBeUndefined();
  expect(placementOf(null, "admin")).toBeUndefined();
});

it("knows time zones that times can be shown in", () => {
  expect(isTimeZone("America/Toronto")).toBe(true);
  for (const name of ["Mars/Olympus", "", "../etc"]) expect(isTimeZone(name)).toBe(false);
});

describe("the check of the configuration", () => {
  const good: AuthFacts = {
    environment: "production",
    secretFaults: [],
    rotating: false,
    publicUrl: "https://hub.test",
    passwordsWork: true,
    staleHashes: 0,
    operators: { users: 1, withSecondFactor: 1 },
    admins: { users: 2, withSecondFactor: 2 },
    operatorKey: true,
  };
  const results = (facts: Partial<AuthFacts>) =>
    Object.fromEntries(authFindings({ ...good, ...facts }).map(({ name, result }) => [name, result]));

  it("is all well where all is well", () => {
    expect(new Set(Object.values(results({})))).toEqual(new Set(["ok"]));
  });

  it.each([
    [{ secretFaults: ["SESSION_SECRET is shorter than 32 characters"] }, "secrets", "fault"],
    [{ secretFaults: ["x"], environment: "development" }, "secrets", "warning"],
    [{ rotating: true }, "rotation", "warning"],
    [{ passwordsWork: false }, "passwords", "fault"],
    [{ operators: { users: 0, withSecondFactor: 0 } }, "operators", "warning"],
    [{ operators: { users: 2, withSecondFactor: 1 } }, "operators", "warning"],
    [{ admins: { users: 2, withSecondFactor: 1 } }, "admins", "warning"],
    [{ publicUrl: undefined }, "links", "warning"],
    [{ publicUrl: "http://hub.test" }, "links", "fault"],
  ] as const)("says what is wrong with %j", (facts, name, result) => {
    expect(results(facts)[name]).toBe(result);
  });
});

describe("feature flags", () => {
  const users = Array.from({ length: 10_000 }, (_, i) => `usr_${i}`);
  const [first, second] = FLAG_NAMES;
  const shareOn = (percentage: number) =>
    users.filter((user) => isOnFor({ enabled: true, percentage }, first, user)).length / users.length;

  it("are on for the given share of the users, give or take a point", () => {
    for (const percentage of [5, 25, 50]) expect(Math.abs(shareOn(percentage) - percentage / 100)).toBeLessThan(0.015);
    expect(shareOn(0)).toBe(0);
    expect(shareOn(100)).toBe(1);
    expect(users.some((user) => isOnFor({ enabled: false, percentage: 100 }, first, user))).toBe(false);
  });

  it("stay on for those who have them when the share rises", () => {
    for (const user of users) {
      if (isOnFor({ enabled: true, percentage: 5 }, first, user)) {
        expect(isOnFor({ enabled: true, percentage: 25 }, first, user)).toBe(true);
      }
    }
  });

  it("give each flag other first users", () => {
    const same = users.filter((user) => bucketOf(first, user) < 500 && bucketOf(second, user) < 500).length;
    expect(same).toBeLessThan(60);
  });

  it("are counted by UTC day", () => {
    expect(dayOf(Date.UTC(2026, 0, 31, 23, 59, 59, 999))).toBe("2026-01-31");
  });
});
