import { z } from "@hono/zod-openapi";
import { view } from "../audit/audited.edge.ts";
import { cachedInsurers, cachedProviders } from "../cache/record-cache.edge.ts";
import { none, ok, operation } from "../operation.edge.ts";
import { pageQuery } from "../page-query.ts";
import { CLAIM_STATUSES, CLAIM_TYPES } from "./claim.ts";
import { namedBy } from "./claim-filter.ts";
import { listClaims } from "./claims.store.ts";
import { claimSchema, showClaim } from "./show-claim.ts";

const id = z.string().min(1).max(64).optional();

/** A day, or a moment with its offset. */
const moment = z
  .union([z.iso.date(), z.iso.datetime({ offset: true })])
  .optional()
  .transform((text) => (text === undefined ? undefined : Date.parse(text)));

export const claimsQuerySchema = z.object({
  ...pageQuery,
  status: z.enum(CLAIM_STATUSES).optional(),
  type: z.enum(CLAIM_TYPES).optional(),
  from: moment.openapi({ type: "string", description: "Filed then or later: a day (UTC) or a moment" }),
  to: moment.openapi({ type: "string", description: "Filed before" }),
  patientId: id,
  providerId: id,
  insurerId: id,
  q: z
    .string()
    .max(80)
    .optional()
    .openapi({ description: "A claim's id or its requestIdHash, or at least six signs from the beginning of one" }),
});

export const listClaimsRoute = operation(
  {
    method: "get",
    path: "/api/claims",
    summary: "The clinic's claims, newest first",
    params: claimsQuerySchema,
    body: none,
    answers: {
      200: {
        description: "A page",
        schema: z.object({
          claims: z.array(
            claimSchema.extend({ providerName: z.string().nullable(), insurerName: z.string().nullable() }),
          ),
          nextCursor: z.string().nullable(),
        }),
      },
    },
  },
  async (input) => {
    const { hub, user, params } = input;
    const { cursor, q, ...filter } = params;
    const named = q === undefined || q.trim() === "" ? undefined : namedBy(q);
    if (q !== undefined && q.trim() !== "" && named === undefined) return ok(200, { claims: [], nextCursor: null });
    const query = { ...filter, named, after: cursor };
    const page = await listClaims(hub.db, hub.fields, user.clinicId, query, [view(input, "claims.view", "claims")]);
    const [providers, insurers] = await Promise.all([
      cachedProviders(
        hub,
        user.clinicId,
        page.items.map(({ providerId }) => providerId),
      ),
      cachedInsurers(
        hub,
        user.clinicId,
        page.items.map(({ insurerId }) => insurerId),
      ),
    ]);
    return ok(200, {
      claims: page.items.map((claim) => ({
        ...showClaim(claim),
        providerName: providers.get(claim.providerId)?.name ?? null,
        insurerName: insurers.get(claim.insurerId)?.name ?? null,
      })),
      nextCursor: page.nextCursor ?? null,
    });
  },
);
