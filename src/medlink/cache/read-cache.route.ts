import { z } from "@hono/zod-openapi";
import { none, ok, staffOperation } from "../operation.edge.ts";
import { hitRatioOf } from "./bounded-cache.ts";
import { cacheStats } from "./record-cache.edge.ts";

const count = z.number().int();

export const readCache = staffOperation(
  {
    method: "get",
    path: "/api/admin/cache",
    summary: "What the answering isolate keeps at hand, and how often that was enough",
    roles: [],
    params: none,
    body: none,
    answers: {
      200: {
        description: "Of this isolate, since it began; others count for themselves",
        schema: z.object({
          hitRatio: z.number(),
          caches: z.array(
            z.object({
              name: z.string(),
              entries: count,
              capacity: count,
              hits: count,
              misses: count,
              evictions: count,
              hitRatio: z.number(),
            }),
          ),
        }),
      },
    },
  },
  async () => {
    const caches = Object.entries(cacheStats()).map(([name, stats]) => ({
      name,
      ...stats,
      hitRatio: hitRatioOf(stats),
    }));
    const sum = (of: "hits" | "misses"): number => caches.reduce((all, stats) => all + stats[of], 0);
    return ok(200, { hitRatio: hitRatioOf({ hits: sum("hits"), misses: sum("misses") }), caches });
  },
);
