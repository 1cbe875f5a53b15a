import * as z from "zod";
import { askCore } from "../../../operations/core-answer.edge.ts";
import { overviewOf } from "../../../operations/overview.route.ts";
import { operatorPage } from "../../page.edge.tsx";
import { alertsShape } from "./alert-shapes.ts";
import { OverviewView } from "./overview.view.tsx";

export const overviewPage = operatorPage(
  { path: "/operations", params: z.object({}) },
  async ({ hub, ui, correlationId }) => {
    const [overview, alerts] = await Promise.all([
      overviewOf(hub, correlationId),
      askCore({ hub, correlationId }, "/operations/alerts", alertsShape),
    ]);
    return {
      type: "page",
      title: ui.t("ops.overview.title"),
      body: <OverviewView ui={ui} overview={overview} alerts={alerts} operates={hub.core.operates} />,
    };
  },
);
