import { z } from "@hono/zod-openapi";
import { none, ok, staffOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import { channelOf, readChannelBreaker } from "./channel.edge.ts";
import { CONNECTORS } from "./connector.ts";
import { readHealth } from "./exchanges.store.ts";
import { connectorName } from "./show-edi.ts";

const HOUR_MS = 3_600_000;

const connectorSchema = z
  .object({
    name: connectorName,
    mode: z
      .enum(["sandbox", "production", "refused"])
      .openapi({ description: "refused: EDI_MODE is production and EDI_PRODUCTION_ENABLED is not set" }),
    host: z.string().nullable(),
    fault: z.string().nullable().openapi({ description: "Why nothing can be sent" }),
    breaker: z.string(),
    lastExchangeAt: z.string().nullable(),
    ok: z.boolean().openapi({ description: "Messages can leave, and the newest answer was in order" }),
    exchanges: z.number().int().openapi({ description: "In the last hour" }),
    errors: z.number().int().openapi({ description: "Of these, those that were not answered in order" }),
  })
  .openapi("EdiConnector");

export const listConnectors = staffOperation(
  {
    method: "get",
    path: "/api/edi/connectors",
    summary: "The EDI networks: where messages go, and how it went",
    roles: ["billing", "admin"],
    params: none,
    body: none,
    answers: { 200: { description: "One for each network", schema: z.array(connectorSchema) } },
  },
  async ({ hub, actor }) => {
    const since = hub.now() - HOUR_MS;
    const shown = CONNECTORS.map(async (name): Promise<z.output<typeof connectorSchema>> => {
      const channel = channelOf(hub, name);
      const [health, breaker] = await Promise.all([
        readHealth(hub.db, name, actor.clinicId, since),
        readChannelBreaker(hub, channel),
      ]);
      const host = channel.url === undefined || !URL.canParse(channel.url) ? null : new URL(channel.url).host;
      return {
        name,
        mode: channel.mode,
        host: channel.mode === "sandbox" ? "sandbox" : host,
        fault: channel.fault ?? null,
        breaker: breaker.type,
        lastExchangeAt: health.lastExchangeAt === undefined ? null : iso(health.lastExchangeAt),
        ok: channel.fault === undefined && breaker.type !== "open" && health.lastOk !== false,
        exchanges: health.answers,
        errors: health.errors,
      };
    });
    return ok(200, await Promise.all(shown));
  },
);
