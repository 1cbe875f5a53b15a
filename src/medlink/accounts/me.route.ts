import { z } from "@hono/zod-openapi";
import { flagsFor } from "../flags/flags.edge.ts";
import type { Hub } from "../hub.edge.ts";
import { accountOperation, none, ok } from "../operation.edge.ts";
import type { SignedIn } from "./accounts.store.ts";
import { preferencesSchema, showUser, userSchema } from "./schemas.ts";
import { countBackupCodes, findSecondFactor } from "./second-factor.store.ts";

export const meSchema = z.object({
  user: userSchema,
  ...preferencesSchema.shape,
  flags: z.record(z.string(), z.boolean()),
  secondFactor: z.object({ enabled: z.boolean(), backupCodesLeft: z.number().int() }),
});

export async function showMe(hub: Hub, { user, preferences }: Pick<SignedIn, "user" | "preferences">) {
  const [flags, factor, backupCodesLeft] = await Promise.all([
    flagsFor(hub, user),
    findSecondFactor(hub.db, hub.fields, user.userId),
    countBackupCodes(hub.db, user.userId),
  ]);
  const secondFactor = { enabled: factor?.enabled ?? false, backupCodesLeft };
  return { user: showUser(user), ...preferences, flags, secondFactor };
}

export const me = accountOperation(
  {
    method: "get",
    path: "/api/auth/me",
    summary: "Who is signed in, how they see times and words, and which features are on for them",
    params: none,
    body: none,
    answers: { 200: { description: "The account", schema: meSchema } },
  },
  async ({ hub, signedIn }) => ok(200, await showMe(hub, signedIn), { "cache-control": "no-store" }),
);
