import * as z from "zod";
import { askCore } from "../../../operations/core-answer.edge.ts";
import { listHref } from "../../components/parts.view.tsx";
import { operatorPage } from "../../page.edge.tsx";
import { IdempotencyView } from "./idempotency.view.tsx";
import { IDEMPOTENCY_PATH } from "./settlement-paths.ts";
import { KEY_STATES, keysShape } from "./settlement-shapes.ts";

const ROWS = 50;

export const idempotencyPage = operatorPage(
  {
    path: IDEMPOTENCY_PATH,
    params: z.object({
      state: z.enum(KEY_STATES).default("PROCESSING").catch("PROCESSING"),
      /** Epoch ms: those begun before. */
      cursor: z
        .string()
        .regex(/^\d{1,14}$/)
        .optional()
        .catch(undefined),
    }),
  },
  async ({ hub, ui, params, correlationId }) => {
    const { state, cursor } = params;
    const before = cursor === undefined ? undefined : new Date(Number(cursor)).toISOString();
    const path = listHref("/operations/idempotency-keys", { state, before, limit: String(ROWS) });
    const keys = await askCore({ hub, correlationId }, path, keysShape);
    return {
      type: "page",
      title: ui.t("nav.idempotency"),
      body: <IdempotencyView ui={ui} keys={keys} state={state} cursor={cursor} rows={ROWS} />,
    };
  },
);
