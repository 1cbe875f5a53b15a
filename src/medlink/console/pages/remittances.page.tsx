import * as z from "zod";
import { viewed } from "../../audit/audited.edge.ts";
import { cachedInsurers } from "../../cache/record-cache.edge.ts";
import { decodeCursor } from "../../page.ts";
import { findRemittance, listRemittances } from "../../remittances/remittances.store.ts";
import { zoneOffset } from "../i18n/day.ts";
import { page } from "../page.edge.tsx";
import { insurerOptions } from "./parties.edge.ts";
import { NewRemittanceView, RemittancesView, RemittanceView } from "./remittances.view.tsx";

const ROWS = 50;
const roles = ["billing", "admin"] as const;

export const remittancesPage = page(
  {
    path: "/remittances",
    params: z.object({
      insurerId: z
        .string()
        .regex(/^ins_[a-z0-9_]{1,60}$/)
        .optional()
        .catch(undefined),
      cursor: z.string().max(100).optional(),
    }),
    roles,
  },
  async (input) => {
    const { hub, ui, user, params } = input;
    const { insurerId, cursor } = params;
    const [found, insurers] = await Promise.all([
      listRemittances(hub.db, user.clinicId, {
        limit: ROWS,
        after: cursor === undefined ? undefined : decodeCursor(cursor),
        insurerId,
        claimId: undefined,
      }),
      insurerOptions(hub, user.clinicId),
      viewed(input, "remittances.view", "remittances"),
    ]);
    return {
      type: "page",
      title: ui.t("remittances.title"),
      body: (
        <RemittancesView
          ui={ui}
          remittances={found.items}
          insurers={insurers}
          insurerId={insurerId}
          cursor={cursor}
          nextCursor={found.nextCursor}
        />
      ),
    };
  },
);

export const newRemittancePage = page(
  { path: "/remittances/new", params: z.object({}), roles },
  async ({ hub, ui, user }) => {
    const today = new Date(ui.now + zoneOffset(ui.timeZone, ui.now)).toISOString().slice(0, 10);
    const insurers = await insurerOptions(hub, user.clinicId);
    return {
      type: "page",
      title: ui.t("remittances.new"),
      scripts: ["claim-form"],
      body: <NewRemittanceView ui={ui} insurers={insurers} today={today} />,
    };
  },
);

export const remittancePage = page(
  { path: "/remittances/{remittanceId}", params: z.object({ remittanceId: z.string().max(64) }), roles },
  async (input) => {
    const { hub, ui, user, params } = input;
    const remittance = await findRemittance(hub.db, user.clinicId, params.remittanceId);
    if (remittance === undefined) return { type: "error", status: 404 };
    const [insurers] = await Promise.all([
      cachedInsurers(hub, user.clinicId, [remittance.insurerId]),
      viewed(input, "remittance.view", remittance.remittanceId),
    ]);
    return {
      type: "page",
      title: ui.t("remittance.title", { reference: remittance.reference }),
      body: <RemittanceView ui={ui} remittance={remittance} insurer={insurers.get(remittance.insurerId)?.name} />,
    };
  },
);
