import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { disconnect, facts, lookAtPage, Visitor } from "./support/visitor.ts";

const ADDRESS = `0x${"5e".repeat(20)}`;

let operator: Visitor;
let receiver: Server;
let refuses = true;
let outboxId = 0;

const core = async (method: string, path: string, body?: unknown): Promise<unknown> => {
  const answer = await fetch(`${facts.coreUrl}${path}`, {
    method,
    headers: { "x-api-key": facts.secrets.OPERATOR_API_KEY ?? "", "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
};

const ledgerEntry = z.object({ entry: z.object({ type: z.string() }) });
const letters = z.object({ deadLetters: z.array(z.object({ outboxId: z.number() })) });

async function until<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
  for (let i = 0; i < 300; i++) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what} did not come`);
}

/** An insurer whose receiver refuses, a claim for it, and so a dead letter; and a claim that was paid. */
beforeAll(async () => {
  receiver = createServer((request, response) => {
    request.resume();
    response.writeHead(refuses ? 422 : 204).end(refuses ? "no such policy" : undefined);
  });
  const port = await new Promise<number>((resolve) => {
    receiver.listen(0, "127.0.0.1", () => {
      const address = receiver.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  await core("PUT", "/relay/destinations/refusing-insurer", {
    kind: "INSURER",
    insurerAddress: ADDRESS,
    url: `http://127.0.0.1:${port}/`,
    secret: "nobody-else-knows-this-webhook-secret",
    deliverAfter: "commit",
  });
  const clinic = await Visitor.arrive();
  await clinic.signIn();
  await clinic.page.waitForURL("**/");
  const made = z.object({ insurerId: z.string() });
  const { insurerId } = made.parse(
    await clinic.api("POST", "/api/insurers", { name: "Refusing Mutual", insurerAddress: ADDRESS }, 201),
  );
  const claim = {
    patientId: "pat_demo_1",
    providerId: "prv_demo_1",
    insurerId: "ins_demo_1",
    type: "claim",
    amount: "62.50",
    codes: [{ code: "01202", description: "Examination, recall" }],
  };
  const filed = z.object({ claimId: z.string() });
  const paid = filed.parse(await clinic.api("POST", "/api/claims", claim, 201));
  await clinic.api("POST", "/api/claims", { ...claim, insurerId }, 201);
  await clinic.waitForPaid(paid.claimId);
  await clinic.leave();
  outboxId = await until("the dead letter", async () => {
    const found = await core("GET", "/relay/workflow/dead-letters?destinationId=refusing-insurer");
    return letters.parse(found).deadLetters[0]?.outboxId;
  });
  operator = await Visitor.arrive();
}, 120_000);

afterAll(async () => {
  await operator?.leave();
  await disconnect();
  receiver?.close();
});

describe("an operator", () => {
  it("signs in and begins at the overview, which shows every component and the dead letter", async () => {
    const { page } = operator;
    await operator.signIn("operator@demo.invalid", facts.password);
    await page.waitForURL("**/operations");
    expect(await page.textContent("h1")).toBe("System overview");
    expect(await page.textContent("#ops-overview")).toContain("refusing-insurer");
    expect(await page.textContent(".stat.bad .value")).toBe("1");
  });

  it.each([
    ["overview", "/operations"],
    ["charts-lifecycle", "/operations/charts/lifecycle?range=1h"],
    ["charts-queues", "/operations/charts/queues?range=24h"],
    ["charts-errors", "/operations/charts/errors?range=1h"],
    ["charts-anchoring", "/operations/charts/anchoring?range=7d"],
    ["charts-business", "/operations/charts/business?range=30d"],
    ["charts-detail", "/operations/charts/errors?range=1h&panel=throughput"],
    ["auto-submit", "/operations/auto-submit?state=succeeded"],
    ["deliveries", "/operations/deliveries?destinationId=refusing-insurer"],
    ["deliveries-none", "/operations/deliveries?destinationId=demo-insurer"],
    ["deliveries-all", "/operations/deliveries?list=all&status=delivered"],
    ["secrets", "/admin/secrets"],
    ["ledger", "/operations/ledger"],
    ["entry", "/operations/ledger/1"],
    ["anchors", "/operations/anchors"],
  ])("sees a page that holds what axe asks for, and complains of nothing: %s", async (name, path) => {
    await operator.page.goto(path);
    expect(await operator.page.title()).toMatch(/ · MedLink$/);
    expect(await lookAtPage(operator, `operations-${name}`)).toEqual([]);
  });

  it("looks into a dead letter: its request, its attempts and what was answered", async () => {
    const { page } = operator;
    await page.goto("/operations/deliveries");
    await page.click(`a[href="/operations/deliveries/${outboxId}"]`);
    await page.waitForURL(`**/operations/deliveries/${outboxId}`);
    const text = await page.textContent("#delivery");
    expect(text).toContain("no such policy");
    expect(text).toContain("422");
    expect(text).toContain('"requestIdHash"');
    expect(await lookAtPage(operator, "operations-delivery")).toEqual([]);
  });

  it("replays a dead letter, which is then delivered and noted under the operator's name", async () => {
    const { page } = operator;
    refuses = false;
    await page.goto("/operations/deliveries");
    await page.click(`#dead-letters button[data-call$="/dead-letters/${outboxId}/replay"]`);
    await page.waitForSelector("text=It is on its way again.");
    await until("the delivery", async () => {
      const delivery = await core("GET", `/relay/workflow/dead-letters/${outboxId}`);
      return z.object({ state: z.string() }).parse(delivery).state === "delivered" ? true : undefined;
    });
    await page.goto("/operations/deliveries");
    await page.waitForSelector("text=No dead letters");
    const audit = await operator.api("GET", "/api/audit?limit=20", undefined, 200);
    expect(JSON.stringify(audit)).toContain('"relay.replay"');
    expect(operator.complaints).toEqual([]);
  });

  it("pauses a destination and the whole relay, and resumes them", async () => {
    const { page } = operator;
    await page.goto("/operations/deliveries");
    await page.click("button[data-call$='/refusing-insurer/pause']");
    await page.waitForSelector("button[data-call$='/refusing-insurer/resume']");
    await page.click("button[data-call$='/refusing-insurer/resume']");
    await page.waitForSelector("button[data-call$='/refusing-insurer/pause']");
    await page.click("button[data-call$='/relay/pause']");
    await page.click("#pause-relay [data-confirmed]");
    await page.waitForSelector("text=Nothing is sent since");
    await page.click("button[data-call$='/relay/resume']");
    await page.waitForSelector("button[data-call$='/relay/pause']");
    expect(operator.complaints).toEqual([]);
  });

  it("switches auto-submit off for the whole hub, and on again", async () => {
    const { page } = operator;
    await page.goto("/operations/auto-submit");
    await page.click("button[data-confirm=switch-off]");
    await page.click("#switch-off [data-confirmed]");
    await page.waitForSelector("text=queued claims wait");
    await page.click("text=Switch on");
    await page.waitForSelector("button[data-confirm=switch-off]");
  });

  it("verifies an entry of the ledger in the browser, on a page that recovers by itself once core answers again", async () => {
    const { page } = operator;
    // What operators do is in the ledger too, and has no proof of a request.
    const seq = await until("an entry of a request", async () => {
      for (let at = 0; at < 20; at++) {
        const { entry } = ledgerEntry.parse(await core("GET", `/ledger/entries/${at}`));
        if (entry.type === "REQUEST_SUBMITTED") return at;
      }
      return undefined;
    });
    const path = `/operations/ledger/${seq}`;
    // As the page is while core is away: the next reading of it is the true one.
    await page.route(`**${path}`, async (route) => {
      const answer = await route.fetch();
      const whole = (await answer.text()).replaceAll("data-verify=", "data-none=");
      await route.fulfill({
        response: answer,
        body: whole.replace("</main>", "<p data-away data-refresh=500></p></main>"),
      });
      await page.unroute(`**${path}`);
    });
    await page.goto(path);
    await page.click("[data-verify]");
    await page.waitForSelector("[data-verdict]");
    expect(await page.getAttribute("[data-verdict]", "data-verdict")).toBe("passed");
    expect(await page.getAttribute("[data-step=inclusion]", "data-result")).toBe("passed");
  });

  it("is shown an anchor with its history", async () => {
    const { page } = operator;
    await page.goto("/operations/anchors");
    await page.click("#anchors tbody a");
    await page.waitForSelector("#anchor");
    expect(await page.textContent("#anchor")).toContain("Confirmed");
    expect(await lookAtPage(operator, "operations-anchor")).toEqual([]);
  });

  it("reads it all in French", async () => {
    const { page } = operator;
    await Promise.all([page.waitForEvent("load"), page.selectOption("[data-locale-switch]", "fr")]);
    await page.goto("/operations");
    expect(await page.textContent("h1")).toBe("Aperçu du système");
    expect(await page.textContent("main")).not.toMatch(/ops\.\w+/);
    await operator.api("PATCH", "/api/auth/me", { locale: "en" }, 200);
  });
});

describe("the operators' pages", () => {
  it("are not for a clinic's people", async () => {
    const visitor = await Visitor.arrive();
    await visitor.signInQuickly();
    for (const path of ["/operations", "/operations/deliveries", "/operations/ledger/0"]) {
      expect((await visitor.page.goto(path))?.status(), path).toBe(403);
    }
    await visitor.leave();
  });
});
