import { z } from "@hono/zod-openapi";
import type { Hub } from "../hub.edge.ts";
import { none, ok, staffOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { FLAG_NAMES, type FlagName } from "./flag.ts";
import { flagAsSet } from "./flags.edge.ts";
import { readFlags, type StoredFlag } from "./flags.store.ts";

export const flagSchema = z
  .object({
    name: z.enum(FLAG_NAMES),
    enabled: z.boolean(),
    percentage: z.number().int().openapi({ description: "Of the users, while it is enabled" }),
    updatedBy: z.string().nullable().openapi({ description: "null: as the worker's settings say" }),
    updatedAt: z.string().nullable(),
  })
  .openapi("Flag");

export function showFlag(hub: Hub, stored: ReadonlyMap<string, StoredFlag>, name: FlagName) {
  const { enabled, percentage } = flagAsSet(hub, stored, name);
  const set = stored.get(name);
  return {
    name,
    enabled,
    percentage,
    updatedBy: set?.updatedBy ?? null,
    updatedAt: set === undefined ? null : iso(set.updatedAt),
  };
}

export const listFlags = staffOperation(
  {
    method: "get",
    path: "/api/admin/flags",
    summary: "The feature flags of the whole hub",
    roles: ["admin"],
    tokens: false,
    params: none,
    body: none,
    answers: { 200: { description: "The flags", schema: z.object({ flags: z.array(flagSchema) }) } },
  },
  async ({ hub }) => {
    const stored = await readFlags(hub.db);
    return ok(200, { flags: FLAG_NAMES.map((name) => showFlag(hub, stored, name)) });
  },
);
