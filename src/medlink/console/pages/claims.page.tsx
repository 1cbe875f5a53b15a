import * as z from "zod";
import { viewed } from "../../audit/audited.edge.ts";
import { CLAIM_STATUSES, CLAIM_TYPES } from "../../claims/claim.ts";
import { namedBy } from "../../claims/claim-filter.ts";
import { listClaims } from "../../claims/claims.store.ts";
import { flagIsOn } from "../../flags/flags.edge.ts";
import { decodeCursor } from "../../page.ts";
import { nextDay, startOfDay } from "../i18n/day.ts";
import { page } from "../page.edge.tsx";
import { ClaimsView } from "./claims.view.tsx";
import { claimLines, insurerOptions, providerOptions } from "./parties.edge.ts";

const ROWS = 50;

/** A filter that is empty or makes no sense filters nothing: the address was perhaps typed. */
const optional = <Schema extends z.ZodType<string>>(schema: Schema) => schema.optional().catch(undefined);
const id = optional(z.string().regex(/^[a-z]{3}_[a-z0-9_]{1,60}$/));
const day = optional(z.iso.date());

export const claimFilters = {
  q: optional(z.string().trim().min(1).max(80)),
  status: optional(z.enum(CLAIM_STATUSES)),
  type: optional(z.enum(CLAIM_TYPES)),
  insurerId: id,
  providerId: id,
  patientId: id,
  from: day,
  to: day,
};

export const claimsPage = page(
  { path: "/claims", params: z.object({ ...claimFilters, cursor: optional(z.string().max(100)) }) },
  async (input) => {
    const { hub, ui, user, params } = input;
    const { cursor, ...filters } = params;
    const { q, from, to, ...exact } = filters;
    const named = q === undefined ? undefined : namedBy(q);
    const nothing = q !== undefined && named === undefined;
    const [found, insurers, providers, mayFileMany] = await Promise.all([
      nothing
        ? { items: [], nextCursor: undefined }
        : listClaims(hub.db, hub.fields, user.clinicId, {
            ...exact,
            named,
            from: from === undefined ? undefined : startOfDay(from, ui.timeZone),
            to: to === undefined ? undefined : startOfDay(nextDay(to), ui.timeZone),
            limit: ROWS,
            after: cursor === undefined ? undefined : decodeCursor(cursor),
          }),
      insurerOptions(hub, user.clinicId),
      providerOptions(hub, user.clinicId),
      user.role === "provider" ? false : flagIsOn(hub, user, "FEATURE_FLAG_BULK_OPERATIONS"),
      viewed(input, "claims.view", "claims"),
    ]);
    return {
      type: "page",
      title: ui.t("claims.title"),
      body: (
        <ClaimsView
          ui={ui}
          claims={await claimLines(hub, user.clinicId, found.items)}
          filters={filters}
          insurers={insurers}
          providers={providers}
          cursor={cursor}
          nextCursor={found.nextCursor}
          mayFileMany={mayFileMany}
        />
      ),
    };
  },
);
