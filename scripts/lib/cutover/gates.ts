/** Whether a gate's result is worth a go: one that passed with weaker limits, less load or elsewhere is not. */

import * as z from "zod";
import { type GateName, planOf, type Tunables, tunablesSchema } from "../load/settings.ts";
import { isLoopback } from "../operator.ts";
import type { RemoteEnvironment } from "../platform.ts";

const DAY_MS = 86_400_000;
const GATE_DAYS = 7;
const OWN_SYSTEMS = "systems of its own";

const sharedFields = {
  pass: z.boolean(),
  commit: z.string(),
  startedAt: z.string(),
  endedAt: z.string().nullable(),
  tunables: z.looseObject({}),
};
const addressesSchema = z.looseObject({ core: z.string(), hub: z.string() });
const gateSchema = z.looseObject({
  ...sharedFields,
  gate: z.enum(["load", "soak"]),
  durationMs: z.number(),
  /** Results from before it was written have none. */
  interrupted: z.boolean().exactOptional(),
  virtualUsers: z.number(),
  target: addressesSchema,
  notJudged: z.array(z.string()),
});
const summarySchema = z.looseObject({
  ...sharedFields,
  target: z.union([z.literal(OWN_SYSTEMS), addressesSchema]),
  skipped: z.array(z.string()),
  phases: z.array(z.looseObject({ phase: z.string(), pass: z.boolean() })),
});
const PHASES = ["functional", "failure-injection", "load", "soak"];

/** How a tunable may differ from its default and still say as much. */
const STRICTER: Readonly<Partial<Record<keyof Tunables, "more" | "less">>> = {
  LOAD_DURATION: "more",
  SOAK_DURATION: "more",
  LOAD_TARGET_VUS: "more",
  SOAK_VUS: "more",
  LOAD_VU_CALLS_PER_SECOND: "more",
  SLO_P95_MAX_MS: "less",
  SLO_P99_MAX_MS: "less",
  SLO_ERROR_RATE_MAX: "less",
  SLO_CHECK_RATE_MIN: "more",
  SLO_MIN_REQUESTS_LOAD: "more",
  SLO_MIN_REQUESTS_SOAK: "more",
  SLO_LIFECYCLE_P95_MAX_MS: "less",
  SLO_CACHE_HIT_RATE_MIN: "more",
  SLO_RATE_LIMITED_MAX: "less",
  SLO_DRAIN_MAX: "less",
  SCALE_WINDOW: "less",
};
const OTHERS: Readonly<Record<GateName | "staging", readonly string[]>> = {
  load: ["SOAK_DURATION", "SOAK_VUS", "SLO_MIN_REQUESTS_SOAK"],
  soak: ["LOAD_DURATION", "LOAD_TARGET_VUS", "SLO_MIN_REQUESTS_LOAD"],
  staging: [],
};

function tunableFaults(of: GateName | "staging", given: Readonly<Record<string, unknown>>): readonly string[] {
  const wanted: Readonly<Record<string, unknown>> = tunablesSchema.parse({});
  return Object.entries(STRICTER).flatMap(([name, direction]) => {
    const [is, should] = [given[name], wanted[name]];
    if (OTHERS[of].includes(name)) return [];
    if (typeof is !== "number" || typeof should !== "number") return [`${name} is not in it`];
    if (direction === "more" ? is >= should : is <= should) return [];
    return [`${name} was ${is}, ${direction === "more" ? "less" : "more"} than ${should}`];
  });
}

const trimmed = (url: string): string => url.replace(/\/+$/, "");

export interface GateWanted {
  readonly environment: RemoteEnvironment;
  /** That is to go live. */
  readonly commit: string;
  /** Epoch ms. */
  readonly now: number;
  /** Where staging is; undefined: it is not known. */
  readonly staging: { readonly core: string; readonly hub: string } | undefined;
}

type Target = z.output<typeof summarySchema>["target"];

function targetFaults(target: Target, { environment, staging }: GateWanted): readonly string[] {
  if (environment !== "production") return [];
  const where = target === OWN_SYSTEMS ? target : `${trimmed(target.core)} and ${trimmed(target.hub)}`;
  if (staging === undefined)
    return [
      `it ran against ${where}, and .env.staging does not say where staging is (ITRANS_CORE_URL, MEDLINK_HUB_URL)`,
    ];
  const wanted = `${trimmed(staging.core)} and ${trimmed(staging.hub)}`;
  return where === wanted ? [] : [`it ran against ${where}, not staging (${wanted})`];
}

function sharedFaults(
  of: GateName | "staging",
  result: z.output<z.ZodObject<typeof sharedFields>> & { readonly target: Target },
  wanted: GateWanted,
): readonly string[] {
  const { pass, commit, endedAt, tunables } = result;
  const ended = endedAt === null ? Number.NaN : Date.parse(endedAt);
  const age = Number.isNaN(ended)
    ? ["it did not end"]
    : wanted.now - ended > GATE_DAYS * DAY_MS
      ? [`it is of ${endedAt}: run it again`]
      : [];
  return [
    ...(pass ? [] : ["it failed"]),
    ...(commit === wanted.commit ? [] : [`it is of commit ${commit.slice(0, 12)}, not ${wanted.commit.slice(0, 12)}`]),
    ...age,
    ...tunableFaults(of, tunables),
    ...targetFaults(result.target, wanted),
  ];
}

const shapeFault = (error: z.ZodError): string => {
  const [issue] = error.issues;
  return `${issue?.path.join(".") || "it"} is not what the gate writes (${issue?.message ?? "?"})`;
};

/** @param result what a gate wrote. @returns why it is not good enough; nothing when it is. */
export function gateFaults(of: GateName | "staging", result: unknown, wanted: GateWanted): readonly string[] {
  if (of === "staging") {
    const { data, error } = summarySchema.safeParse(result);
    if (data === undefined) return [shapeFault(error)];
    const missing = PHASES.filter(
      (name) => data.skipped.includes(name) || !data.phases.some(({ phase }) => phase === name),
    );
    const failed = data.phases.filter(({ pass }) => !pass).map(({ phase }) => phase);
    return [
      ...sharedFaults(of, data, wanted),
      ...(missing.length === 0 ? [] : [`${missing.join(", ")} was left out`]),
      ...(failed.length === 0 ? [] : [`${failed.join(", ")} failed`]),
    ];
  }
  const { data, error } = gateSchema.safeParse(result);
  if (data === undefined) return [shapeFault(error)];
  const { gate, durationMs, interrupted, virtualUsers, startedAt, endedAt, notJudged, target } = data;
  const plan = planOf(of, tunablesSchema.parse({}));
  const ranMs = endedAt === null ? 0 : Date.parse(endedAt) - Date.parse(startedAt);
  // Of a runtime on another machine the memory can not be seen; everything else can.
  const open = notJudged.filter((what) => !what.startsWith("memory:") || isLoopback(target.core));
  return [
    ...(gate === of ? [] : [`it is the ${gate} gate's`]),
    ...sharedFaults(of, data, wanted),
    ...(interrupted === true ? ["it was interrupted"] : []),
    ...(durationMs < plan.durationMs || !(ranMs >= durationMs)
      ? [`it ran ${Math.round(Math.min(durationMs, ranMs) / 1_000)} s, wanted ${plan.durationMs / 1_000} s`]
      : []),
    ...(virtualUsers < plan.users ? [`it had ${virtualUsers} virtual users, wanted ${plan.users}`] : []),
    ...open.map((what) => `not judged: ${what}`),
  ];
}
