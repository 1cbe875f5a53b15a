import { z } from "@hono/zod-openapi";
import { secretsOf } from "../../platform/secrets.ts";
import { none, ok, operatorOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { readSecretAges } from "./secret-ages.store.ts";

const DAY_MS = 86_400_000;

const secretsSchema = z
  .object({
    secrets: z.array(
      z.object({
        name: z.string(),
        worker: z.literal("medlink-hub"),
        setAt: z
          .string()
          .nullable()
          .openapi({ description: "When its present value was first seen; null: never seen" }),
        ageDays: z.number().int().nullable(),
      }),
    ),
    overlaps: z
      .array(z.object({ name: z.string() }))
      .openapi({ description: "Secrets of which a second value is accepted" }),
  })
  .openapi("HubSecretAges");

/** By name, as core tells of its own: never a value, nor anything made of one. */
export const listHubSecrets = operatorOperation(
  {
    method: "get",
    path: "/api/operations/secrets",
    summary: "How old the hub's secrets are, and of which a second value is accepted",
    params: none,
    body: none,
    answers: { 200: { description: "By name", schema: secretsSchema } },
  },
  async ({ hub }) => {
    const ages = await readSecretAges(hub.db);
    const overlaps = hub.overlappingSecrets();
    const secrets = secretsOf("medlink-hub").flatMap(({ name, optional }) => {
      const since = ages.get(name);
      if (since === undefined && optional === true) return [];
      return [
        {
          name,
          worker: "medlink-hub" as const,
          setAt: since === undefined ? null : iso(since),
          ageDays: since === undefined ? null : Math.floor((hub.now() - since) / DAY_MS),
        },
      ];
    });
    return ok(200, { secrets, overlaps: overlaps.map((name) => ({ name })) });
  },
);
