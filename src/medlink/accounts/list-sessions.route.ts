import { z } from "@hono/zod-openapi";
import { accountOperation, none, ok } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { listSessions } from "./accounts.store.ts";
import { SESSION_IDLE_MS, SESSION_LIFETIME_MS, SESSIONS_OF_USER } from "./session.ts";

export const listSessionsRoute = accountOperation(
  {
    method: "get",
    path: "/api/auth/sessions",
    summary: "One's own live sessions, newest first",
    params: none,
    body: none,
    answers: {
      200: {
        description: "The sessions",
        schema: z.object({
          sessions: z.array(
            z.object({
              sessionId: z.string(),
              current: z.boolean(),
              device: z.string(),
              secondFactor: z.boolean(),
              createdAt: z.string(),
              lastSeenAt: z.string(),
            }),
          ),
        }),
      },
    },
  },
  async ({ hub, signedIn }) => {
    const now = hub.now();
    const since = { lastSeen: now - SESSION_IDLE_MS, created: now - SESSION_LIFETIME_MS };
    const sessions = await listSessions(hub.db, signedIn.user.userId, since, SESSIONS_OF_USER);
    return ok(200, {
      sessions: sessions.map(({ sessionId, device, secondFactor, createdAt, lastSeenAt }) => ({
        sessionId,
        current: sessionId === signedIn.sessionId,
        device,
        secondFactor,
        createdAt: iso(createdAt),
        lastSeenAt: iso(lastSeenAt),
      })),
    });
  },
);
