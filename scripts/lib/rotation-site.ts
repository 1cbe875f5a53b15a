/** What core and hub answer about their secrets, as one state that the steps of a rotation are judged by. */
import * as z from "zod";
import { rotationOf } from "../../src/platform/rotation.ts";
import type { WorkerName } from "../../src/platform/secrets.ts";
import { Failure } from "./fail.ts";
import { call, summaryOf } from "./http.ts";
import type { Operator } from "./operator.ts";
import { askedOf, endsOf, type RotationState } from "./rotation.ts";

const time = z.string().transform((text) => Date.parse(text));

const agesSchema = z.looseObject({
  secrets: z.array(
    z.looseObject({
      name: z.string(),
      worker: z.enum(["itrans-core", "itrans-relay", "medlink-hub"]),
      setAt: z.string().nullable(),
      ageDays: z.number().nullable(),
    }),
  ),
  overlaps: z.array(z.looseObject({ name: z.string(), previousUsedAt: z.string().nullish() })),
});
export type Ages = z.output<typeof agesSchema>;

const rewrapsSchema = z.looseObject({
  rewraps: z.array(
    z.looseObject({
      kind: z.string(),
      finished: z.boolean(),
      examined: z.number(),
      unreadable: z.number(),
      startedAt: time,
      advancedAt: time,
    }),
  ),
});
export type Rewrap = z.output<typeof rewrapsSchema>["rewraps"][number];

const renewalSchema = z.looseObject({
  state: z.enum(["never", "running", "complete"]),
  done: z.number(),
  total: z.number(),
  held: z.number(),
  startedAt: time.nullable(),
  finishedAt: time.nullable(),
});
export type HubRenewal = z.output<typeof renewalSchema>;

const actionsSchema = z.looseObject({
  actions: z.array(z.looseObject({ at: time, target: z.string().nullable() })),
  before: z.number().nullable(),
});

const backupsSchema = z.looseObject({
  runs: z.array(z.looseObject({ state: z.string(), startedAt: time })),
});

export interface RotationSite {
  readonly core: Operator;
  /** Asked for when a step needs it. @throws Failure when its address or key is not set. */
  readonly hub: () => Operator;
}

export const readCoreAges = async (core: Operator) =>
  agesSchema.extend({ rewraps: rewrapsSchema.shape.rewraps }).parse(await core.ask("/operations/secrets"));

export const readHubAges = async (hub: Operator): Promise<Ages> =>
  agesSchema.parse(await hub.ask("/api/operations/secrets"));

/** Some thousand rows further. */
export const stepRewraps = async (core: Operator): Promise<readonly Rewrap[]> =>
  rewrapsSchema.parse(await core.ask("/operations/rewrap", { method: "POST" })).rewraps;

export const readHubRenewal = async (hub: Operator, job: string): Promise<HubRenewal> =>
  renewalSchema.parse(await hub.ask(`/api/admin/${job}`));

/** @param start begins anew, unless it runs for the present key. */
export const stepHubRenewal = async (hub: Operator, job: string, start: boolean): Promise<HubRenewal> =>
  renewalSchema.parse(
    await hub.ask(`/api/admin/${job}`, { method: "POST", body: start ? { start: true, rows: 0 } : { rows: 1_000 } }),
  );

/** Of other secrets' steps; a year has some hundred. */
const ACTION_PAGES = 20;

/** When the newest switch was recorded; undefined where a newer step has begun another rotation, or there is none. */
export async function switchedAt(core: Operator, name: string): Promise<number | undefined> {
  const names = endsOf(name).map((end) => end.name);
  let before: number | null = null;
  for (let page = 0; page < ACTION_PAGES; page++) {
    const query: string = before === null ? "" : `&before=${before}`;
    const answer = actionsSchema.parse(await core.ask(`/operations/actions?action=SECRET_ROTATE&limit=500${query}`));
    for (const { at, target } of answer.actions) {
      const [of = "", step = ""] = (target ?? "").split(":");
      if (!names.includes(of)) continue;
      if (step === "switch") return at;
      // A retirement that was recorded and then failed leaves the switch before it standing.
      if (step === "add") return undefined;
    }
    before = answer.before;
    if (before === null) return undefined;
  }
  return undefined;
}

/** When good snapshots began; undefined: the worker backs nothing up. */
async function snapshotsOf(operator: Operator, path: string): Promise<readonly number[] | undefined> {
  const answer = await call(`${operator.url}${path}`, { headers: { "x-api-key": operator.key } });
  if (answer.status === 503 && JSON.stringify(answer.body).includes("Nothing is backed up")) return undefined;
  if (answer.status !== 200) throw new Failure(`${path} answers ${summaryOf(answer)}`);
  return backupsSchema
    .parse(answer.body)
    .runs.filter(({ state }) => state === "good")
    .map(({ startedAt }) => startedAt);
}

const parsedTime = (text: string | null | undefined): number | undefined =>
  text === null || text === undefined ? undefined : Date.parse(text);

/** Asks all that a step of this secret's rotation rests on. @throws Failure when something can not be asked. */
export async function readRotation(name: string, site: RotationSite): Promise<RotationState> {
  const end = endsOf(name)[0];
  const { renewal } = rotationOf(name, end?.sameAs ?? end?.name);
  const own = await readCoreAges(site.core);
  const hub = askedOf(name).has("medlink-hub") ? site.hub() : undefined;
  const hubs: Ages = hub === undefined ? { secrets: [], overlaps: [] } : await readHubAges(hub);
  const overlapsOf = (worker: WorkerName, { overlaps }: Pick<Ages, "overlaps">) =>
    overlaps.map((one) => ({ worker, name: one.name, previousUsedAt: parsedTime(one.previousUsedAt) }));
  const renewals: RotationState["renewals"][number][] = own.rewraps.map((run) => ({
    job: run.kind,
    finished: run.finished,
    left: run.unreadable,
    startedAt: run.startedAt,
    finishedAt: run.advancedAt,
  }));
  const snapshots = new Map<WorkerName, readonly number[] | undefined>();
  if (renewal?.worker === "itrans-core")
    snapshots.set("itrans-core", await snapshotsOf(site.core, "/operations/backups"));
  if (renewal?.worker === "medlink-hub" && hub !== undefined) {
    const { state, held, startedAt, finishedAt } = await readHubRenewal(hub, renewal.job);
    if (startedAt !== null) {
      renewals.push({
        job: renewal.job,
        finished: state === "complete",
        left: held,
        startedAt,
        finishedAt: finishedAt ?? Number.POSITIVE_INFINITY,
      });
    }
    snapshots.set("medlink-hub", await snapshotsOf(hub, "/api/operations/backups"));
  }
  return {
    switchedAt: await switchedAt(site.core, name),
    seen: [...own.secrets, ...hubs.secrets].map((one) => ({
      worker: one.worker,
      name: one.name,
      at: parsedTime(one.setAt),
    })),
    // Of what both hold, core tells of its own alone.
    overlaps: [...overlapsOf("itrans-core", own), ...overlapsOf("medlink-hub", hubs)],
    renewals,
    snapshots,
  };
}
