import * as z from "zod";
import { overviewOf } from "../../../operations/overview.route.ts";
import { operatorPage } from "../../page.edge.tsx";
import { OverviewView } from "./overview.view.tsx";

export const overviewPage = operatorPage(
  { path: "/operations", params: z.object({}) },
  async ({ hub, ui, correlationId }) => ({
    type: "page",
    title: ui.t("ops.overview.title"),
    body: <OverviewView ui={ui} overview={await overviewOf(hub, correlationId)} operates={hub.core.operates} />,
  }),
);
