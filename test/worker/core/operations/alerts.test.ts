import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { beforeAll, expect, test } from "vitest";
import { call, KEYS, migrate, payloadOf, signed, submit, testEnv } from "../support.ts";

beforeAll(migrate);

const key = KEYS.OPERATOR_API_KEY;
const stub = () => testEnv.ALERTS.getByName("main");

test("alerts are the operator's", async () => {
  expect((await call("/operations/alerts", { key: "" })).status).toBe(401);
  expect((await call("/operations/alerts")).status).toBe(403);
});

test("the cron starts the evaluator, which looks at the database by itself", async () => {
  await stub().wake();
  await runDurableObjectAlarm(stub());
  const { status, json } = await call("/operations/alerts", { key });
  expect(status).toBe(200);
  expect(json.evaluatedAt).not.toBeNull();
  expect(json.alerts.map(({ phase }: { phase: string }) => phase)).not.toContain("open");
  expect(await runDurableObjectAlarm(stub()), "the next evaluation is arranged").toBe(true);
});

test("a cron that stays away is noticed by an evaluator that was put away between two evaluations", async () => {
  const phase = async () => {
    await evictDurableObject(stub());
    await runDurableObjectAlarm(stub());
    const { json } = await call("/operations/alerts", { key });
    return json.alerts.find(({ name }: { name: string }) => name === "cron-silent").phase;
  };
  await stub().wake();
  expect(await phase()).toBe("quiet");
  await runInDurableObject(stub(), (_instance, { storage }) => {
    storage.sql.exec("UPDATE cron SET seen_at = seen_at - 3600000");
  });
  expect(await phase(), "it must last five minutes to open").toBe("pending");
  await stub().wake();
  expect(await phase()).toBe("quiet");
});

test("what is not open can not be acknowledged, and an unknown alert is not found", async () => {
  const acknowledge = (name: string) => call(`/operations/alerts/${name}/acknowledge`, { method: "POST", key });
  expect((await acknowledge("hub-unhealthy")).status).toBe(409);
  expect((await acknowledge("no-such-alert")).status).toBe(404);
});

test("a silence is shown until it is ended, and refuses what it does not know", async () => {
  const silences = "/operations/alerts/silences";
  const bad = [{ minutes: 0, reason: "CHG-1" }, { minutes: 5, reason: "free text" }, { minutes: 5 }];
  for (const body of bad) expect((await call(silences, { method: "POST", key, body })).status).toBe(400);
  const unknown = { alert: "no-such-alert", minutes: 5, reason: "CHG-1" };
  expect((await call(silences, { method: "POST", key, body: unknown })).status).toBe(404);

  const made = await call(silences, { method: "POST", key, body: { alert: "latency", minutes: 5, reason: "CHG-1" } });
  expect(made.status).toBe(201);
  const shown = (await call("/operations/alerts", { key })).json;
  expect(shown.silences).toEqual([made.json]);
  const latency = shown.alerts.find(({ name }: { name: string }) => name === "latency");
  expect(latency.silencedUntil).toBe(made.json.until);
  const path = `${silences}/${made.json.silenceId}`;
  expect((await call(path, { method: "DELETE", key })).status).toBe(204);
  expect((await call(path, { method: "DELETE", key })).status).toBe(404);
});

test("who is called is put by an operator, noted in the ledger, kept by the evaluator, and not taken with a fault", async () => {
  const path = "/operations/alerts/contacts";
  const put = (body: unknown) => call(path, { method: "PUT", key, body });
  expect((await call(path)).status).toBe(403);
  expect((await call(path, { key })).json).toMatchObject({ source: "none", contacts: [] });
  const one = { name: "One", phone: "+1-555-0101", roles: ["on-call-primary"] };
  const two = { name: "Two", email: "two@example.invalid" };
  const shiftsFrom = new Date(Date.now() - 3_600_000).toISOString();
  const shifts = [{ fromHour: 0, toHour: 4, primary: "Two", secondary: "One" }];
  expect((await put({ people: [one, two], shifts })).status).toBe(400);
  expect((await call(path, { key })).json.source).toBe("none");

  const { status, json } = await put({ people: [one, two], shiftsFrom, shifts });
  expect(status).toBe(200);
  expect(json).toMatchObject({
    source: "file",
    contacts: [
      { role: "on-call-primary", name: "Two" },
      { role: "on-call-secondary", name: "One" },
    ],
  });
  await evictDurableObject(stub());
  expect((await call(path, { key })).json).toEqual(json);
  const { actions } = (await call("/operations/actions", { key })).json;
  expect(actions[0].action).toBe("ALERT_CONTACTS_PUT");
  expect((await call("/operations/alerts", { key })).json.fault).toBeNull();

  await call("/operations/alerts/test", { method: "POST", key });
  const told = await runInDurableObject(stub(), (_instance, { storage }) =>
    storage.sql.exec<{ body: string }>("SELECT body FROM notifications ORDER BY position DESC LIMIT 1").one(),
  );
  expect(JSON.parse(told.body).contacts).toEqual([{ role: "on-call-primary", ...two }]);
});

test("a test says of each channel what became of it", async () => {
  const { status, json } = await call("/operations/alerts/test", { method: "POST", key });
  expect(status).toBe(200);
  expect(json.notifications).toHaveLength(6);
  for (const sent of json.notifications) expect(sent).toMatchObject({ state: "given-up", error: "not configured" });
});

test("in maintenance reads stay and writes are told when to come back", async () => {
  const put = (body: unknown) => call("/operations/maintenance", { method: "PUT", key, body });
  expect((await put({ on: true, minutes: 10 })).status).toBe(400);
  expect((await put({ on: true, minutes: 10, reason: "CHG-7" })).json).toMatchObject({ on: true, reason: "CHG-7" });

  const body = signed(payloadOf(), { externalRequestId: "during-maintenance" });
  const refused = await submit(body);
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(500);
  expect((await call("/workflow/requests/during-maintenance")).status).toBe(404);
  expect((await call("/ledger/verify")).status).toBe(200);

  expect((await put({ on: false })).json).toMatchObject({ on: false, reason: null });
  expect((await submit(body)).status).toBe(201);
});
