/** What erasing a request and erasing a claim have in common: who may, what is sent, what is answered. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { reasonOf } from "../platform/log.ts";
import type { Problem } from "../platform/problem.ts";
import { deleteErased } from "./erasure.cron.ts";
import { readErasedEntry } from "./erasure.store.ts";
import { completionOf, ERASURE_REASONS } from "./erasure.ts";

export const eraseBodySchema = z
  .object({ reason: z.enum(ERASURE_REASONS).openapi({ description: "Goes into the ledger; nothing else does." }) })
  .openapi("ErasePersonalData");

export const eraseQuery = z.object({
  tenantId: z
    .string()
    .optional()
    .openapi({
      param: { name: "tenantId", in: "query" },
      description: "Operators only: the tenant whose data it is. The caller's own when left out.",
    }),
});

export const erasedAnswerSchema = z
  .object({
    erased: z.literal(true),
    subject: z.string().openapi({ description: "The requestIdHash or claimIdHash; the id itself is gone." }),
    reason: z.string().openapi({ description: "As it was recorded first." }),
    erasedAt: z.string(),
    completeEverywhereBy: z.string().openapi({ description: "From then on no copy of the key exists anywhere." }),
    copies: z.array(z.object({ where: z.string(), until: z.string() })),
    changed: z.boolean().openapi({ description: "False: it was erased before, nothing was recorded." }),
    ledger: z.object({ id: z.string(), seq: z.number().int(), entryHash: z.string() }),
    correlationId: z.string(),
  })
  .openapi("ErasedPersonalData");

/**
 * Whose data the caller may erase. The tenant that submitted it answers to the patient, so its own keys may; a key bound to an
 * insurer is not the tenant's; operators carry out orders for any tenant.
 */
export function erasingTenant(
  c: Context<CoreAppEnv>,
  asked: string | undefined,
): { readonly type: "tenant"; readonly tenantId: string } | { readonly type: "problem"; readonly problem: Problem } {
  const principal = c.get("principal");
  if (principal.insurerAddress !== undefined) {
    const detail = "A key that is bound to an insurer can not erase: ask the tenant that submitted it.";
    return { type: "problem", problem: { code: "forbidden", detail } };
  }
  if (asked !== undefined && asked !== principal.tenantId && !principal.scopes.has("operate")) {
    return { type: "problem", problem: { code: "forbidden", detail: "Only an operator erases for another tenant." } };
  }
  return { type: "tenant", tenantId: asked ?? principal.tenantId };
}

/** After the ERASED entry is committed, now or long ago: deletes what R2 holds, and says when it is complete. */
export async function answerErased(
  c: Context<CoreAppEnv>,
  subject: string,
  erasedSeq: number,
  changed: boolean,
): Promise<z.output<typeof erasedAnswerSchema>> {
  const { settings, correlationId, log } = c.var;
  const entry = await readErasedEntry(c.env.DB, settings.LEDGER_ID, erasedSeq);
  if (changed) {
    const now = systemNow();
    try {
      await deleteErased(c.env, settings.LEDGER_ID, { subject, erasedAt: now }, now, log);
    } catch (error) {
      // It is erased all the same: the key is gone, and the sweep deletes the objects.
      log("warn", "erasure.left-to-sweep", { correlationId, reason: reasonOf(error) });
    }
  }
  const { completeEverywhereBy, copies } = completionOf(entry.at);
  return {
    erased: true,
    subject,
    reason: String(entry.data.reason),
    erasedAt: entry.at,
    completeEverywhereBy,
    copies: [...copies],
    changed,
    ledger: { id: settings.LEDGER_ID, seq: entry.seq, entryHash: entry.entryHash },
    correlationId,
  };
}
