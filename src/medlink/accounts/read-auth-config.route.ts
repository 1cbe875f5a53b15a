import { z } from "@hono/zod-openapi";
import { none, ok, operatorOperation } from "../operation.edge.ts";
import { countOtherCosts } from "./accounts.store.ts";
import { type AuthFacts, authFindings } from "./auth-config.ts";
import { costPrefix, hashPassword, verifyPassword } from "./password.ts";
import { countSecondFactors } from "./second-factor.store.ts";

const GROUPS = 4_000;

export const readAuthConfig = operatorOperation(
  {
    method: "get",
    path: "/api/admin/auth-config",
    summary: "Whether signing in is configured as it should be; names settings and secrets, shows no value",
    params: none,
    body: none,
    answers: {
      200: {
        description: "What was looked at",
        schema: z.object({
          ok: z.boolean().openapi({ description: "No fault; there may be warnings" }),
          findings: z.array(
            z.object({ name: z.string(), result: z.enum(["ok", "warning", "fault"]), detail: z.string() }),
          ),
        }),
      },
    },
  },
  async ({ hub }) => {
    const probe = await hashPassword("probe of the configuration", hub.random);
    const [right, wrong, staleHashes, groups] = await Promise.all([
      verifyPassword("probe of the configuration", probe),
      verifyPassword("another", probe),
      countOtherCosts(hub.db, costPrefix()),
      countSecondFactors(hub.db, undefined, GROUPS),
    ]);
    const sumOf = (role: string): AuthFacts["admins"] => {
      const those = groups.filter((group) => group.role === role);
      const sum = (key: "users" | "withSecondFactor"): number => those.reduce((total, group) => total + group[key], 0);
      return { users: sum("users"), withSecondFactor: sum("withSecondFactor") };
    };
    const findings = authFindings({
      environment: hub.settings.ENVIRONMENT,
      secretFaults: hub.secretFaults(),
      rotating: hub.sessionSecrets.length > 1,
      publicUrl: hub.settings.HUB_PUBLIC_URL,
      passwordsWork: right.ok && !wrong.ok,
      staleHashes,
      operators: sumOf("operator"),
      admins: sumOf("admin"),
      operatorKey: hub.operatorKeys.length > 0,
    });
    return ok(200, { ok: findings.every(({ result }) => result !== "fault"), findings });
  },
);
