import * as z from "zod";
import { askCore } from "../../../operations/core-answer.edge.ts";
import { nextDay, startOfDay } from "../../i18n/day.ts";
import { operatorPage } from "../../page.edge.tsx";
import { deadLettersShape, deliveryShape, relayShape } from "./core-shapes.ts";
import { DeliveriesView, DeliveryView, ERROR_CLASSES } from "./deliveries.view.tsx";

const LETTERS = "/relay/workflow/dead-letters";
const ROWS = 50;

/** A filter that is empty or makes no sense filters nothing: the address was perhaps typed. */
const optional = <Schema extends z.ZodType<string>>(schema: Schema) => schema.optional().catch(undefined);

export const deliveriesPage = operatorPage(
  {
    path: "/operations/deliveries",
    params: z.object({
      destinationId: optional(z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/)),
      errorClass: optional(z.enum(ERROR_CLASSES)),
      from: optional(z.iso.date()),
      to: optional(z.iso.date()),
      cursor: optional(z.string().regex(/^\d{1,16}\.\d{1,16}$/)),
    }),
  },
  async ({ hub, ui, params, correlationId }) => {
    const { cursor, ...filters } = params;
    const { destinationId, errorClass, from, to } = filters;
    const selection = {
      ...(destinationId === undefined ? {} : { destinationId }),
      ...(errorClass === undefined ? {} : { errorClass }),
      ...(from === undefined ? {} : { since: startOfDay(from, ui.timeZone) }),
      ...(to === undefined ? {} : { until: startOfDay(nextDay(to), ui.timeZone) }),
    };
    const search = new URLSearchParams({ limit: String(ROWS), ...(cursor === undefined ? {} : { cursor }) });
    for (const [name, value] of Object.entries(selection)) search.set(name, String(value));
    const asker = { hub, correlationId };
    const [relay, letters] = await Promise.all([
      askCore(asker, "/relay/workflow/status", relayShape),
      askCore(asker, `${LETTERS}?${search}`, deadLettersShape),
    ]);
    return {
      type: "page",
      title: ui.t("ops.deliveries.title"),
      body: (
        <DeliveriesView
          ui={ui}
          relay={relay}
          letters={letters}
          filters={filters}
          selection={selection}
          cursor={cursor}
        />
      ),
    };
  },
);

export const deliveryPage = operatorPage(
  {
    path: "/operations/deliveries/{outboxId}",
    params: z.object({ outboxId: z.string().regex(/^[1-9]\d{0,15}$/) }),
  },
  async ({ hub, ui, params, correlationId }) => {
    const delivery = await askCore({ hub, correlationId }, `${LETTERS}/${params.outboxId}`, deliveryShape);
    if (delivery.type === "missing") return { type: "error", status: 404 };
    const title = ui.t("ops.delivery.title", { id: params.outboxId });
    return { type: "page", title, body: <DeliveryView ui={ui} title={title} delivery={delivery} /> };
  },
);
