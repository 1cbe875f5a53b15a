/** GET /operations/secrets, POST /operations/secrets/{name}/rotations, POST /operations/rewrap. Never a value, nor anything made of one. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../core/app.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { problemResponses } from "../platform/openapi.ts";
import { SECRETS, type WorkerName } from "../platform/secrets.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { carryRewrapsOn, retryUnreadable } from "./rewrap.edge.ts";
import { type RewrapRun, readRewraps } from "./rewrap.store.ts";
import { readSecretAges } from "./secret-ages.store.ts";

const DAY_MS = 86_400_000;

const rewrapSchema = z
  .object({
    kind: z.string(),
    finished: z.boolean(),
    examined: z.number().int(),
    rewrapped: z.number().int(),
    unreadable: z
      .number()
      .int()
      .openapi({ description: "Sealed under a key that is not held. The old key must stay." }),
    startedAt: z.string(),
    advancedAt: z.string(),
  })
  .openapi("Rewrap");

const secretsSchema = z
  .object({
    secrets: z
      .array(
        z.object({
          name: z.string(),
          worker: z.string(),
          setAt: z
            .string()
            .nullable()
            .openapi({ description: "When its present value was first seen; null: never seen." }),
          ageDays: z.number().nullable(),
        }),
      )
      .readonly(),
    overlaps: z
      .array(
        z.object({
          name: z.string(),
          previousUsedAt: z
            .string()
            .nullable()
            .openapi({ description: "When somebody last came with the value before." }),
        }),
      )
      .readonly()
      .openapi({ description: "Core's secrets whose value before is still accepted." }),
    rewraps: z.array(rewrapSchema).readonly(),
  })
  .openapi("SecretAges");

const iso = (ms: number): string => new Date(ms).toISOString();

const rewrapView = (run: RewrapRun): z.output<typeof rewrapSchema> => ({
  kind: run.kind,
  finished: run.finishedAt !== null,
  examined: run.examined,
  rewrapped: run.rewrapped,
  unreadable: run.unreadable,
  startedAt: iso(run.startedAt),
  advancedAt: iso(run.advancedAt),
});

const listRoute = createRoute({
  method: "get",
  path: "/operations/secrets",
  tags: ["operations"],
  summary: "How old the secrets of core and relay are, and how rotations stand",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  responses: {
    200: { description: "By worker and name.", content: { "application/json": { schema: secretsSchema } } },
    ...problemResponses(401, 403, 429),
  },
});

export const ROTATION_STEPS = ["add", "switch", "retire", "handover"] as const;

const rotationRoute = createRoute({
  method: "post",
  path: "/operations/secrets/{name}/rotations",
  tags: ["operations"],
  summary: "Record a step of a rotation in the ledger",
  description:
    "The values are set by wrangler; this says who took which step. `npm run secrets:rotate` calls it before each.",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: {
    params: z.object({ name: z.string() }),
    body: {
      required: true,
      content: { "application/json": { schema: z.strictObject({ step: z.enum(ROTATION_STEPS) }) } },
    },
  },
  responses: {
    204: { description: "Recorded." },
    ...problemResponses(400, 401, 403, 404, 413, 415, 429, 503),
  },
});

const rewrapRoute = createRoute({
  method: "post",
  path: "/operations/rewrap",
  tags: ["operations"],
  summary: "Carry on wrapping what is stored under the present keys, some thousand rows",
  description:
    "The cron does the same each minute. Runs that met rows which did not open begin again. The body is empty.",
  security: [{ apiKey: [] }],
  middleware: [authenticate("operator", "operate")] as const,
  responses: {
    200: {
      description: "Where it stands.",
      content: { "application/json": { schema: z.object({ rewraps: z.array(rewrapSchema).readonly() }) } },
    },
    ...problemResponses(401, 403, 429, 503),
  },
});

export function registerSecrets(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(listRoute, async (c) => {
    const [ages, rewraps] = await Promise.all([readSecretAges(c.env.DB), readRewraps(c.env.DB)]);
    const now = systemNow();
    const kept: readonly WorkerName[] = ["itrans-core", "itrans-relay"];
    const known = new Map(ages.map((age) => [`${age.worker} ${age.name}`, age]));
    const values: Readonly<Record<string, unknown>> = { ...c.env };
    const isSet = (name: string): boolean => typeof values[name] === "string" && values[name] !== "";
    const secrets = SECRETS.flatMap(({ name, workers }) =>
      kept
        .filter((worker) => workers.includes(worker))
        .flatMap((worker) => {
          const age = known.get(`${worker} ${name}`);
          if (age === undefined && worker === "itrans-core" && !isSet(name)) return [];
          const ageDays = age === undefined ? null : Math.floor((now - age.since) / DAY_MS);
          return [{ name, worker, setAt: age === undefined ? null : iso(age.since), ageDays }];
        }),
    );
    const overlaps = SECRETS.filter(({ name }) => isSet(`${name}_PREVIOUS`)).map(({ name }) => {
      const usedAt = known.get(`itrans-core ${name}`)?.previousUsedAt;
      return { name, previousUsedAt: usedAt == null ? null : iso(usedAt) };
    });
    return c.json({ secrets, overlaps, rewraps: rewraps.map(rewrapView) }, 200);
  });
  app.openapi(rotationRoute, async (c) => {
    const { name } = c.req.valid("param");
    const { step } = c.req.valid("json");
    if (!SECRETS.some((secret) => secret.name === name)) {
      return answerProblem(c, { code: "not_found", detail: "There is no secret of this name." });
    }
    const refused = await recordOperatorAction(c, { action: "SECRET_ROTATE", target: `${name}:${step}` });
    if (refused !== undefined) return answerProblem(c, refused);
    return c.body(null, 204);
  });
  app.openapi(rewrapRoute, async (c) => {
    await retryUnreadable(c.env);
    const before = await readRewraps(c.env.DB);
    // Pushing on what is under way is part of the rotation that began it.
    if (before.every(({ finishedAt }) => finishedAt !== null)) {
      const refused = await recordOperatorAction(c, { action: "REWRAP_START" });
      if (refused !== undefined) return answerProblem(c, refused);
    }
    const runs = await carryRewrapsOn(c.env, c.var.settings.LEDGER_ID);
    return c.json({ rewraps: runs.map(rewrapView) }, 200);
  });
}
