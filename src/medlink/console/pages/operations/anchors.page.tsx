import * as z from "zod";
import { askCore } from "../../../operations/core-answer.edge.ts";
import { operatorPage } from "../../page.edge.tsx";
import { AnchorsView, AnchorView } from "./anchors.view.tsx";
import { anchorListShape, anchorShape } from "./core-shapes.ts";

const ROWS = 25;

const size = z.string().regex(/^[1-9]\d{0,14}$/);

export const anchorsPage = operatorPage(
  { path: "/operations/anchors", params: z.object({ cursor: size.optional().catch(undefined) }) },
  async ({ hub, ui, params, correlationId }) => {
    const { cursor } = params;
    const search = new URLSearchParams({ limit: String(ROWS), ...(cursor === undefined ? {} : { before: cursor }) });
    const anchors = await askCore({ hub, correlationId }, `/ledger/anchors?${search}`, anchorListShape);
    return {
      type: "page",
      title: ui.t("nav.anchors"),
      body: <AnchorsView ui={ui} anchors={anchors} cursor={cursor} />,
    };
  },
);

export const anchorPage = operatorPage(
  { path: "/operations/anchors/{size}", params: z.object({ size }) },
  async ({ hub, ui, params, correlationId }) => {
    const anchor = await askCore({ hub, correlationId }, `/ledger/anchors/${params.size}`, anchorShape);
    if (anchor.type === "missing") return { type: "error", status: 404 };
    const title = ui.t("ops.anchor.title", { size: ui.number(Number(params.size)) });
    return { type: "page", title, body: <AnchorView ui={ui} title={title} anchor={anchor} /> };
  },
);
