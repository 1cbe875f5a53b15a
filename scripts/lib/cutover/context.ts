/** What a cutover's steps work on. */
import { join } from "node:path";
import type { WorkerName } from "../../../src/platform/secrets.ts";
import type { RolloutParts } from "../deploy/run-rollout.ts";
import type { DeploySite } from "../deploy/site.ts";
import { Failure } from "../fail.ts";
import type { Clinic } from "../lifecycle.ts";
import type { EnvironmentName, RemoteEnvironment } from "../platform.ts";

export interface CutoverContext {
  readonly environment: RemoteEnvironment;
  /** Whose commands an operator is told: in a rehearsal this machine's, whatever name it goes by. */
  readonly commandsOf: EnvironmentName;
  readonly site: DeploySite;
  /** Everything that is written is under here. */
  readonly directory: string;
  /** Where it is marked which process runs a cutover of this environment, and what a person decides is told. */
  readonly control: string;
  readonly rollout: Omit<RolloutParts, "save" | "say">;
  /** Settings, secrets and databases, before the first version is uploaded. */
  readonly prepare: () => Promise<void>;
  /** The clinic that files the synthetic claim; its insurer answers by itself. */
  readonly clinic: Clinic | undefined;
  readonly evmRpcUrl: string | undefined;
  /** Divides every time that is watched, for a rehearsal. */
  readonly compress: number;
  /** How long each step of a claim's life may take. */
  readonly stepTimeoutMs: number;
  /** How many organic claims are watched, at most ten. */
  readonly firstClaims: number;
  /** In a rehearsal, files the claims that clinics would. */
  readonly organic?: (() => Promise<void>) | undefined;
  readonly contact: string;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  /** @param share of the whole, where it is known. */
  readonly say: (line: string, share?: number) => void;
}

/** Something that the rollback triggers name was seen: everything goes back, whatever step stands here. */
export class Triggered extends Failure {}

export const rolloutFile = (context: CutoverContext, worker: WorkerName): string =>
  join(context.directory, `rollout-${worker}.json`);

export const isoNow = (context: Pick<CutoverContext, "now">): string => new Date(context.now()).toISOString();
