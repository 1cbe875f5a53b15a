import { z } from "@hono/zod-openapi";
import { auditInsert } from "../audit/audit.store.ts";
import { newId } from "../ids.ts";
import { none, ok, operation, refuse } from "../operation.edge.ts";
import { insertApiToken } from "./api-tokens.store.ts";
import { apiTokenSchema, showToken, TOKEN_SCOPES, TOKENS_OF_CLINIC } from "./list-tokens.route.ts";
import { nameField } from "./schemas.ts";
import { API_TOKEN_PREFIX, newSecretToken } from "./secret-token.ts";

const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 90;
const MAX_DAYS = 366;

export const createToken = operation(
  {
    method: "post",
    path: "/api/tokens",
    summary:
      "A token with which an integration calls this API as `Authorization: Bearer ...`, with the rights of billing",
    roles: ["admin"],
    tokens: false,
    params: none,
    body: z.object({
      name: nameField,
      scopes: z.array(z.enum(TOKEN_SCOPES)).min(1).max(2),
      expiresAt: z.iso
        .datetime({ offset: true })
        .optional()
        .openapi({ description: `At most ${MAX_DAYS} days ahead; by default ${DEFAULT_DAYS}` }),
    }),
    answers: {
      201: {
        description: "The token, shown this once",
        schema: apiTokenSchema.extend({ token: z.string() }),
      },
    },
  },
  async ({ hub, user, body, correlationId }) => {
    const now = hub.now();
    const expiresAt = body.expiresAt === undefined ? now + DEFAULT_DAYS * DAY_MS : Date.parse(body.expiresAt);
    if (expiresAt <= now || expiresAt > now + MAX_DAYS * DAY_MS) {
      const message = `A token ends within the next ${MAX_DAYS} days.`;
      return refuse("invalid_body", message, { issues: [{ path: "expiresAt", rule: "lifetime", message }] });
    }
    const { token, hash } = newSecretToken(hub.random, API_TOKEN_PREFIX);
    const made = {
      tokenId: newId("tok", hub.random),
      clinicId: user.clinicId,
      name: body.name,
      canRead: body.scopes.includes("read"),
      canWrite: body.scopes.includes("write"),
      createdBy: user.userId,
      createdAt: now,
      expiresAt,
    };
    if (!(await insertApiToken(hub.db, { ...made, tokenHash: hash }, TOKENS_OF_CLINIC))) {
      return refuse("conflict", `There are ${TOKENS_OF_CLINIC} tokens. Revoke one first.`);
    }
    await auditInsert(hub.db, {
      clinicId: user.clinicId,
      actor: user.userId,
      action: "token.create",
      subject: made.tokenId,
      detail: [...new Set(body.scopes)].sort().join("_"),
      correlationId,
      at: now,
    }).run();
    return ok(201, { ...showToken({ ...made, lastUsedAt: null }), token }, { "cache-control": "no-store" });
  },
);
