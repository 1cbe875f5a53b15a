import * as z from "zod";
import { askCore } from "../../../operations/core-answer.edge.ts";
import { operatorPage } from "../../page.edge.tsx";
import { ALERTS_PATH, alertsShape } from "./alert-shapes.ts";
import { AlertsView } from "./alerts.view.tsx";

export const alertsPage = operatorPage(
  { path: ALERTS_PATH, params: z.object({}) },
  async ({ hub, ui, correlationId }) => ({
    type: "page",
    title: ui.t("nav.alerts"),
    body: <AlertsView ui={ui} alerts={await askCore({ hub, correlationId }, "/operations/alerts", alertsShape)} />,
  }),
);
