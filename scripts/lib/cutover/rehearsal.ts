/** A cutover's context over the local system, with its times compressed, and clinics that file claims when it waits for them. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { acceptedValues } from "../../../src/platform/secrets.ts";
import { runDrill, servedKeys } from "../backup/drill.ts";
import { type BackupSite, makeSnapshot } from "../backup/site.ts";
import { buildFacts } from "../bundle.ts";
import { prepare } from "../deploy/before.ts";
import {
  deployedNameOf,
  objectMigrationIn,
  REHEARSED,
  type Rehearsal,
  type RehearsalOptions,
  startRehearsal,
} from "../deploy/rehearsal.ts";
import { DEFAULT_LIMITS } from "../deploy/rollout.ts";
import { askOf } from "../deploy/site.ts";
import { Failure } from "../fail.ts";
import { call, summaryOf } from "../http.ts";
import { type Clinic, signIn } from "../lifecycle.ts";
import { type GateName, planOf, tunablesSchema } from "../load/settings.ts";
import type { CutoverContext } from "./context.ts";
import { type SignOffs, templateOf } from "./preflight.ts";

/** Four hours in twelve seconds. */
const COMPRESS = 1_200;
const FIRST_CLAIMS = 10;

export interface RehearsedCutover {
  readonly context: CutoverContext;
  readonly rehearsal: Rehearsal;
  dispose(): Promise<void>;
}

export async function rehearsalContext(
  options: RehearsalOptions & { readonly say: (line: string) => void },
): Promise<RehearsedCutover> {
  const rehearsal = await startRehearsal(options);
  return { context: contextOf(rehearsal, options.directory, options.say), rehearsal, dispose: rehearsal.dispose };
}

/** @param directory of this cutover; one rehearsal's system serves several. */
export function contextOf(rehearsal: Rehearsal, directory: string, say: (line: string) => void): CutoverContext {
  const { site, platform, system } = rehearsal;
  const clinic: Clinic | undefined =
    system.clinic === undefined ? undefined : { ...system.clinic, hubUrl: site.urls["medlink-hub"] };
  return {
    environment: REHEARSED,
    commandsOf: "local",
    site,
    directory,
    control: directory,
    clinic,
    evmRpcUrl: system.evmRpcUrl,
    compress: COMPRESS,
    stepTimeoutMs: 60_000,
    firstClaims: FIRST_CLAIMS,
    organic: clinic === undefined ? undefined : () => fileClaims(clinic, FIRST_CLAIMS),
    contact: "the rehearsal's on-call lead",
    now: () => Date.now(),
    sleep: (ms) => sleep(ms),
    say: (line) => say(line),
    rollout: {
      platform,
      environment: REHEARSED,
      site,
      facts: buildFacts(),
      pace: { watchMs: 500, everyMs: 500, settleMs: 4_000 },
      // Everything shares this machine: a slow answer here says nothing of the version.
      limits: { ...DEFAULT_LIMITS, p95Ms: 5_000 },
      deployedName: deployedNameOf(REHEARSED),
      objectMigration: objectMigrationIn(REHEARSED),
      now: () => Date.now(),
      sleep: (ms) => sleep(ms),
    },
    prepare: () =>
      prepare({
        platform,
        rules: "local",
        environment: REHEARSED,
        values: site.values,
        database: rehearsal.database,
        snapshots: join(directory, "databases"),
        tag: "before-cutover",
        say,
      }),
  };
}

/** What clinics file by themselves in these hours. */
async function fileClaims(clinic: Clinic, count: number): Promise<void> {
  const cookie = await signIn(clinic);
  const { patientId, providerId, insurerId } = clinic;
  const body = {
    patientId,
    providerId,
    insurerId,
    type: "claim",
    amount: "80.00",
    currency: "CAD",
    codes: ["11101"],
    notes: "",
  };
  for (let i = 0; i < count; i++) {
    const filed = await call(`${clinic.hubUrl}/api/claims`, { method: "POST", headers: { cookie }, body });
    if (filed.status !== 201) throw new Failure(`a claim was not filed: ${summaryOf(filed)}`);
  }
}

/** What the gates would have written, had they run and passed. @param at epoch ms: when they ended. */
function gatesOf({ urls }: CutoverContext["site"], at: number): Readonly<Record<string, unknown>> {
  const tunables = tunablesSchema.parse({});
  const shared = {
    pass: true,
    commit: buildFacts().commit,
    endedAt: new Date(at).toISOString(),
    tunables,
    rehearsal: true,
  };
  const gate = (of: GateName) => {
    const { durationMs, users } = planOf(of, tunables);
    return {
      ...shared,
      gate: of,
      startedAt: new Date(at - durationMs).toISOString(),
      durationMs,
      virtualUsers: users,
      target: { core: urls["itrans-core"], hub: urls["medlink-hub"] },
      notJudged: [],
    };
  };
  const phases = ["functional", "failure-injection", "load", "soak"].map((phase) => ({ phase, pass: true }));
  const startedAt = new Date(at - tunables.LOAD_DURATION - tunables.SOAK_DURATION).toISOString();
  return {
    "summary.json": { ...shared, startedAt, target: "systems of its own", skipped: [], phases },
    "load-gate.json": gate("load"),
    "soak-gate.json": gate("soak"),
  };
}

/** What a go wants, as a rehearsal has it: backups and a drill of this system; gates that say so and every signature are made up. */
export async function rehearsalSignOffs(
  context: CutoverContext,
): Promise<{ readonly site: SignOffs; readonly gates: string }> {
  const { site, directory } = context;
  const gates = join(directory, "gates");
  mkdirSync(gates, { recursive: true });
  const finishedAt = new Date(context.now()).toISOString();
  for (const [file, result] of Object.entries(gatesOf(site, context.now())))
    writeFileSync(join(gates, file), JSON.stringify(result));
  for (const side of ["core", "hub"] as const) {
    const base = side === "core" ? "/operations" : "/api/operations";
    const from: BackupSite = {
      base,
      operator: {
        url: site.urls[side === "core" ? "itrans-core" : "medlink-hub"],
        key: site.keys[side],
        ask: (path, options) => askOf(site, side, path, { ...options, timeoutMs: 90_000 }),
      },
    };
    const { name } = await makeSnapshot(from, "rehearsal", () => {});
    if (side === "hub") continue;
    const secrets = acceptedValues(site.values, "BACKUP_ENCRYPTION_KEY");
    const logKeys = await servedKeys(from.operator.url);
    const { entries } = await runDrill({ site: from, snapshot: name, secrets, logKeys, progress: () => {} });
    context.say(`restore drill: ${entries} entries of ${name} restored, chain, tree and checkpoint checked`);
  }
  const template = templateOf();
  const names = (id: string) =>
    (template.signed[id] ?? []).map((_, index) => ({ name: `Rehearsal ${index + 1}`, at: finishedAt }));
  return {
    gates,
    site: {
      contact: context.contact,
      window: "this rehearsal",
      signed: Object.fromEntries(Object.keys(template.signed).map((id) => [id, names(id)])),
    },
  };
}
