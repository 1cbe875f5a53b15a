import { env } from "cloudflare:workers";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { userUpsert } from "../../../src/medlink/accounts/accounts.store.ts";
import { hashPassword, PASSWORD_COST } from "../../../src/medlink/accounts/password.ts";
import { fromBase32, TOTP_STEP_MS, totpCode, totpStep } from "../../../src/medlink/accounts/totp.ts";
import { normalizeEmail } from "../../../src/medlink/accounts/user.ts";
import { TEST_SECRETS } from "../../secrets.ts";
import { CLAIM, json, migrate, Session, TestHub } from "./harness.ts";

const PASSWORD = "three blue kettles";
/** Costs nothing, and is therefore renewed at the first sign-in. */
const CHEAP = { ...PASSWORD_COST, ln: 4, p: 1 };
const OPERATOR_KEY = { "x-api-key": TEST_SECRETS.hub.HUB_OPERATOR_API_KEY };

let hub: TestHub;
let people = 0;

beforeAll(async () => {
  await migrate();
  hub = new TestHub();
  await hub.seed();
});

beforeEach(() => env.DB.prepare("DELETE FROM sign_in_attempts").run());

interface NewPerson {
  readonly userId: string;
  readonly email: string;
}

/** Someone new of the demo clinic. */
async function addPerson(
  role: "provider" | "billing" | "admin" = "billing",
  clinicId = "cln_demo",
): Promise<NewPerson> {
  const { db, fields, random } = await hub.hub();
  const n = ++people;
  const user = { userId: `usr_p${n}`, email: `person${n}@clinic.test`, name: `Person ${n}`, clinicId, role };
  await (await userUpsert(db, fields, user, await hashPassword(PASSWORD, random, CHEAP), Date.now())).run();
  return user;
}

const signIn = (email: string, password: string, headers: Record<string, string> = {}): Promise<Response> =>
  hub.fetch("/api/auth/login", {
    ...json("POST", { email, password }),
    headers: { "content-type": "application/json", ...headers },
  });

const cookieOf = (response: Response, name: string): string => {
  const cookie = response.headers
    .getSetCookie()
    .map((each) => each.split(";")[0] ?? "")
    .find((each) => each.startsWith(`${name}=`));
  if (cookie === undefined) throw new Error(`no cookie ${name}`);
  return cookie;
};

const codeAt = (secret: string, at: number): string => totpCode(fromBase32(secret) ?? new Uint8Array(), totpStep(at));

/** The code of the step after the present one: the present one's was spent when the factor was enabled. */
const nextCode = (secret: string): string => codeAt(secret, Date.now() + TOTP_STEP_MS);

async function addSecondFactor(
  session: Session,
): Promise<{ secret: string; backupCodes: readonly string[]; cookie: string }> {
  const { body } = await session.read("POST", "/api/auth/totp/setup");
  const secret = String(body.secret);
  const enabled = await session.call("POST", "/api/auth/totp/enable", { code: codeAt(secret, Date.now()) });
  expect(enabled.status).toBe(200);
  const { backupCodes } = await enabled.json<{ backupCodes: string[] }>();
  return { secret, backupCodes, cookie: cookieOf(enabled, "medlink_session") };
}

/** The half sign-in's cookie. */
async function showPassword(email: string): Promise<string> {
  const response = await signIn(email, PASSWORD);
  expect(await response.json()).toEqual({ secondFactor: "required" });
  return cookieOf(response, "medlink_pending");
}

const showSecondFactor = (cookie: string, body: unknown): Promise<Response> =>
  hub.fetch("/api/auth/second-factor", {
    ...json("POST", body),
    headers: { "content-type": "application/json", cookie },
  });

const auditOf = async (subject: string): Promise<readonly string[]> => {
  const rows = await env.DB.prepare("SELECT action, detail FROM audit_events WHERE subject = ? ORDER BY audit_event_id")
    .bind(subject)
    .all<{ action: string; detail: string | null }>();
  return rows.results.map(({ action, detail }) => (detail === null ? action : `${action} ${detail}`));
};

describe("bounded guessing", () => {
  it("locks an account after five failures for what is left of 15 minutes, and lets it in afterwards", async () => {
    const { userId, email } = await addPerson();
    for (let i = 0; i < 5; i++) expect((await signIn(email, "wrong")).status).toBe(401);
    const locked = await signIn(email, PASSWORD);
    expect(locked.status).toBe(429);
    expect(await locked.json()).toMatchObject({ code: "locked_out" });
    const wait = Number(locked.headers.get("retry-after"));
    expect(wait).toBeGreaterThan(14 * 60);
    expect(wait).toBeLessThanOrEqual(15 * 60);
    await env.DB.prepare("UPDATE sign_in_attempts SET at = at - ?")
      .bind(wait * 1_000)
      .run();
    expect((await signIn(email, PASSWORD)).status).toBe(200);
    expect(await auditOf(userId)).toEqual([
      ...Array.from({ length: 5 }, () => "auth.failure password"),
      "auth.lockout password",
      "auth.login",
    ]);
  });

  it("lets no guess slip past when many come at the same moment", async () => {
    const { email } = await addPerson();
    const guesses = [...Array.from({ length: 14 }, (_, i) => `wrong ${i}`), PASSWORD];
    const answers = await Promise.all(guesses.map((password) => signIn(email, password)));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(10);
  });

  it("lets a person who is right sign in many times at the same moment", async () => {
    const { email } = await addPerson();
    const answers = await Promise.all(Array.from({ length: 9 }, () => signIn(email, PASSWORD)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 9 }, () => 200));
  });

  it("treats an address without an account as one with: counted, recorded, and locked in the same words", async () => {
    const { email } = await addPerson();
    const strip = async (response: Response) => ({
      status: response.status,
      body: { ...(await response.json<object>()), correlationId: "" },
      retryAfter: response.headers.has("retry-after"),
    });
    for (let i = 0; i < 6; i++) {
      const [known, unknown] = [await signIn(email, "wrong"), await signIn("nobody@clinic.test", "wrong")];
      expect(await strip(unknown)).toEqual(await strip(known));
    }
    expect(await auditOf("unknown")).toContain("auth.failure password");
  });

  it("forgets failures after a whole sign-in", async () => {
    const { email } = await addPerson();
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 4; i++) expect((await signIn(email, "wrong")).status).toBe(401);
      expect((await signIn(email, PASSWORD)).status).toBe(200);
    }
  });

  it("bounds the failures of one address over all accounts, and leaves other addresses alone", async () => {
    const { email } = await addPerson();
    const { fields } = await hub.hub();
    const now = Date.now();
    await env.DB.batch(
      Array.from({ length: 50 }, (_, i) =>
        env.DB.prepare(
          "INSERT INTO sign_in_attempts (account_hash, address_hash, state, at) VALUES (?, ?, 'failed', ?)",
        ).bind(`account ${i}`, fields.hash("address", "", "192.0.2.1"), now),
      ),
    );
    expect((await signIn(email, PASSWORD, { "cf-connecting-ip": "192.0.2.1" })).status).toBe(429);
    expect((await signIn(email, PASSWORD, { "cf-connecting-ip": "192.0.2.2" })).status).toBe(200);
  });

  it("counts guesses at the current password of someone who is signed in", async () => {
    const { userId, email } = await addPerson();
    const session = await hub.signInAs(userId);
    const guess = () =>
      session.call("POST", "/api/auth/change-password", { currentPassword: "wrong", newPassword: "four green lamps" });
    for (let i = 0; i < 5; i++) expect((await guess()).status).toBe(403);
    expect((await guess()).status).toBe(429);
    expect((await signIn(email, PASSWORD)).status).toBe(429);
  });
});

describe("passwords", () => {
  it("are hashed anew at today's cost when their hash is of another", async () => {
    const { userId, email } = await addPerson();
    const stored = () =>
      env.DB.prepare("SELECT password_hash AS hash FROM users WHERE user_id = ?").bind(userId).first<string>("hash");
    expect(await stored()).toContain("ln=4,");
    expect((await signIn(email, PASSWORD)).status).toBe(200);
    expect(await stored()).toContain(`ln=${PASSWORD_COST.ln},`);
    expect((await signIn(email, PASSWORD)).status).toBe(200);
  });

  it("when changed end all other sessions, and give this one a new id", async () => {
    const { userId, email } = await addPerson();
    const [mine, other] = [await hub.signInAs(userId), await hub.signInAs(userId)];
    const change = { currentPassword: PASSWORD, newPassword: "four green lamps" };
    expect((await mine.call("POST", "/api/auth/change-password", { ...change, newPassword: "short" })).status).toBe(
      400,
    );
    const changed = await mine.call("POST", "/api/auth/change-password", change);
    expect(changed.status).toBe(204);
    const renewed = new Session(hub, cookieOf(changed, "medlink_session"));
    expect(renewed.cookie).not.toBe(mine.cookie);
    expect((await renewed.call("GET", "/api/auth/me")).status).toBe(200);
    for (const session of [mine, other]) expect((await session.call("GET", "/api/auth/me")).status).toBe(401);
    expect((await signIn(email, PASSWORD)).status).toBe(401);
    expect((await signIn(email, "four green lamps")).status).toBe(200);
  });
});

describe("the second factor", () => {
  it("is set up with a QR code, and then asked for at every sign-in under a new session id", async () => {
    const { userId, email } = await addPerson();
    const session = await hub.signInAs(userId);
    const setup = await session.read("POST", "/api/auth/totp/setup");
    expect(setup.body).toMatchObject({ secret: expect.stringMatching(/^[A-Z2-7]{32}$/), qrSvg: expect.any(String) });
    expect(String(setup.body.qrSvg)).toMatch(/^<svg [^>]*>.*<\/svg>$/s);
    expect((await signIn(email, PASSWORD)).headers.getSetCookie().join()).toContain("medlink_session=");
    expect((await session.call("POST", "/api/auth/totp/enable", { code: "000000" })).status).toBe(400);
    const { secret, cookie } = await addSecondFactor(session);
    expect((await session.call("GET", "/api/auth/me")).status).toBe(401);
    const renewed = new Session(hub, cookie);
    expect((await renewed.read("GET", "/api/auth/me")).body.secondFactor).toEqual({
      enabled: true,
      backupCodesLeft: 10,
    });
    expect((await renewed.call("POST", "/api/auth/totp/setup")).status).toBe(409);

    const pending = await showPassword(email);
    expect((await hub.fetch("/api/auth/me", { headers: { cookie: pending } })).status).toBe(401);
    const asSession = pending.replace("medlink_pending", "medlink_session");
    expect((await hub.fetch("/api/auth/me", { headers: { cookie: asSession } })).status).toBe(401);
    const signedIn = await showSecondFactor(pending, { code: nextCode(secret) });
    expect(signedIn.status).toBe(200);
    expect(await signedIn.json()).toMatchObject({ user: { userId } });
    const mine = new Session(hub, cookieOf(signedIn, "medlink_session"));
    expect((await mine.read("GET", "/api/auth/sessions")).body.sessions).toContainEqual(
      expect.objectContaining({ current: true, secondFactor: true }),
    );
  });

  it("takes a code once, even when it is shown twice at the same moment", async () => {
    const { userId, email } = await addPerson();
    const { secret } = await addSecondFactor(await hub.signInAs(userId));
    const pending = [await showPassword(email), await showPassword(email)];
    const code = nextCode(secret);
    const answers = await Promise.all(pending.map((cookie) => showSecondFactor(cookie, { code })));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
    expect((await showSecondFactor(await showPassword(email), { code })).status).toBe(401);
  });

  it("takes each backup code once, and says how many are left", async () => {
    const { userId, email } = await addPerson();
    const { backupCodes } = await addSecondFactor(await hub.signInAs(userId));
    const backupCode = (backupCodes[3] ?? "").toUpperCase();
    const first = await showSecondFactor(await showPassword(email), { backupCode });
    expect(await first.json()).toMatchObject({ backupCodesLeft: 9 });
    expect((await showSecondFactor(await showPassword(email), { backupCode })).status).toBe(401);
    const stored = await env.DB.prepare("SELECT code_hash FROM backup_codes").all<{ code_hash: string }>();
    expect(JSON.stringify(stored.results)).not.toContain(backupCodes[4]);
  });

  it("is guessed at five times, whatever the sessions' number, and a right password does not clear that", async () => {
    const { userId, email } = await addPerson();
    await addSecondFactor(await hub.signInAs(userId));
    for (let i = 0; i < 5; i++) {
      expect((await showSecondFactor(await showPassword(email), { code: "000000" })).status).toBe(401);
    }
    expect((await signIn(email, PASSWORD)).status).toBe(429);
  });

  it("makes one session of one right password", async () => {
    const { userId, email } = await addPerson();
    const { backupCodes } = await addSecondFactor(await hub.signInAs(userId));
    const pending = await showPassword(email);
    const show = (n: number) => showSecondFactor(pending, { backupCode: backupCodes[n] });
    const answers = await Promise.all([show(0), show(1)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401]);
    expect((await show(2)).status).toBe(401);
    expect((await showSecondFactor("medlink_pending=nonsense", { backupCode: backupCodes[2] })).status).toBe(401);
  });

  it("asks for the password again after five minutes", async () => {
    const { userId, email } = await addPerson();
    const { secret } = await addSecondFactor(await hub.signInAs(userId));
    const pending = await showPassword(email);
    await env.DB.prepare("UPDATE pending_sign_ins SET created_at = created_at - 300001").run();
    expect((await showSecondFactor(pending, { code: nextCode(secret) })).status).toBe(401);
  });

  it("goes with the password and a code, and its backup codes are renewed with a code", async () => {
    const { userId, email } = await addPerson();
    const { secret, backupCodes, cookie } = await addSecondFactor(await hub.signInAs(userId));
    const session = new Session(hub, cookie);
    const code = nextCode(secret);
    const renewed = await session.read("POST", "/api/auth/totp/backup-codes", { code });
    expect(renewed.body.backupCodes).toHaveLength(10);
    expect((await showSecondFactor(await showPassword(email), { backupCode: backupCodes[0] })).status).toBe(401);
    const disable = (password: string, code: string) =>
      session.call("POST", "/api/auth/totp/disable", { password, code });
    expect((await disable(PASSWORD, code)).status).toBe(403);
    await env.DB.prepare("UPDATE second_factors SET last_step = 0 WHERE user_id = ?").bind(userId).run();
    expect((await disable("wrong", code)).status).toBe(403);
    expect((await disable(PASSWORD, code)).status).toBe(204);
    expect((await signIn(email, PASSWORD)).headers.getSetCookie().join()).toContain("medlink_session=");
  });
});

describe("sessions", () => {
  it("are listed for their owner, ended one by one, and all at once", async () => {
    const { userId } = await addPerson();
    const [a, b] = [await hub.signInAs(userId), await hub.signInAs(userId)];
    const { body } = await a.read("GET", "/api/auth/sessions");
    const sessions = body.sessions as readonly { sessionId: string; current: boolean }[];
    expect(sessions).toHaveLength(2);
    expect(JSON.stringify(sessions)).not.toMatch(/[0-9a-f]{64}/);
    const other = sessions.find(({ current }) => !current)?.sessionId;
    const stranger = await hub.signInAs((await addPerson()).userId);
    expect((await stranger.call("DELETE", `/api/auth/sessions/${other}`)).status).toBe(404);
    expect((await a.call("DELETE", `/api/auth/sessions/${other}`)).status).toBe(204);
    expect((await b.call("GET", "/api/auth/me")).status).toBe(401);
    const c = await hub.signInAs(userId);
    expect((await a.call("POST", "/api/auth/logout-everywhere")).status).toBe(204);
    for (const session of [a, c]) expect((await session.call("GET", "/api/auth/me")).status).toBe(401);
    expect((await stranger.call("GET", "/api/auth/me")).status).toBe(200);
  });

  it("end twelve hours after they began, however busy", async () => {
    const { userId } = await addPerson();
    const session = await hub.signInAs(userId);
    await env.DB.prepare("UPDATE sessions SET created_at = created_at - 43200001 WHERE user_id = ?").bind(userId).run();
    expect((await session.call("GET", "/api/auth/me")).status).toBe(401);
    await hub.sweep();
    const left = await env.DB.prepare("SELECT COUNT(*) AS n FROM sessions WHERE user_id = ?").bind(userId).first("n");
    expect(left).toBe(0);
  });

  it("and attempts, links, tokens and exposures that ran out are removed by the sweep, and no others", async () => {
    const { userId, email } = await addPerson("admin");
    const session = await hub.signInAs(userId);
    const fill = async () => {
      await signIn(email, "wrong");
      await session.call("POST", "/api/tokens", { name: "t", scopes: ["read"] });
      await session.call("POST", "/api/invitations", { email: "late@clinic.test", name: "L", role: "billing" });
      await session.call("POST", "/api/users/usr_demo_billing/password-reset");
      await env.DB.batch([
        env.DB.prepare("INSERT INTO pending_sign_ins VALUES (?, ?, ?)").bind(`p${Date.now()}`, userId, Date.now()),
        env.DB.prepare("INSERT OR IGNORE INTO flag_exposures VALUES ('FEATURE_FLAG_NEW_UI', ?, 'usr_swept', 1)").bind(
          new Date().toISOString().slice(0, 10),
        ),
      ]);
    };
    const counts = async () =>
      env.DB.prepare(
        `SELECT (SELECT COUNT(*) FROM sign_in_attempts) AS attempts, (SELECT COUNT(*) FROM pending_sign_ins) AS pending,
           (SELECT COUNT(*) FROM invitations) AS invitations, (SELECT COUNT(*) FROM password_resets) AS resets,
           (SELECT COUNT(*) FROM api_tokens) AS tokens, (SELECT COUNT(*) FROM flag_exposures) AS exposures`,
      ).first<Record<string, number>>();
    await env.DB.batch(
      ["pending_sign_ins", "invitations", "password_resets", "api_tokens", "flag_exposures"].map((table) =>
        env.DB.prepare(`DELETE FROM ${table}`),
      ),
    );
    await fill();
    const one = { attempts: 1, pending: 1, invitations: 1, resets: 1, tokens: 1, exposures: 1 };
    expect(await counts()).toEqual(one);
    await hub.sweep();
    expect(await counts()).toEqual(one);
    const longAgo = Date.now() - 91 * 86_400_000;
    await env.DB.batch([
      env.DB.prepare("UPDATE sign_in_attempts SET at = ?").bind(longAgo),
      env.DB.prepare("UPDATE pending_sign_ins SET created_at = ?").bind(longAgo),
      env.DB.prepare("UPDATE invitations SET expires_at = ?").bind(longAgo),
      env.DB.prepare("UPDATE password_resets SET expires_at = ?").bind(longAgo),
      env.DB.prepare("UPDATE api_tokens SET expires_at = ?").bind(longAgo),
      env.DB.prepare("UPDATE flag_exposures SET day = ?").bind(new Date(longAgo).toISOString().slice(0, 10)),
    ]);
    await hub.sweep();
    expect(Object.values((await counts()) ?? {})).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it("keep a person's language, time zone and name", async () => {
    const { userId } = await addPerson();
    const session = await hub.signInAs(userId);
    expect((await session.read("GET", "/api/auth/me")).body).toMatchObject({
      locale: "en",
      timeZone: "America/Toronto",
      flags: { FEATURE_FLAG_NEW_UI: false },
    });
    const change = { locale: "fr", timeZone: "America/Vancouver", name: "Zoë Tremblay" };
    expect(await session.read("PATCH", "/api/auth/me", change)).toMatchObject({
      status: 200,
      body: { locale: "fr", timeZone: "America/Vancouver", user: { name: "Zoë Tremblay" } },
    });
    expect((await session.read("GET", "/api/auth/me")).body).toMatchObject({
      locale: "fr",
      user: { name: "Zoë Tremblay" },
    });
    for (const wrong of [{ locale: "de" }, { timeZone: "Mars/Olympus" }, { name: " " }]) {
      expect((await session.call("PATCH", "/api/auth/me", wrong)).status).toBe(400);
    }
  });
});

describe("people of a clinic", () => {
  it("come by an invitation whose token is good once and nowhere but in the link's fragment", async () => {
    const admin = await hub.signInAs("usr_demo_admin");
    const invite = { email: "New.Person@clinic.test", name: "New Person", role: "provider" };
    const { status, body } = await admin.read("POST", "/api/invitations", invite);
    expect(status).toBe(201);
    const link = new URL(String(body.invitationUrl));
    expect(`${link.pathname}${link.search}`).toBe("/accept-invitation");
    const token = link.hash.slice(1);
    const stored = await env.DB.prepare("SELECT * FROM invitations").all();
    expect(JSON.stringify(stored.results)).not.toContain(token);
    expect((await admin.read("GET", "/api/invitations")).body.invitations).toContainEqual(
      expect.objectContaining({ email: "new.person@clinic.test", role: "provider" }),
    );
    const accept = (password: string) => hub.fetch("/api/invitations/accept", json("POST", { token, password }));
    expect((await accept("short")).status).toBe(400);
    const answers = await Promise.all([accept(PASSWORD), accept(PASSWORD)]);
    expect(answers.map((answer) => answer.status).sort()).toEqual([201, 404]);
    expect((await signIn(normalizeEmail(invite.email), PASSWORD)).status).toBe(200);
    expect((await admin.call("POST", "/api/invitations", invite)).status).toBe(409);
  });

  it("cannot come by an invitation that was withdrawn, ran out, or is another clinic's to withdraw", async () => {
    const admin = await hub.signInAs("usr_demo_admin");
    await env.DB.prepare("INSERT OR IGNORE INTO clinics (clinic_id, name, created_at) VALUES ('cln_y', 'Y', 1)").run();
    const stranger = await hub.signInAs((await addPerson("admin", "cln_y")).userId);
    const invite = async (email: string) => {
      const { body } = await admin.read("POST", "/api/invitations", { email, name: "X", role: "billing" });
      return { id: String(body.invitationId), token: new URL(String(body.invitationUrl)).hash.slice(1) };
    };
    const [withdrawn, late] = [await invite("w@clinic.test"), await invite("l@clinic.test")];
    expect((await stranger.call("DELETE", `/api/invitations/${withdrawn.id}`)).status).toBe(404);
    expect((await stranger.read("GET", "/api/invitations")).body.invitations).toEqual([]);
    expect((await admin.call("DELETE", `/api/invitations/${withdrawn.id}`)).status).toBe(204);
    await env.DB.prepare("UPDATE invitations SET expires_at = 1 WHERE invitation_id = ?").bind(late.id).run();
    for (const { token } of [withdrawn, late]) {
      const answer = await hub.fetch("/api/invitations/accept", json("POST", { token, password: PASSWORD }));
      expect(answer.status).toBe(404);
    }
  });

  it("are invited as operators by operators only, who also begin a clinic's first account", async () => {
    const admin = await hub.signInAs("usr_demo_admin");
    const operator = await hub.signInAs("usr_demo_operator");
    const invite = { email: "o@hub.test", name: "O", role: "operator" };
    expect((await admin.call("POST", "/api/invitations", invite)).status).toBe(403);
    expect((await operator.call("POST", "/api/invitations", invite)).status).toBe(201);
    const first = { email: "first@clinic.test", name: "First", role: "admin" };
    expect((await operator.call("POST", "/api/invitations", first)).status).toBe(400);
    expect((await operator.call("POST", "/api/invitations", { ...first, clinicId: "cln_demo" })).status).toBe(201);
    expect((await operator.call("POST", "/api/invitations", { ...first, clinicId: "cln_nowhere" })).status).toBe(404);
    expect((await admin.call("POST", "/api/invitations", { ...first, clinicId: "cln_y" })).status).toBe(403);
  });

  it("get a new password by a link of their administrator's, good once and until there is a newer one", async () => {
    const admin = await hub.signInAs("usr_demo_admin");
    const { userId, email } = await addPerson();
    const theirs = await hub.signInAs(userId);
    for (let i = 0; i < 5; i++) await signIn(email, "wrong");
    const link = async () => {
      const { status, body } = await admin.read("POST", `/api/users/${userId}/password-reset`);
      expect(status).toBe(201);
      const url = new URL(String(body.resetUrl));
      expect(`${url.pathname}${url.search}`).toBe("/reset-password");
      return url.hash.slice(1);
    };
    const [older, newer] = [await link(), await link()];
    const reset = (token: string) =>
      hub.fetch("/api/auth/password-reset", json("POST", { token, password: "nine old radios" }));
    expect((await reset(older)).status).toBe(404);
    const answers = await Promise.all([reset(newer), reset(newer)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404]);
    expect((await theirs.call("GET", "/api/auth/me")).status).toBe(401);
    expect((await signIn(email, "nine old radios")).status).toBe(200);
  });

  it("lose their sessions at once when they are switched off, and act in a new role at once", async () => {
    const admin = await hub.signInAs("usr_demo_admin");
    const { userId, email } = await addPerson("billing");
    const theirs = await hub.signInAs(userId);
    const insurer = { name: "New Insurer", insurerAddress: `0x${"1".repeat(40)}` };
    expect((await theirs.call("POST", "/api/insurers", insurer)).status).toBe(403);
    expect((await admin.call("PATCH", `/api/users/${userId}`, { role: "admin" })).status).toBe(200);
    expect((await theirs.call("POST", "/api/insurers", insurer)).status).toBe(201);
    expect((await admin.read("PATCH", `/api/users/${userId}`, { disabled: true })).body).toMatchObject({
      disabled: true,
    });
    expect((await theirs.call("GET", "/api/auth/me")).status).toBe(401);
    expect((await signIn(email, PASSWORD)).status).toBe(401);
    expect((await admin.call("PATCH", `/api/users/${userId}`, { disabled: false })).status).toBe(200);
    expect((await signIn(email, PASSWORD)).status).toBe(200);
    expect(await auditOf(userId)).toEqual(
      expect.arrayContaining(["user.role admin", "user.account off", "user.account on"]),
    );
  });

  it("keep at least one administrator, even when two demote each other at the same moment", async () => {
    await env.DB.prepare("INSERT OR IGNORE INTO clinics (clinic_id, name, created_at) VALUES ('cln_z', 'Z', 1)").run();
    const [a, b] = [await addPerson("admin", "cln_z"), await addPerson("admin", "cln_z")];
    const [asA, asB] = [await hub.signInAs(a.userId), await hub.signInAs(b.userId)];
    expect((await asA.call("PATCH", `/api/users/${a.userId}`, { role: "billing" })).status).toBe(409);
    const answers = await Promise.all([
      asA.call("PATCH", `/api/users/${b.userId}`, { role: "billing" }),
      asB.call("PATCH", `/api/users/${a.userId}`, { disabled: true }),
    ]);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    const left = await env.DB.prepare(
      "SELECT COUNT(*) AS n FROM users WHERE clinic_id = 'cln_z' AND role = 'admin' AND disabled_at IS NULL",
    ).first("n");
    expect(left).toBe(1);
  });

  it("have a lost second factor taken away by their administrator, who cannot take their own away so", async () => {
    const admin = await hub.signInAs("usr_demo_admin");
    const { userId, email } = await addPerson();
    await addSecondFactor(await hub.signInAs(userId));
    expect((await admin.read("GET", "/api/users")).body.users).toContainEqual(
      expect.objectContaining({ userId, secondFactor: true }),
    );
    expect((await admin.call("DELETE", "/api/users/usr_demo_admin/second-factor")).status).toBe(409);
    expect((await admin.call("DELETE", `/api/users/${userId}/second-factor`)).status).toBe(204);
    expect((await signIn(email, PASSWORD)).headers.getSetCookie().join()).toContain("medlink_session=");
  });
});

describe("API tokens", () => {
  const withToken = (token: string, method: string, path: string, body?: unknown): Promise<Response> => {
    const init = body === undefined ? { method, headers: {} } : json(method, body);
    return hub.fetch(path, { ...init, headers: { ...init.headers, authorization: `Bearer ${token}` } });
  };

  async function makeToken(
    scopes: readonly string[],
    by = "usr_demo_admin",
  ): Promise<{ token: string; tokenId: string }> {
    const { status, body } = await (await hub.signInAs(by)).read("POST", "/api/tokens", { name: "Lab import", scopes });
    expect(status).toBe(201);
    return { token: String(body.token), tokenId: String(body.tokenId) };
  }

  it("are shown once, kept as a hash, and reach what their scopes say", async () => {
    const reader = await makeToken(["read"]);
    const writer = await makeToken(["write"]);
    expect(reader.token).toMatch(/^mlk_[0-9a-f]{64}$/);
    expect(JSON.stringify((await env.DB.prepare("SELECT * FROM api_tokens").all()).results)).not.toContain(
      reader.token,
    );
    expect((await withToken(reader.token, "GET", "/api/claims")).status).toBe(200);
    expect((await withToken(reader.token, "POST", "/api/claims", CLAIM)).status).toBe(403);
    expect((await withToken(writer.token, "POST", "/api/claims", CLAIM)).status).toBe(201);
    expect((await withToken(writer.token, "GET", "/api/claims")).status).toBe(403);
    for (const path of ["/api/auth/me", "/api/users", "/api/tokens"]) {
      expect((await withToken(reader.token, "GET", path)).status).toBe(403);
    }
    const admin = await hub.signInAs("usr_demo_admin");
    const { tokens } = (await admin.read("GET", "/api/tokens")).body;
    expect(tokens).toContainEqual(
      expect.objectContaining({ tokenId: reader.tokenId, scopes: ["read"], lastUsedAt: expect.any(String) }),
    );
    expect(JSON.stringify(tokens)).not.toContain("mlk_");
  });

  it("end when revoked, when they run out, and with the rights of who made them", async () => {
    const admin = await hub.signInAs("usr_demo_admin");
    const revoked = await makeToken(["read"]);
    const late = await makeToken(["read"]);
    const maker = await addPerson("admin");
    const orphan = await makeToken(["read"], maker.userId);
    for (const { token } of [revoked, late, orphan]) {
      expect((await withToken(token, "GET", "/api/claims")).status).toBe(200);
    }
    expect((await admin.call("DELETE", `/api/tokens/${revoked.tokenId}`)).status).toBe(204);
    expect((await admin.call("DELETE", `/api/tokens/${revoked.tokenId}`)).status).toBe(404);
    await env.DB.prepare("UPDATE api_tokens SET expires_at = ? WHERE token_id = ?")
      .bind(Date.now(), late.tokenId)
      .run();
    await admin.call("PATCH", `/api/users/${maker.userId}`, { role: "billing" });
    for (const { token } of [revoked, late, orphan]) {
      expect((await withToken(token, "GET", "/api/claims")).status).toBe(401);
    }
    for (const expiresAt of ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"]) {
      expect((await admin.call("POST", "/api/tokens", { name: "x", scopes: ["read"], expiresAt })).status).toBe(400);
    }
  });

  it("are held to their rate, and a wrong one is not helped by a cookie", async () => {
    const { token } = await makeToken(["read"]);
    hub.env.API_TOKEN_REQUESTS_PER_MINUTE = "4";
    const clock = vi.spyOn(Date, "now").mockReturnValue(Date.now());
    const answers: Response[] = [];
    for (let i = 0; i < 6; i++) answers.push(await withToken(token, "GET", "/api/claims"));
    clock.mockRestore();
    delete hub.env.API_TOKEN_REQUESTS_PER_MINUTE;
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 429, 429]);
    expect(Number(answers[5]?.headers.get("retry-after"))).toBeGreaterThan(0);
    const admin = await hub.signInAs("usr_demo_admin");
    const wrong = { authorization: `Bearer mlk_${"0".repeat(64)}` };
    expect((await admin.call("GET", "/api/claims", undefined, wrong)).status).toBe(401);
  });
});

describe("operators", () => {
  it("see operations and no clinic's records, by their account as by the hub's key", async () => {
    const operator = await hub.signInAs("usr_demo_operator");
    expect((await operator.read("GET", "/api/auth/me")).body).toMatchObject({
      user: { role: "operator", clinicId: null },
    });
    expect((await operator.call("GET", "/api/itrans/auto-submit/status")).status).toBe(200);
    for (const path of ["/api/patients", "/api/claims", "/api/insurers", "/api/tokens"]) {
      expect((await operator.call("GET", path)).status).toBe(403);
    }
    expect((await hub.fetch("/api/auth/me", { headers: OPERATOR_KEY })).status).toBe(403);
    expect((await hub.fetch("/api/users", { headers: OPERATOR_KEY })).status).toBe(200);
    expect((await operator.read("GET", "/api/users")).body.users).toMatchObject([{ role: "operator" }]);
  });
});

describe("the operator's calls", () => {
  const asOperator = async (method: string, path: string, body?: unknown) => {
    const init = body === undefined ? { method, headers: {} } : json(method, body);
    const response = await hub.fetch(path, { ...init, headers: { ...init.headers, ...OPERATOR_KEY } });
    return { status: response.status, body: await response.json<Record<string, unknown>>() };
  };

  it("end the sessions of a person, of a clinic, or of everyone", async () => {
    const { userId } = await addPerson();
    await env.DB.prepare("INSERT OR IGNORE INTO clinics (clinic_id, name, created_at) VALUES ('cln_s', 'S', 1)").run();
    const other = await addPerson("admin", "cln_s");
    const signedIn = async (session: Session) => (await session.call("GET", "/api/auth/me")).status === 200;
    const clear = (scope: unknown) => asOperator("POST", "/api/admin/sessions/clear", { scope });
    const [a, b, c] = [await hub.signInAs(userId), await hub.signInAs(userId), await hub.signInAs("usr_demo_admin")];
    const d = await hub.signInAs(other.userId);
    expect((await clear({ type: "user", userId })).body).toEqual({ cleared: 2 });
    expect([await signedIn(a), await signedIn(b), await signedIn(c)]).toEqual([false, false, true]);
    await clear({ type: "clinic", clinicId: "cln_s" });
    expect([await signedIn(c), await signedIn(d)]).toEqual([true, false]);
    await clear({ type: "everyone" });
    expect(await signedIn(c)).toBe(false);
    expect((await clear({})).status).toBe(400);
    expect(await auditOf(userId)).toContain("sessions.clear");
  });

  it("count second factors by clinic and role", async () => {
    await env.DB.prepare("INSERT OR IGNORE INTO clinics (clinic_id, name, created_at) VALUES ('cln_f', 'F', 1)").run();
    const { userId } = await addPerson("admin", "cln_f");
    await addPerson("admin", "cln_f");
    await addSecondFactor(await hub.signInAs(userId));
    await env.DB.prepare("UPDATE backup_codes SET used_at = 1 WHERE user_id = ?").bind(userId).run();
    expect((await asOperator("GET", "/api/admin/second-factors?clinicId=cln_f")).body.groups).toEqual([
      { clinicId: "cln_f", role: "admin", users: 2, withSecondFactor: 1, fewBackupCodes: 1 },
    ]);
    expect((await asOperator("GET", "/api/admin/second-factors")).body.groups).toContainEqual(
      expect.objectContaining({ clinicId: null, role: "operator", users: 1 }),
    );
  });

  it("check the configuration and show no value of it", async () => {
    const { body } = await asOperator("GET", "/api/admin/auth-config");
    expect(body.ok).toBe(true);
    expect(body.findings).toContainEqual(expect.objectContaining({ name: "passwords", result: "ok" }));
    for (const value of Object.values(TEST_SECRETS.hub)) expect(JSON.stringify(body)).not.toContain(value);
  });

  it("begin a clinic, whose first administrator comes by invitation", async () => {
    const { status, body } = await asOperator("POST", "/api/admin/clinics", { name: "New Clinic" });
    expect(status).toBe(201);
    expect((await asOperator("GET", "/api/admin/clinics")).body.clinics).toContainEqual(
      expect.objectContaining({ clinicId: body.clinicId, name: "New Clinic", users: 0 }),
    );
    const invite = { email: "chief@new.test", name: "Chief", role: "admin", clinicId: body.clinicId };
    const invited = await asOperator("POST", "/api/invitations", invite);
    const token = new URL(String(invited.body.invitationUrl)).hash.slice(1);
    const accepted = await hub.fetch("/api/invitations/accept", json("POST", { token, password: PASSWORD }));
    const session = new Session(hub, cookieOf(accepted, "medlink_session"));
    expect((await session.read("GET", "/api/auth/me")).body.user).toMatchObject({
      clinicId: body.clinicId,
      role: "admin",
    });
    expect((await session.read("GET", "/api/patients")).body.patients).toEqual([]);
  });

  it("page through clinics without losing or doubling one", async () => {
    await env.DB.batch(
      Array.from({ length: 5 }, (_, i) =>
        env.DB.prepare("INSERT INTO clinics (clinic_id, name, created_at) VALUES (?, 'Paged', 9)").bind(
          `cln_paged_${i}`,
        ),
      ),
    );
    const seen: string[] = [];
    let cursor = "";
    for (let page = 0; page < 50; page++) {
      const { body } = await asOperator("GET", `/api/admin/clinics?limit=2&cursor=${cursor}`);
      seen.push(...(body.clinics as readonly { clinicId: string }[]).map(({ clinicId }) => clinicId));
      if (body.nextCursor === null) break;
      cursor = String(body.nextCursor);
    }
    const count = await env.DB.prepare("SELECT COUNT(*) AS n FROM clinics").first<number>("n");
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen).toHaveLength(count ?? 0);
  });

  it("seed the first administrator and the demo clinic, again without touching accounts that are there", async () => {
    const seed = (over: Record<string, unknown> = {}, at: TestHub = hub) =>
      at.fetch("/api/admin/seed", {
        ...json("POST", {
          adminEmail: "admin@clinic.test",
          adminPassword: "another good password",
          insurerAddress: `0x${"2".repeat(40)}`,
          ...over,
        }),
        headers: { "content-type": "application/json", ...OPERATOR_KEY },
      });
    const stored = () => env.DB.prepare("SELECT * FROM users WHERE user_id = 'usr_demo_admin'").first();
    const before = await stored();
    expect(await (await seed()).json()).toMatchObject({ clinicId: "cln_demo", created: [] });
    expect(await stored()).toEqual(before);
    await env.DB.batch([
      env.DB.prepare("DELETE FROM sessions WHERE user_id = 'usr_demo_operator'"),
      env.DB.prepare("DELETE FROM users WHERE user_id = 'usr_demo_operator'"),
    ]);
    expect(await (await seed()).json()).toMatchObject({ created: ["usr_demo_operator"] });
    expect((await signIn("operator@demo.invalid", "another good password")).status).toBe(200);
    expect((await seed({ adminPassword: "short" })).status).toBe(400);
    const production = { ENVIRONMENT: "production" };
    expect((await seed({}, new TestHub(production))).status).toBe(403);
    expect((await seed({}, new TestHub({ ...production, SEED_ALLOWED_ENVIRONMENT: "staging" }))).status).toBe(403);
    expect((await seed({}, new TestHub({ ...production, SEED_ALLOWED_ENVIRONMENT: "production" }))).status).toBe(200);
  });
});

describe("feature flags", () => {
  const name = "FEATURE_FLAG_BULK_OPERATIONS";

  it("are switched by operators alone, hold at once, and are on record", async () => {
    const [admin, operator] = [await hub.signInAs("usr_demo_admin"), await hub.signInAs("usr_demo_operator")];
    const flags = async () => (await admin.read("GET", "/api/auth/me")).body.flags;
    expect(await flags()).toMatchObject({ [name]: false });
    expect((await admin.call("PUT", `/api/admin/flags/${name}`, { enabled: true })).status).toBe(403);
    expect((await operator.call("PUT", `/api/admin/flags/${name}`, { enabled: true, percentage: 100 })).status).toBe(
      200,
    );
    expect(await flags()).toMatchObject({ [name]: true });
    expect((await operator.call("PUT", `/api/admin/flags/${name}`, { enabled: true, percentage: 0 })).status).toBe(200);
    expect(await flags()).toMatchObject({ [name]: false });
    for (const wrong of [{ enabled: true, percentage: 101 }, { enabled: true, percentage: 1.5 }, {}]) {
      expect((await operator.call("PUT", `/api/admin/flags/${name}`, wrong)).status).toBe(400);
    }
    expect((await operator.call("PUT", "/api/admin/flags/OTHER", { enabled: true })).status).toBe(400);
    expect(await auditOf(name)).toEqual(["flag.update on_100", "flag.update on_0"]);
    expect((await admin.read("GET", "/api/admin/flags")).body.flags).toContainEqual(
      expect.objectContaining({ name, enabled: true, percentage: 0, updatedBy: "usr_demo_operator" }),
    );
  });

  it("begin as the worker's settings say", async () => {
    const on = new TestHub({ FEATURE_FLAG_NEW_UI: "true" });
    const { body } = await (await on.signInAs("usr_demo_admin")).read("GET", "/api/auth/me");
    expect(body.flags).toMatchObject({ FEATURE_FLAG_NEW_UI: true, FEATURE_FLAG_ADVANCED_ANALYTICS: false });
  });

  it("count each user once a day for what they saw", async () => {
    const { flagIsOn } = await import("../../../src/medlink/flags/flags.edge.ts");
    const inside = await hub.hub();
    const operator = await hub.signInAs("usr_demo_operator");
    const flag = "FEATURE_FLAG_ADVANCED_ANALYTICS";
    await operator.call("PUT", `/api/admin/flags/${flag}`, { enabled: true, percentage: 30 });
    const users = Array.from({ length: 40 }, (_, i) => `usr_exposed_${i}`);
    let on = 0;
    for (let round = 0; round < 2; round++) {
      on = 0;
      for (const userId of users) if (await flagIsOn(inside, { userId }, flag)) on += 1;
    }
    expect(on).toBeGreaterThan(0);
    // Another isolate, which does not know what this one has recorded.
    const { recordExposure } = await import("../../../src/medlink/flags/flags.store.ts");
    const stored = await env.DB.prepare("SELECT * FROM flag_exposures WHERE name = ?")
      .bind(flag)
      .all<{ day: string; user_id: string; shown: number }>();
    for (const { day, user_id: userId, shown } of stored.results) {
      await recordExposure(env.DB, { name: flag, day, userId, shown: shown === 1 });
    }
    expect((await operator.read("GET", `/api/admin/flags/${flag}/exposures`)).body.days).toEqual([
      { day: new Date().toISOString().slice(0, 10), on, off: users.length - on },
    ]);
  });
});

it("leaves no password, code, token or address in plain text in the database or the log", async () => {
  const lines: string[] = [];
  hub.env.LOG_LEVEL = "debug";
  const spies = (["log", "warn", "error"] as const).map((level) =>
    vi.spyOn(console, level).mockImplementation((line: string) => void lines.push(line)),
  );
  const { userId, email } = await addPerson("admin");
  const { secret, backupCodes, cookie } = await addSecondFactor(await hub.signInAs(userId));
  const session = new Session(hub, cookie);
  const made = await session.read("POST", "/api/tokens", { name: "plain", scopes: ["read"] });
  const invited = await session.read("POST", "/api/invitations", {
    email: "planted@clinic.test",
    name: "Planted Name",
    role: "billing",
  });
  await hub.fetch("/api/auth/login", {
    ...json("POST", { email: "planted-unknown@x.test", password: "planted password" }),
    headers: { "content-type": "application/json", "cf-connecting-ip": "198.51.100.77", "user-agent": "planted-agent" },
  });
  for (const spy of spies) spy.mockRestore();
  hub.env.LOG_LEVEL = "error";
  const tables = await env.DB.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\'",
  ).all<{ name: string }>();
  let stored = "";
  for (const { name } of tables.results) {
    stored += JSON.stringify((await env.DB.prepare(`SELECT * FROM "${name}"`).all()).results);
  }
  const planted = [
    email,
    PASSWORD,
    secret,
    ...backupCodes,
    String(made.body.token),
    new URL(String(invited.body.invitationUrl)).hash.slice(1),
    "planted",
    "Planted Name",
    "198.51.100.77",
    (cookie.split("=")[1] ?? "").split(".")[0] ?? "",
  ];
  for (const value of planted) {
    expect(stored).not.toContain(value);
    expect(lines.join("\n")).not.toContain(value);
  }
  expect(stored).toContain(userId);
});
