/** POST /settlements: a payment, a reversal or an adjustment, once for each Idempotency-Key. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import { canonicalJson } from "../ledger/canonical.ts";
import { measureOf } from "../operations/meter.edge.ts";
import { answerProblem } from "../platform/answer-problem.ts";
import { cents } from "../platform/cents.ts";
import { systemRandomBytes } from "../platform/clock.edge.ts";
import { answerOnce, type KeyedAnswer, problemAnswer } from "../platform/idempotency/idempotent.edge.ts";
import { jsonBody } from "../platform/json-body.edge.ts";
import { makeKeyring } from "../platform/keyring.ts";
import { isCurrency } from "../platform/money.ts";
import { problemResponses, problemSchema } from "../platform/openapi.ts";
import { type Problem, problemStatusOf } from "../platform/problem.ts";
import { acceptedValues } from "../platform/secrets.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";
import { mayUse } from "../tenants/principal.ts";
import { idLookup } from "../workflow/id-lookup.edge.ts";
import { createSettlement } from "./create-settlement.edge.ts";
import { newRefId, REF_ID } from "./ref-id.ts";
import { SETTLEMENT_TYPES } from "./settlement.ts";
import { settlementSchema, settlementView } from "./settlement-view.ts";
import { findSettlement, isInLedger } from "./settlements.store.ts";

const HOUR_MS = 3_600_000;

export const IDEMPOTENCY_SCOPE = "settlements";

const bodySchema = z
  .strictObject({
    tenantId: z.string().max(64).optional().openapi({ description: "Operators only: whose claim it is." }),
    claimId: z.string().min(1).max(128).optional(),
    requestId: z.string().min(1).max(128).optional().openapi({ description: "Or the requestIdHash." }),
    type: z.enum(SETTLEMENT_TYPES),
    amountCents: z.number().refine(Number.isSafeInteger, "is a whole number of minor units").optional().openapi({
      type: "integer",
      description: "Minor units. Without it, all that is left to pay, or of what is reversed.",
    }),
    currency: z
      .string()
      .refine(isCurrency, "is an ISO 4217 code")
      .optional()
      .openapi({ description: "Without it, that of what was approved.", example: "CAD" }),
    reverses: z.string().regex(REF_ID).optional().openapi({ description: "refId; of a reversal." }),
  })
  .refine(({ claimId, requestId }) => (claimId === undefined) !== (requestId === undefined), {
    message: "names a claimId or a requestId",
    path: ["claimId"],
  })
  .refine(({ type, reverses }) => (type === "reversal") === (reverses !== undefined), {
    message: "a reversal names what it reverses, and nothing else does",
    path: ["reverses"],
  })
  .refine(({ type, amountCents }) => type !== "adjustment" || amountCents !== undefined, {
    message: "an adjustment says by how much",
    path: ["amountCents"],
  })
  .openapi("CreateSettlement");

type Body = z.output<typeof bodySchema>;

const route = createRoute({
  method: "post",
  path: "/settlements",
  tags: ["settlements"],
  summary: "Ask for money to move: a payment, a reversal, an adjustment",
  security: [{ apiKey: [] }],
  middleware: [authenticate(["claims", "workflow"], ["submit", "operate"]), jsonBody({ optional: false })] as const,
  request: {
    headers: z.object({
      "idempotency-key": z.string().optional().openapi({
        description: "Needed: the same for a resend, another for another request.",
        example: "8e03978e-40d5",
      }),
    }),
    body: { required: true, content: { "application/json": { schema: bodySchema } } },
  },
  responses: {
    201: { description: "Asked for; PENDING.", content: { "application/json": { schema: settlementSchema } } },
    ...problemResponses(400, 401, 403, 404, 409, 410, 413, 415, 422, 429, 503),
  },
});

export function registerCreateSettlement(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(route, async (c) => {
    const body = c.req.valid("json");
    const refused = refusalOf(c, body);
    if (refused !== undefined) return answerProblem(c, refused);
    const { principal, settings, correlationId } = c.var;
    const tenantId = body.tenantId ?? principal.tenantId;
    const lookup = await idLookup(c);
    const measure = measureOf("itrans-core", c.env);
    const answered = await answerOnce({
      db: c.env.DB,
      scope: IDEMPOTENCY_SCOPE,
      tenantId,
      correlationId,
      header: c.req.header("idempotency-key"),
      request: canonicalJson(body),
      keyedHash: (text) => lookup("idempotency", tenantId, text),
      sealing: {
        keyring: () => makeKeyring(acceptedValues({ ...c.env }, "PAYLOAD_MASTER_KEY"), "idempotency"),
        random: systemRandomBytes,
      },
      retentionMs: settings.IDEMPOTENCY_RETENTION_HOURS * HOUR_MS,
      newEffectId: () => newRefId(systemRandomBytes),
      happened: async (refId) =>
        (await isInLedger(c.env.DB, settings.LEDGER_ID, `stl:${refId}`)) ? shown(c, refId) : undefined,
      run: (refId) => carryOut(c, body, tenantId, refId),
      collided: () => measure.add("itrans_core_idempotency_collisions_total", {}),
    });
    measure.add("itrans_core_idempotency_requests_total", { answer: answered.replayed ? "replayed" : "fresh" });
    if (answered.replayed) c.header("idempotent-replayed", "true");
    if (answered.retryAfterSeconds !== undefined) c.header("retry-after", String(answered.retryAfterSeconds));
    if (answered.status === 201) return c.json(settlementSchema.parse(answered.body), 201);
    const status = problemStatusOf(answered.status);
    return c.json(problemSchema.parse(answered.body), status, { "content-type": "application/problem+json" });
  });
}

/** Who may ask for what, before anything is looked up. */
function refusalOf(c: Context<CoreAppEnv>, { tenantId, claimId }: Body): Problem | undefined {
  const { principal } = c.var;
  const forbidden = (detail: string): Problem => ({ code: "forbidden", detail });
  if (principal.insurerAddress !== undefined) return forbidden("A key that is bound to an insurer moves no money.");
  if (!mayUse(principal, claimId === undefined ? "workflow" : "claims")) {
    return forbidden(`This key is not for ${claimId === undefined ? "requests" : "claims"}.`);
  }
  if (tenantId !== undefined && tenantId !== principal.tenantId && !principal.scopes.has("operate")) {
    return forbidden("Only an operator settles for another tenant.");
  }
  return undefined;
}

async function carryOut(c: Context<CoreAppEnv>, body: Body, tenantId: string, refId: string): Promise<KeyedAnswer> {
  const { type, currency, amountCents, reverses, claimId, requestId } = body;
  const sequenced = await createSettlement(
    c,
    claimId === undefined ? "request" : "claim",
    tenantId,
    claimId ?? requestId ?? "",
    {
      type,
      amountCents: amountCents === undefined ? undefined : cents(amountCents),
      currency,
      reverses: reverses ?? null,
    },
    refId,
  );
  if (sequenced.type === "problem") return problemAnswer(sequenced.problem, c.get("correlationId"));
  return shown(c, refId);
}

async function shown(c: Context<CoreAppEnv>, refId: string): Promise<KeyedAnswer> {
  const found = await findSettlement(c.env.DB, c.get("settings").LEDGER_ID, refId, undefined);
  if (found === undefined) throw new Error("a settlement of the ledger has a row");
  return { status: 201, body: settlementView(found.settlement, found.claimId) };
}
