/** What a rollout looks at between its steps: the smoke checks of one version by name, and the metrics of the worker. */
import * as z from "zod";
import type { WorkerName } from "../../../src/platform/secrets.ts";
import { type Check, runChecks, type Sites, SMOKE_CHECKS } from "../checks.ts";
import { messageOf } from "../fail.ts";
import { call } from "../http.ts";
import type { Reading } from "./rollout.ts";
import type { DeploySite } from "./site.ts";

/** A dictionary of structured fields, worker's name to version id: the request is served by that version, at any percentage. */
export const OVERRIDE_HEADER = "Cloudflare-Workers-Version-Overrides";
export const overrideOf = (deployedName: string, versionId: string): Readonly<Record<string, string>> => ({
  [OVERRIDE_HEADER]: `${deployedName}="${versionId}"`,
});

const versionSchema = z.looseObject({ version: z.string(), commit: z.string() });

export const VERSION_PATHS: Readonly<Record<WorkerName, string>> = {
  "itrans-core": "/version",
  "itrans-relay": "/version",
  "medlink-hub": "/api/version",
};

/** @returns the commit that answers. */
export async function commitAt(
  site: DeploySite,
  worker: WorkerName,
  headers: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { status, body } = await call(`${site.urls[worker]}${VERSION_PATHS[worker]}`, { headers, timeoutMs: 10_000 });
  const parsed = versionSchema.safeParse(body);
  if (status !== 200 || !parsed.success) throw new Error(`${VERSION_PATHS[worker]} answers ${status}`);
  return parsed.data.commit;
}

const ATTEMPTS = 3;

/** @returns what is wrong with the version that the headers name. */
export async function smokeFaults(
  site: DeploySite,
  worker: WorkerName,
  headers: Readonly<Record<string, string>>,
  commit: string,
  checks: readonly Check[] = SMOKE_CHECKS,
): Promise<readonly string[]> {
  try {
    const answered = await commitAt(site, worker, headers);
    if (answered !== commit)
      return [`${worker} answers from commit ${answered.slice(0, 12)}, not ${commit.slice(0, 12)}`];
    if (worker === "itrans-relay") {
      const { status } = await call(`${site.urls[worker]}/health`, { headers, timeoutMs: 10_000 });
      return status === 200 ? [] : [`the relay's /health answers ${status}`];
    }
  } catch (error) {
    return [messageOf(error)];
  }
  const own = { url: site.urls[worker], key: undefined, headers };
  const sites: Sites = worker === "itrans-core" ? { core: own, hub: undefined } : { core: undefined, hub: own };
  let failed: readonly Check[] = checks;
  let faults: readonly string[] = [];
  // A version that nobody called yet is cold: what fails is looked at again.
  for (let attempt = 0; attempt < ATTEMPTS && failed.length > 0; attempt++) {
    const bad = (await runChecks(failed, sites)).filter(({ ok }) => !ok);
    faults = bad.map(({ name, detail }) => `${name}: ${detail}`);
    failed = failed.filter(({ name }) => bad.some((result) => result.name === name));
  }
  return faults;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export const samplesOf = (text: string): readonly Sample[] =>
  text.split("\n").flatMap((line) => {
    const [, name, labels = "", value = ""] = SAMPLE.exec(line) ?? [];
    if (name === undefined) return [];
    return [
      {
        name,
        labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, key = "", of = ""]) => [key, of])),
        value: Number(value.replace("+Inf", "Infinity")),
      },
    ];
  });

/** @throws Error when the worker shows no metrics. */
export async function scrape(site: DeploySite, worker: WorkerName): Promise<readonly Sample[]> {
  const { status, body } = await call(`${site.urls[worker]}/metrics`, {
    headers: { authorization: `Bearer ${site.scrapeToken}` },
    timeoutMs: 20_000,
  });
  if (status !== 200 || typeof body !== "string") throw new Error(`${worker}: /metrics answers ${status}`);
  return samplesOf(body);
}

export const sumOf = (
  samples: readonly Sample[],
  name: string,
  where: (labels: Sample["labels"]) => boolean = () => true,
): number => samples.reduce((sum, one) => (one.name === name && where(one.labels) ? sum + one.value : sum), 0);

/** Each worker's own requests; the relay serves none, so core's count while it is rolled out. */
const PREFIX: Readonly<Record<WorkerName, string>> = {
  "itrans-core": "itrans_core",
  "itrans-relay": "itrans_core",
  "medlink-hub": "medlink",
};

export function readingOf(prefix: string, samples: readonly Sample[], core: readonly Sample[]): Reading {
  const bounds = new Map<number, number>();
  for (const { name, labels, value } of samples) {
    if (name !== `${prefix}_http_request_duration_seconds_bucket`) continue;
    const le = Number((labels.le ?? "").replace("+Inf", "Infinity"));
    bounds.set(le, (bounds.get(le) ?? 0) + value);
  }
  return {
    requests: sumOf(samples, `${prefix}_http_requests_total`),
    serverErrors: sumOf(samples, `${prefix}_http_requests_total`, ({ status = "" }) => status.startsWith("5")),
    buckets: [...bounds].sort(([a], [b]) => a - b),
    deadLetters: sumOf(core, "itrans_core_outbox_dead_letters"),
  };
}

export async function readingNow(site: DeploySite, worker: WorkerName): Promise<Reading> {
  const core = await scrape(site, "itrans-core");
  const own = worker === "medlink-hub" ? await scrape(site, worker) : core;
  return readingOf(PREFIX[worker], own, core);
}
