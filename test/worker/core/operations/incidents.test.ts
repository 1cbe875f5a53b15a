import { beforeAll, expect, test } from "vitest";
import { call, KEYS, migrate } from "../support.ts";

beforeAll(migrate);

const key = KEYS.OPERATOR_API_KEY;
const path = "/operations/incidents";
const post = (to: string, body: unknown) => call(to, { method: "POST", key, body });

test("an incident is opened, noted and closed, each of it in the ledger", async () => {
  const opened = await post(path, { severity: "S2", summary: "dead letters after the cutover", alert: "dead-letters" });
  expect(opened.status).toBe(201);
  const { ticket } = opened.json;
  expect(ticket).toMatch(/^INC-\d+$/);
  expect((await post(`${path}/${ticket}/notes`, { note: "relay paused, 3 replayed" })).json.notes).toHaveLength(1);
  const open = (await call(`${path}?state=open`, { key })).json.incidents;
  expect(open).toMatchObject([{ ticket, severity: "S2", alert: "dead-letters", closedAt: null }]);
  const end = { rootCause: "an expired certificate at one insurer", prevention: "its expiry is watched" };
  expect((await post(`${path}/${ticket}/close`, end)).json).toMatchObject({ ticket, ...end });
  expect((await post(`${path}/${ticket}/close`, end)).status).toBe(409);
  expect((await call(`${path}?state=open`, { key })).json.incidents).toEqual([]);
  const { actions } = (await call("/operations/actions", { key })).json;
  expect(actions.slice(0, 3).map(({ action }: { action: string }) => action)).toEqual([
    "INCIDENT_CLOSE",
    "INCIDENT_NOTE",
    "INCIDENT_OPEN",
  ]);
});

test("a ticket of elsewhere is kept, once", async () => {
  const given = { ticket: "PD-77", severity: "S3", summary: "slow reads" };
  expect((await post(path, given)).json.ticket).toBe("PD-77");
  expect((await post(path, given)).status).toBe(409);
  expect((await post(path, { severity: "S4", summary: "the next" })).json.ticket).toMatch(/^INC-\d+$/);
});

test("an incident is the operator's, names nobody, and must be there", async () => {
  expect((await call(path)).status).toBe(403);
  const mail = await post(path, { severity: "S1", summary: "reported by ann@example.org" });
  expect(mail.status).toBe(400);
  expect(JSON.stringify(mail.json)).not.toContain("ann@");
  expect((await post(`${path}/NO-1/notes`, { note: "x" })).status).toBe(404);
  expect((await post(`${path}/NO-1/close`, { rootCause: "x", prevention: "y" })).status).toBe(404);
});
