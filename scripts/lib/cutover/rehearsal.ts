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
    site,
    directory,
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

/** What a go wants, as a rehearsal has it: backups and a drill of this system; gates that say so and every signature are made up. */
export async function rehearsalSignOffs(
  context: CutoverContext,
): Promise<{ readonly site: SignOffs; readonly gates: string }> {
  const { site, directory } = context;
  const gates = join(directory, "gates");
  mkdirSync(gates, { recursive: true });
  const finishedAt = new Date(context.now()).toISOString();
  const said = JSON.stringify({ pass: true, endedAt: finishedAt, rehearsal: true });
  for (const file of ["summary.json", "load-gate.json", "soak-gate.json"]) writeFileSync(join(gates, file), said);
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
