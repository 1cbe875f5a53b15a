/** `scripts/itrans-cross-repo-e2e.sh`: one claim from a hub through core and back. `--help` lists what it takes. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import * as z from "zod";
import { buildFacts, projectRoot } from "./lib/bundle.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { call, summaryOf } from "./lib/http.ts";
import { clinicAt } from "./lib/hub-records.ts";
import { type Clinic, runLifecycle, type Step, signIn } from "./lib/lifecycle.ts";
import { durationMs } from "./lib/load/settings.ts";
import { makePrinter } from "./lib/print.ts";
import { startSystem } from "./lib/system.ts";

const USAGE = `scripts/itrans-cross-repo-e2e.sh [--core URL --hub URL] [--out FILE] [--step-timeout 60s]

Files one claim at the hub and follows it: queued, submitted, in the ledger, acknowledged, adjudicated, anchored, called back.
Without addresses it starts the built-in system, its insurer among it, and ends it again. With them it uses what runs there: any hub
that serves MedLink's API and calls core. It needs E2E_EMAIL and E2E_PASSWORD of a person who may file claims there and core's
WORKFLOW_API_KEY, with which it stands in for the insurer (E2E_INSURER=real leaves that to the real one).

Writes FILE (.local/itrans-cross-repo-e2e/result.json): {status, claimId, requestId, deliveredCount, ...}. Exit 0 when status is pass.`;

const { values } = parseArgs({
  options: {
    help: { type: "boolean" },
    core: { type: "string" },
    hub: { type: "string" },
    out: { type: "string", default: ".local/itrans-cross-repo-e2e/result.json" },
    "step-timeout": { type: "string", default: "60s" },
  },
});
if (values.help === true) {
  console.log(USAGE);
  process.exit(0);
}

interface Site {
  readonly coreUrl: string;
  readonly workflowKey: string;
  readonly clinic: Clinic;
  readonly evmRpcUrl: string | undefined;
  readonly insurer: "real" | "stood in for";
}

const printer = makePrinter(process.stdout, process.env);
const steps: Step[] = [];

function required(name: string): string {
  const value = process.env[name] ?? "";
  if (value === "") throw new Failure(`set ${name}: the system that is named needs it`);
  return value;
}

async function standIn({ coreUrl, workflowKey }: Site, requestId: string): Promise<void> {
  const headers = { "x-api-key": workflowKey };
  const ask = async (action: string, body: unknown): Promise<void> => {
    const url = `${coreUrl}/workflow/requests/${encodeURIComponent(requestId)}/${action}`;
    const answer = await call(url, { method: "POST", headers, body });
    if (answer.status !== 200) throw new Failure(`${action}: ${summaryOf(answer)}`);
  };
  await ask("acknowledge", {});
  await ask("adjudicate", { decision: "APPROVED" });
}

const requestSchema = z.looseObject({ requestIdHash: z.string() });
const deliveriesSchema = z.looseObject({ deliveries: z.array(z.looseObject({ state: z.string() })) });
const DELIVERIES_WITHIN_MS = 60_000;

/** Waits until every webhook of the request has arrived. @returns how many. */
async function deliveriesOf({ coreUrl, workflowKey }: Site, requestId: string): Promise<number> {
  const headers = { "x-api-key": workflowKey };
  const request = await call(`${coreUrl}/workflow/requests/${encodeURIComponent(requestId)}`, { headers });
  const known = requestSchema.safeParse(request.body);
  if (!known.success) throw new Failure(`core does not know the request: ${summaryOf(request)}`);
  const query = new URLSearchParams({ request: known.data.requestIdHash, limit: "100" });
  for (const until = performance.now() + DELIVERIES_WITHIN_MS; ; ) {
    const answer = await call(`${coreUrl}/relay/workflow/deliveries?${query}`, { headers });
    const parsed = deliveriesSchema.safeParse(answer.body);
    if (!parsed.success) throw new Failure(`deliveries of the request: ${summaryOf(answer)}`);
    const { deliveries } = parsed.data;
    if (deliveries.some(({ state }) => state === "dead")) throw new Failure("a webhook of the request was given up");
    if (deliveries.every(({ state }) => state === "delivered" || state === "discarded"))
      return deliveries.filter(({ state }) => state === "delivered").length;
    if (performance.now() > until) throw new Failure("webhooks of the request are still under way");
    await new Promise((resume) => setTimeout(resume, 500));
  }
}

async function follow(site: Site, stepTimeoutMs: number) {
  const cookie = await signIn(site.clinic);
  let standingIn: Promise<void> = Promise.resolve();
  const result = await runLifecycle({
    clinic: site.clinic,
    cookie,
    type: "claim",
    coreUrl: site.coreUrl,
    workflowApiKey: site.workflowKey,
    evmRpcUrl: site.evmRpcUrl,
    stepTimeoutMs,
    onStep(step) {
      steps.push(step);
      printer.step("claim", step.name, step.ms, step.detail);
    },
    onSubmitted(requestId) {
      if (site.insurer === "stood in for") standingIn = standIn(site, requestId);
      // Said when it is waited for, below.
      standingIn.catch(() => {});
    },
  }).catch(async (error: unknown) => {
    await standingIn;
    throw error;
  });
  const deliveredCount = await deliveriesOf(site, result.requestId);
  return { ...result, deliveredCount };
}

async function run(stepTimeoutMs: number) {
  if (values.core !== undefined || values.hub !== undefined) {
    if (values.core === undefined || values.hub === undefined) throw new Failure("--core and --hub go together");
    const hubUrl = values.hub.replace(/\/+$/, "");
    const site: Site = {
      coreUrl: values.core.replace(/\/+$/, ""),
      workflowKey: required("WORKFLOW_API_KEY"),
      clinic: await clinicAt(hubUrl, { email: required("E2E_EMAIL"), password: required("E2E_PASSWORD") }),
      evmRpcUrl: process.env.E2E_EVM_RPC_URL,
      insurer: process.env.E2E_INSURER === "real" ? "real" : "stood in for",
    };
    return follow(site, stepTimeoutMs);
  }
  const directory = mkdtempSync(join(tmpdir(), "cross-repo-"));
  const starting = startSystem({
    dataDir: join(directory, "data"),
    secretsFile: join(directory, "secrets"),
    environment: { LOG_LEVEL: "warn", ...process.env },
    ports: { core: 0, hub: 0, relay: 0, anvil: 0, insurer: 0, operator: 0 },
  });
  try {
    const { stack, secrets, clinic, evmRpcUrl } = await starting;
    if (clinic === undefined) throw new Failure("there is no demo clinic to file a claim from");
    const site: Site = {
      coreUrl: stack.urls.core,
      workflowKey: secrets.WORKFLOW_API_KEY ?? "",
      clinic,
      evmRpcUrl,
      insurer: "real",
    };
    return await follow(site, stepTimeoutMs);
  } finally {
    await starting.then((system) => system.dispose()).catch(() => {});
    rmSync(directory, { recursive: true, force: true });
  }
}

async function main(): Promise<boolean> {
  const stepTimeoutMs = durationMs(values["step-timeout"]);
  if (stepTimeoutMs === undefined || stepTimeoutMs <= 0) throw new Failure("--step-timeout is no duration such as 60s");
  const startedAt = new Date().toISOString();
  const { version, commit } = buildFacts();
  let outcome: Readonly<Record<string, unknown>>;
  let pass = false;
  try {
    const { claimId, requestId, claimStatus, anchor, deliveredCount } = await run(stepTimeoutMs);
    outcome = { status: "pass", claimId, requestId, deliveredCount, claimStatus, anchor };
    pass = true;
  } catch (error) {
    outcome = { status: "fail", claimId: null, requestId: null, deliveredCount: 0, reason: messageOf(error) };
  }
  const path = resolve(projectRoot, values.out);
  mkdirSync(dirname(path), { recursive: true });
  const result = { ...outcome, steps, startedAt, endedAt: new Date().toISOString(), version, commit };
  writeFileSync(path, `${JSON.stringify(result, null, 2)}\n`);
  printer.line(
    `${printer.paint(pass ? "green" : "red", pass ? "pass" : "fail")}  ${pass ? values.out : String(outcome.reason)}`,
  );
  return pass;
}

main().then(
  (pass) => process.exit(pass ? 0 : 1),
  (error: unknown) => {
    console.error(messageOf(error));
    process.exit(2);
  },
);
