import * as z from "zod";
import { viewed } from "../../audit/audited.edge.ts";
import { findClaim, listClaims, listUnsubmittedClaims } from "../../claims/claims.store.ts";
import type { Hub } from "../../hub.edge.ts";
import { DAY_MS, zoneOffset } from "../i18n/day.ts";
import { homeOf } from "../navigation.ts";
import { accountPage } from "../page.edge.tsx";
import { countByDay, countByStatus, countUnsent, type DayCount } from "./dashboard.store.ts";
import { DashboardView, type Day } from "./dashboard.view.tsx";
import { claimLines } from "./parties.edge.ts";

const DAYS = 30;
const LATEST = 8;
const WAITING = 6;
/** Beyond this many the exact number says no more. */
const COUNT_LIMIT = 1_000;

export const dashboardPage = accountPage({ path: "/", params: z.object({}) }, async (input) => {
  const { hub, ui, signedIn, correlationId } = input;
  const { user } = signedIn;
  if (user.role === "operator") return { type: "redirect", to: homeOf(user.role) };
  const { clinicId } = user;
  const offset = zoneOffset(ui.timeZone, ui.now);
  const today = Math.floor((ui.now + offset) / DAY_MS);
  const since = (today - DAYS + 1) * DAY_MS - offset;
  const [counts, counted, unsentCount, latest, questions, unsent] = await Promise.all([
    countByStatus(hub.db, clinicId),
    countByDay(hub.db, clinicId, since, offset),
    countUnsent(hub.db, clinicId, COUNT_LIMIT),
    listClaims(hub.db, hub.fields, clinicId, { limit: LATEST, after: undefined }),
    listClaims(hub.db, hub.fields, clinicId, { limit: WAITING, after: undefined, status: "infoRequested" }),
    unsentClaims(hub, clinicId),
    viewed({ hub, user, correlationId }, "claims.view", "claims"),
  ]);
  const waiting = [...questions.items, ...unsent].slice(0, WAITING);
  const lines = await claimLines(hub, clinicId, [...latest.items, ...waiting]);
  return {
    type: "page",
    title: ui.t("dashboard.title"),
    scripts: ["charts"],
    body: (
      <DashboardView
        ui={ui}
        name={user.name}
        counts={counts}
        days={daysFrom(counted, today, offset)}
        latest={lines.slice(0, latest.items.length)}
        waiting={lines.slice(latest.items.length)}
        waitingCount={(counts.infoRequested ?? 0) + unsentCount}
      />
    ),
  };
});

/** The last days up to today, also those on which nothing happened. */
function daysFrom(counted: readonly DayCount[], today: number, offset: number): readonly Day[] {
  const byDay = new Map(counted.map((count) => [count.day, count]));
  return Array.from({ length: DAYS }, (_, i) => {
    const day = today - DAYS + 1 + i;
    const { filed = 0, paid = 0, denied = 0 } = byDay.get(day) ?? {};
    return { at: day * DAY_MS - offset, filed, paid, denied };
  });
}

async function unsentClaims(hub: Hub, clinicId: string) {
  const { items } = await listUnsubmittedClaims(
    hub.db,
    { clinicId, status: "pending", type: undefined, since: 0 },
    { limit: WAITING, after: undefined },
  );
  const found = await Promise.all(items.map(({ claimId }) => findClaim(hub.db, hub.fields, clinicId, claimId)));
  return found.filter((claim) => claim !== undefined);
}
