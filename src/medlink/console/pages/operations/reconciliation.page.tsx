import * as z from "zod";
import { askCore, type CoreAsker } from "../../../operations/core-answer.edge.ts";
import { listHref } from "../../components/parts.view.tsx";
import { operatorPage } from "../../page.edge.tsx";
import { type ReconciliationLists, ReconciliationView } from "./reconciliation.view.tsx";
import { ItemView } from "./reconciliation-item.view.tsx";
import { RECONCILIATION_PATH } from "./settlement-paths.ts";
import { ITEM_STATES, itemShape, itemsShape, KINDS, runsShape } from "./settlement-shapes.ts";

const CORE = "/settlements/reconciliation";
const ROWS = 50;

const optional = <Schema extends z.ZodType<string>>(schema: Schema) => schema.optional().catch(undefined);

export const reconciliationPage = operatorPage(
  {
    path: RECONCILIATION_PATH,
    params: z.object({
      list: z.enum(["items", "runs"]).default("items").catch("items"),
      state: z
        .enum([...ITEM_STATES, "all"])
        .default("open")
        .catch("open"),
      kind: optional(z.enum(KINDS)),
      from: optional(z.iso.date()),
      to: optional(z.iso.date()),
      cursor: optional(z.string().regex(/^\d{1,16}(\.[a-z0-9-]{1,80})?$/)),
    }),
  },
  async ({ hub, ui, params, correlationId, user }) => {
    const asker = { hub, correlationId };
    const [newest, lists] = await Promise.all([
      askCore(asker, `${CORE}/runs?limit=1`, runsShape),
      params.list === "runs" ? readRuns(asker, params.cursor) : readItems(asker, params),
    ]);
    return {
      type: "page",
      title: ui.t("nav.reconciliation"),
      body: <ReconciliationView ui={ui} newest={newest} lists={lists} me={user.userId} />,
    };
  },
);

async function readRuns(asker: CoreAsker, cursor: string | undefined): Promise<ReconciliationLists> {
  const path = listHref(`${CORE}/runs`, { cursor: cursor?.includes(".") === true ? cursor : undefined, limit: "20" });
  return { list: "runs", runs: await askCore(asker, path, runsShape), cursor };
}

interface Asks {
  readonly state: (typeof ITEM_STATES)[number] | "all";
  readonly kind?: (typeof KINDS)[number] | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly cursor?: string | undefined;
}

async function readItems(asker: CoreAsker, { state, kind, from, to, cursor }: Asks): Promise<ReconciliationLists> {
  const path = listHref(`${CORE}/items`, {
    state: state === "all" ? undefined : state,
    kind,
    from,
    to,
    before: cursor?.includes(".") === true ? undefined : cursor,
    limit: String(ROWS),
  });
  return { list: "items", items: await askCore(asker, path, itemsShape), filters: { state, kind, from, to }, cursor };
}

export const reconciliationItemPage = operatorPage(
  {
    path: `${RECONCILIATION_PATH}/items/{itemId}`,
    params: z.object({ itemId: z.string().regex(/^[1-9]\d{0,14}$/) }),
  },
  async ({ hub, ui, params, correlationId, user }) => {
    const item = await askCore({ hub, correlationId }, `${CORE}/items/${params.itemId}`, itemShape);
    if (item.type === "missing") return { type: "error", status: 404 };
    const kind = item.type === "ok" ? ui.t(`rec.kind.${item.value.kind}`) : "";
    const title = ui.t("rec.item.title", { id: params.itemId, kind });
    return { type: "page", title, body: <ItemView ui={ui} title={title} item={item} me={user.userId} /> };
  },
);
