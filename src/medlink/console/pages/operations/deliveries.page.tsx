import * as z from "zod";
import { askCore, type CoreAsker } from "../../../operations/core-answer.edge.ts";
import { nextDay, startOfDay } from "../../i18n/day.ts";
import { operatorPage } from "../../page.edge.tsx";
import { DELIVERY_LISTS, deadLettersShape, deliveriesShape, deliveryShape, relayShape } from "./core-shapes.ts";
import { type DeadLetterFilters, ERROR_CLASSES } from "./dead-letters.view.tsx";
import { DeliveriesView, type DeliveryFilters, type DeliveryLists } from "./deliveries.view.tsx";
import { DeliveryView } from "./delivery.view.tsx";
import { DELIVERIES_PATH } from "./relay-paths.ts";

const LETTERS = "/relay/workflow/dead-letters";
const ROWS = 50;

/** A filter that is empty or makes no sense filters nothing: the address was perhaps typed. */
const optional = <Schema extends z.ZodType<string>>(schema: Schema) => schema.optional().catch(undefined);

const destinationId = optional(z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/));

export const deliveriesPage = operatorPage(
  {
    path: DELIVERIES_PATH,
    params: z.object({
      list: z.enum(["dead", "all"]).default("dead").catch("dead"),
      destinationId,
      status: z.enum(DELIVERY_LISTS).default("delivered").catch("delivered"),
      errorClass: optional(z.enum(ERROR_CLASSES)),
      from: optional(z.iso.date()),
      to: optional(z.iso.date()),
      cursor: optional(z.string().regex(/^\d{1,16}\.\d{1,16}$/)),
    }),
  },
  async ({ hub, ui, params, correlationId }) => {
    const asker = { hub, correlationId };
    const [relay, shown] = await Promise.all([
      askCore(asker, "/relay/workflow/status", relayShape),
      params.list === "all" ? readDeliveries(asker, params) : readDeadLetters(asker, params, ui.timeZone),
    ]);
    return {
      type: "page",
      title: ui.t("ops.deliveries.title"),
      body: <DeliveriesView ui={ui} relay={relay} shown={shown} />,
    };
  },
);

interface Asks extends DeadLetterFilters, DeliveryFilters {
  readonly cursor?: string | undefined;
}

const searchOf = (values: Readonly<Record<string, string | number | undefined>>): string => {
  const search = new URLSearchParams({ limit: String(ROWS) });
  for (const [name, value] of Object.entries(values)) if (value !== undefined) search.set(name, String(value));
  return search.toString();
};

async function readDeadLetters(
  asker: CoreAsker,
  { destinationId, errorClass, from, to, cursor }: Asks,
  timeZone: string,
): Promise<DeliveryLists> {
  const selection = {
    ...(destinationId === undefined ? {} : { destinationId }),
    ...(errorClass === undefined ? {} : { errorClass }),
    ...(from === undefined ? {} : { since: startOfDay(from, timeZone) }),
    ...(to === undefined ? {} : { until: startOfDay(nextDay(to), timeZone) }),
  };
  const letters = await askCore(asker, `${LETTERS}?${searchOf({ ...selection, cursor })}`, deadLettersShape);
  return { list: "dead", letters, filters: { destinationId, errorClass, from, to }, selection, cursor };
}

async function readDeliveries(asker: CoreAsker, { destinationId, status, cursor }: Asks): Promise<DeliveryLists> {
  const search = searchOf({ status, destination: destinationId, cursor });
  const deliveries = await askCore(asker, `/relay/workflow/deliveries?${search}`, deliveriesShape);
  return { list: "all", deliveries, filters: { destinationId, status }, cursor };
}

export const deliveryPage = operatorPage(
  {
    path: `${DELIVERIES_PATH}/{outboxId}`,
    params: z.object({ outboxId: z.string().regex(/^[1-9]\d{0,15}$/) }),
  },
  async ({ hub, ui, params, correlationId }) => {
    const delivery = await askCore({ hub, correlationId }, `${LETTERS}/${params.outboxId}`, deliveryShape);
    if (delivery.type === "missing") return { type: "error", status: 404 };
    const title = ui.t("ops.delivery.title", { id: params.outboxId });
    return { type: "page", title, body: <DeliveryView ui={ui} title={title} delivery={delivery} /> };
  },
);
