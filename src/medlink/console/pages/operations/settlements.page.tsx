import * as z from "zod";
import { REF_ID } from "../../../../settlement/ref-id.ts";
import type { Asked } from "../../../operations/asked.ts";
import { askCore, type CoreAsker } from "../../../operations/core-answer.edge.ts";
import { listHref } from "../../components/parts.view.tsx";
import { nextDay, startOfDay } from "../../i18n/day.ts";
import { operatorPage } from "../../page.edge.tsx";
import { SettlementView } from "./settlement.view.tsx";
import { SETTLEMENTS_PATH } from "./settlement-paths.ts";
import { type Settlements, STATUSES, settlementShape, settlementsShape, TYPES } from "./settlement-shapes.ts";
import { type SettlementFilters, SettlementsView, STUCK_AFTER_MS, type Stuck } from "./settlements.view.tsx";

const ROWS = 50;
/** Of each status. */
const STUCK_ROWS = 25;

/** A filter that is empty or makes no sense filters nothing: the address was perhaps typed. */
const optional = <Schema extends z.ZodType<string>>(schema: Schema) => schema.optional().catch(undefined);

export const settlementsPage = operatorPage(
  {
    path: SETTLEMENTS_PATH,
    params: z.object({
      status: optional(z.enum(STATUSES)),
      type: optional(z.enum(TYPES)),
      currency: optional(
        z
          .string()
          .toUpperCase()
          .regex(/^[A-Z]{3}$/),
      ),
      from: optional(z.iso.date()),
      to: optional(z.iso.date()),
      cursor: optional(z.string().regex(/^\d{1,15}$/)),
    }),
  },
  async ({ hub, ui, params, correlationId }) => {
    const asker = { hub, correlationId };
    const { cursor, ...filters } = params;
    const [stuck, settlements] = await Promise.all([
      readStuck(asker, ui.now),
      askCore(asker, listPath(filters, cursor, ui.timeZone), settlementsShape),
    ]);
    return {
      type: "page",
      title: ui.t("nav.settlements"),
      body: <SettlementsView ui={ui} stuck={stuck} settlements={settlements} filters={filters} cursor={cursor} />,
    };
  },
);

function listPath({ from, to, ...rest }: SettlementFilters, cursor: string | undefined, timeZone: string): string {
  return listHref("/settlements", {
    ...rest,
    from: from === undefined ? undefined : new Date(startOfDay(from, timeZone)).toISOString(),
    to: to === undefined ? undefined : new Date(startOfDay(nextDay(to), timeZone)).toISOString(),
    cursor,
    limit: String(ROWS),
  });
}

async function readStuck(asker: CoreAsker, now: number): Promise<Asked<Stuck>> {
  const to = new Date(now - STUCK_AFTER_MS).toISOString();
  const ask = (status: string): Promise<Asked<Settlements>> =>
    askCore(asker, listHref("/settlements", { status, to, limit: String(STUCK_ROWS) }), settlementsShape);
  const [pending, processing] = await Promise.all([ask("PENDING"), ask("PROCESSING")]);
  if (pending.type !== "ok") return pending;
  if (processing.type !== "ok") return processing;
  const both = [pending.value, processing.value];
  return {
    type: "ok",
    value: {
      settlements: both.flatMap(({ settlements }) => settlements).toSorted((a, b) => a.createdAt - b.createdAt),
      more: both.some(({ nextCursor }) => nextCursor !== null),
    },
  };
}

export const settlementPage = operatorPage(
  { path: `${SETTLEMENTS_PATH}/{refId}`, params: z.object({ refId: z.string().regex(REF_ID) }) },
  async ({ hub, ui, params, correlationId }) => {
    const { refId } = params;
    const settlement = await askCore({ hub, correlationId }, `/settlements/${refId}`, settlementShape);
    if (settlement.type === "missing") return { type: "error", status: 404 };
    const title = ui.t("stl.title", { refId: `${refId.slice(0, 12)}…` });
    return { type: "page", title, body: <SettlementView ui={ui} title={title} settlement={settlement} /> };
  },
);
