import { z } from "@hono/zod-openapi";
import { none, ok, operation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { type ApiToken, listApiTokens } from "./api-tokens.store.ts";

export const TOKENS_OF_CLINIC = 50;
export const TOKEN_SCOPES = ["read", "write"] as const;

export const apiTokenSchema = z
  .object({
    tokenId: z.string(),
    name: z.string(),
    scopes: z.array(z.enum(TOKEN_SCOPES)),
    createdBy: z.string(),
    createdAt: z.string(),
    expiresAt: z.string(),
    lastUsedAt: z.string().nullable(),
  })
  .openapi("ApiToken");

export const showToken = (token: ApiToken): z.output<typeof apiTokenSchema> => ({
  tokenId: token.tokenId,
  name: token.name,
  scopes: TOKEN_SCOPES.filter((scope) => (scope === "read" ? token.canRead : token.canWrite)),
  createdBy: token.createdBy,
  createdAt: iso(token.createdAt),
  expiresAt: iso(token.expiresAt),
  lastUsedAt: token.lastUsedAt === null ? null : iso(token.lastUsedAt),
});

export const listTokens = operation(
  {
    method: "get",
    path: "/api/tokens",
    summary: "The clinic's API tokens in force, newest first",
    roles: ["admin"],
    tokens: false,
    params: none,
    body: none,
    answers: { 200: { description: "The tokens", schema: z.object({ tokens: z.array(apiTokenSchema) }) } },
  },
  async ({ hub, user }) => {
    const tokens = await listApiTokens(hub.db, user.clinicId, hub.now(), TOKENS_OF_CLINIC);
    return ok(200, { tokens: tokens.map(showToken) });
  },
);
