import { spawn, spawnSync } from "node:child_process";
import { createServer } from "node:http";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { environmentOf, siteOf } from "../../../scripts/lib/backup/site.ts";
import { projectRoot } from "../../../scripts/lib/bundle.ts";
import { siteOf as deploySiteOf } from "../../../scripts/lib/deploy/site.ts";
import { hubOperatorOf, operatorOf } from "../../../scripts/lib/operator.ts";
import { retireFault } from "../../../scripts/lib/rotation.ts";
import { readRotation, switchedAt } from "../../../scripts/lib/rotation-site.ts";

/** What core and hub answer, by path without its query. */
let answers: Record<string, { readonly status?: number; readonly body: unknown }> = {};
const asked: string[] = [];
const server = createServer((request, response) => {
  const path = request.url ?? "";
  asked.push(`${request.method} ${path}`);
  const { status = 200, body } = answers[path] ?? answers[path.split("?")[0] ?? ""] ?? { status: 404, body: {} };
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const address = server.address();
if (address === null || typeof address === "string") throw new Error("it listens on a port");
const url = `http://127.0.0.1:${address.port}`;
afterAll(() => server.close());

const LOCAL = {
  ITRANS_CORE_URL: url,
  MEDLINK_HUB_URL: url,
  RELAY_URL: url,
  OPERATOR_API_KEY: "operator-key-for-tests",
  HUB_OPERATOR_API_KEY: "hub-operator-key-for-tests",
  WORKFLOW_API_KEY: "workflow-key-for-tests",
  METRICS_SCRAPE_TOKEN: "scrape-token-for-tests",
};

beforeEach(() => {
  answers = {};
  asked.length = 0;
});

describe.each(["staging", "production"] as const)("a command for %s", (environment) => {
  it("is never about this machine, whatever address or key this machine has", () => {
    const remote = { ...LOCAL, ITRANS_CORE_URL: "https://core.example", MEDLINK_HUB_URL: "https://hub.example" };
    for (const of of [operatorOf, hubOperatorOf]) {
      expect(() => of({}, environment)).toThrow(/^set (ITRANS_CORE|MEDLINK_HUB)_URL/);
      expect(() => of(LOCAL, environment)).toThrow("is on this machine");
      expect(() =>
        of({ ...remote, ITRANS_CORE_URL: "http://core.example", MEDLINK_HUB_URL: "http://hub.example" }, environment),
      ).toThrow("not an https address");
      expect(() => of({ ...remote, OPERATOR_API_KEY: "", HUB_OPERATOR_API_KEY: "" }, environment)).toThrow(
        /^set (HUB_)?OPERATOR_API_KEY/,
      );
      expect(of(remote, environment).url).toMatch(/^https:\/\/(core|hub)\.example$/);
    }
    expect(() => environmentOf(environment, LOCAL)).toThrow("is on this machine");
    expect(() => siteOf("hub", { ...remote, MEDLINK_HUB_URL: "" }, environment)).toThrow("set MEDLINK_HUB_URL");
    expect(() => deploySiteOf(environment, LOCAL)).toThrow("is on this machine");
  });

  it("that rotates a secret asks and changes nothing when core's address is this machine's", async () => {
    const script = join(projectRoot, "scripts", "secrets.ts");
    const child = spawn(process.execPath, [script, "WORKFLOW_API_KEY", "--step", "add", "--env", environment], {
      cwd: projectRoot,
      env: { ...process.env, ...LOCAL },
    });
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => {
      complaint += chunk.toString();
    });
    const code = await new Promise((resolve) => child.once("exit", resolve));
    expect(complaint).toContain("ITRANS_CORE_URL is on this machine");
    expect(code).toBe(1);
    expect(asked).toEqual([]);
  }, 60_000);
});

describe("what a rotation asks", () => {
  const action = (target: string, at: string) => ({ at, target, action: "SECRET_ROTATE" });

  it("takes the switch from the ledger, by either end's name, until another rotation begins", async () => {
    const core = operatorOf(LOCAL);
    const list = (...actions: readonly object[]) => {
      answers["/operations/actions"] = { body: { actions, before: null } };
    };
    const at = "2026-11-22T10:00:00.000Z";
    list(action("AUDITOR_TOKEN:add", "2026-11-22T11:00:00.000Z"), action("ITRANS_WORKFLOW_API_KEY:switch", at));
    expect(await switchedAt(core, "WORKFLOW_API_KEY")).toBe(Date.parse(at));
    list(action("WORKFLOW_API_KEY:add", "2026-11-22T11:00:00.000Z"), action("WORKFLOW_API_KEY:switch", at));
    expect(await switchedAt(core, "WORKFLOW_API_KEY")).toBeUndefined();
    list(action("WORKFLOW_API_KEY:retire", "2026-11-22T11:00:00.000Z"), action("WORKFLOW_API_KEY:switch", at));
    expect(await switchedAt(core, "WORKFLOW_API_KEY")).toBe(Date.parse(at));
  });

  it("of ENCRYPTION_KEY: the hub's re-encryption, and the hub's snapshots", async () => {
    const switched = "2026-11-22T08:00:00.000Z";
    const renewal = {
      state: "running",
      done: 1,
      total: 2,
      held: 0,
      startedAt: "2026-11-22T08:10:00.000Z",
      finishedAt: null,
    };
    const run = { state: "good", startedAt: "2026-11-22T08:15:00.000Z" };
    answers = {
      "/operations/secrets": { body: { secrets: [], overlaps: [], rewraps: [] } },
      "/operations/actions": { body: { actions: [action("ENCRYPTION_KEY:switch", switched)], before: null } },
      "/api/operations/secrets": {
        body: {
          secrets: [{ name: "ENCRYPTION_KEY", worker: "medlink-hub", setAt: "2026-11-22T08:01:00.000Z", ageDays: 0 }],
          overlaps: [{ name: "ENCRYPTION_KEY" }],
        },
      },
      "/api/admin/re-encrypt": { body: renewal },
      "/api/operations/backups": { body: { runs: [run] } },
    };
    const now = Date.parse("2026-11-22T12:00:00.000Z");
    const fault = async () =>
      retireFault(
        "ENCRYPTION_KEY",
        await readRotation("ENCRYPTION_KEY", { core: operatorOf(LOCAL), hub: () => hubOperatorOf(LOCAL) }),
        now,
        900_000,
      );
    expect(await fault()).toContain("re-encrypt has not finished");
    answers["/api/admin/re-encrypt"] = {
      body: { ...renewal, state: "complete", finishedAt: "2026-11-22T08:20:00.000Z" },
    };
    expect(await fault()).toContain("no good snapshot of medlink-hub");
    for (const state of ["running", "failed"]) {
      answers["/api/operations/backups"] = { body: { runs: [{ state, startedAt: "2026-11-22T09:00:00.000Z" }, run] } };
      expect(await fault()).toContain("no good snapshot of medlink-hub");
    }
    answers["/api/operations/backups"] = { body: { runs: [{ ...run, startedAt: "2026-11-22T09:00:00.000Z" }, run] } };
    expect(await fault()).toBeUndefined();
    answers["/api/operations/backups"] = { status: 503, body: { detail: "The database does not answer." } };
    await expect(fault()).rejects.toThrow("503");
    answers["/api/operations/backups"] = { status: 503, body: { detail: "Nothing is backed up: no bucket." } };
    expect(await fault()).toBeUndefined();
  });
});

it("keeps files that hold an environment's secrets out of git, and its examples in it", () => {
  const secret = [
    ".env",
    ".env.staging",
    ".env.production",
    ".env.production.local",
    ".dev.vars",
    ".dev.vars.staging",
    "config/local.env",
    "config/staging.env",
    "config/production.env",
  ];
  const examples = ["config/development.env.example", "config/staging.env.example", "config/production.env.example"];
  const checked = spawnSync("git", ["check-ignore", "--no-index", "--stdin"], {
    cwd: projectRoot,
    input: [...secret, ...examples, ".env.example"].join("\n"),
    encoding: "utf8",
  });
  expect(checked.stdout.trim().split("\n")).toEqual(secret);
});
