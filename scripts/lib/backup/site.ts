/** Which system a command is about: this machine's, or one that is deployed, by its address and operator key. */
import * as z from "zod";
import { type Values, valuesOf } from "../environment.ts";
import { Failure, messageOf } from "../fail.ts";
import { checkDeployedUrl, hubOperatorOf, type Operator, operatorOf } from "../operator.ts";
import { ENVIRONMENTS, type EnvironmentName } from "../platform.ts";
import type { SnapshotSource } from "./archive.ts";

export type Environment = Values;

const nameOf = (name: string): EnvironmentName => {
  const known = ENVIRONMENTS.find((one) => one === name);
  if (known === undefined) throw new Failure(`--env is one of ${ENVIRONMENTS.join(", ")}`);
  return known;
};

/** Values of `.env.<env>` and `config/<env>.env`, where those are, under those of the process. */
export function environmentOf(name: string, process: Environment): Environment {
  const known = nameOf(name);
  const values = valuesOf(known, process);
  if (known !== "local") checkDeployedUrl(known, "ITRANS_CORE_URL", values.ITRANS_CORE_URL ?? "");
  return values;
}

export interface BackupSite {
  readonly operator: Operator;
  /** Where the routes of backups are. */
  readonly base: string;
}

/** @param name as --env gives it: of a deployed system nothing is taken from this machine. */
export const siteOf = (of: "core" | "hub", environment: Environment, name: string): BackupSite =>
  of === "core"
    ? { operator: operatorOf(environment, nameOf(name)), base: "/operations" }
    : { operator: hubOperatorOf(environment, nameOf(name)), base: "/api/operations" };

const runSchema = z.object({
  name: z.string(),
  state: z.enum(["running", "good", "failed", "expired"]),
  reason: z.string().nullable(),
  size: z.number(),
  files: z.number(),
  bytes: z.number(),
  newFiles: z.number(),
  newBytes: z.number(),
  phase: z.string().nullable(),
});
export type Run = z.output<typeof runSchema>;

/** Begins a snapshot, and makes it turn by turn without waiting for the cron. @throws Failure when it does not turn out good. */
export async function makeSnapshot(
  { operator, base }: BackupSite,
  tag: string | undefined,
  progress: (run: Run) => void,
): Promise<Run> {
  const begun = await operator.ask(`${base}/backups`, { method: "POST", body: tag === undefined ? {} : { tag } });
  let run = runSchema.parse(begun);
  for (let failures = 0; run.state === "running"; ) {
    progress(run);
    try {
      run = runSchema.parse(await operator.ask(`${base}/backups/${run.name}/advance`, { method: "POST" }));
      failures = 0;
    } catch (error) {
      // The run goes on from its last step, by this call or the cron's.
      failures += 1;
      if (failures > 5) throw new Failure(`the snapshot ${run.name} does not go on: ${messageOf(error)}`);
    }
  }
  if (run.state !== "good") throw new Failure(`the snapshot ${run.name} failed: ${run.reason}`);
  return run;
}

const apartSchema = z.object({
  keys: z.array(z.object({ path: z.string() })),
  tail: z.array(z.string()),
  oldestAt: z.string().nullish(),
});

const ATTEMPTS = 4;
const OBJECT_TIMEOUT_MS = 60_000;

async function fetchBytes({ operator }: BackupSite, path: string): Promise<Uint8Array<ArrayBuffer>> {
  let reason = "";
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    try {
      const response = await fetch(`${operator.url}${path}`, {
        headers: { "x-api-key": operator.key },
        signal: AbortSignal.timeout(OBJECT_TIMEOUT_MS),
        redirect: "manual",
      });
      if (response.ok) return new Uint8Array(await response.arrayBuffer());
      await response.body?.cancel();
      reason = `answers ${response.status}`;
      if (response.status < 500 && response.status !== 429) break;
    } catch (error) {
      reason = messageOf(error);
    }
  }
  throw new Failure(`${path}: ${reason}`);
}

export async function remoteSnapshot(site: BackupSite, name: string): Promise<SnapshotSource> {
  const { base } = site;
  const manifest = await fetchBytes(site, `${base}/backups/${encodeURIComponent(name)}/manifest`);
  const apart = apartSchema.parse(await site.operator.ask(`${base}/backup-keys`));
  return {
    manifestText: new TextDecoder().decode(manifest),
    apart: [...apart.keys.map(({ path }) => path), ...apart.tail],
    apartFrom: apart.oldestAt === undefined || apart.oldestAt === null ? undefined : Date.parse(apart.oldestAt),
    read: (path) => fetchBytes(site, `${base}/backup-object?path=${encodeURIComponent(path)}`),
  };
}
