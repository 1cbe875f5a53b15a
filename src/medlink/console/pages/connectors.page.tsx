import * as z from "zod";
import { channelOf, readChannelBreaker } from "../../edi/channel.edge.ts";
import { CONNECTORS } from "../../edi/connector.ts";
import { readHealth } from "../../edi/exchanges.store.ts";
import { page } from "../page.edge.tsx";
import { ConnectorsView } from "./connectors.view.tsx";

const HOUR_MS = 3_600_000;

export const connectorsPage = page(
  { path: "/admin/connectors", params: z.object({}), roles: ["billing", "admin"] },
  async ({ hub, ui, user }) => {
    const connectors = await Promise.all(
      CONNECTORS.map(async (name) => {
        const channel = channelOf(hub, name);
        const [health, breaker] = await Promise.all([
          readHealth(hub.db, name, user.clinicId, ui.now - HOUR_MS),
          readChannelBreaker(hub, channel),
        ]);
        const host = channel.url === undefined || !URL.canParse(channel.url) ? undefined : new URL(channel.url).host;
        return {
          name,
          mode: channel.mode,
          host: channel.mode === "sandbox" ? undefined : host,
          fault: channel.fault,
          ok: channel.fault === undefined && breaker.type !== "open" && health.lastOk !== false,
          lastExchangeAt: health.lastExchangeAt,
          exchanges: health.answers,
          errors: health.errors,
        };
      }),
    );
    return {
      type: "page",
      title: ui.t("connectors.title"),
      body: <ConnectorsView ui={ui} connectors={connectors} mayTest={user.role === "admin"} />,
    };
  },
);
