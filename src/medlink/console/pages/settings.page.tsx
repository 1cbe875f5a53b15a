import * as z from "zod";
import { listSessions } from "../../accounts/accounts.store.ts";
import { listApiTokens } from "../../accounts/api-tokens.store.ts";
import { TOKENS_OF_CLINIC } from "../../accounts/list-tokens.route.ts";
import { countBackupCodes, findSecondFactor } from "../../accounts/second-factor.store.ts";
import { SESSION_IDLE_MS, SESSION_LIFETIME_MS, SESSIONS_OF_USER } from "../../accounts/session.ts";
import { accountPage } from "../page.edge.tsx";
import { SettingsView } from "./settings.view.tsx";

/** Canada's zones first: that is where nearly everyone is. */
const CANADA = [
  "America/St_Johns",
  "America/Halifax",
  "America/Toronto",
  "America/Winnipeg",
  "America/Regina",
  "America/Edmonton",
  "America/Vancouver",
  "America/Whitehorse",
];

export const settingsPage = accountPage({ path: "/settings", params: z.object({}) }, async ({ hub, ui, signedIn }) => {
  const { user, preferences } = signedIn;
  const now = hub.now();
  const since = { lastSeen: now - SESSION_IDLE_MS, created: now - SESSION_LIFETIME_MS };
  const [factor, backupCodesLeft, sessions, tokens] = await Promise.all([
    findSecondFactor(hub.db, hub.fields, user.userId),
    countBackupCodes(hub.db, user.userId),
    listSessions(hub.db, user.userId, since, SESSIONS_OF_USER),
    user.role === "admin" ? listApiTokens(hub.db, user.clinicId, now, TOKENS_OF_CLINIC) : undefined,
  ]);
  const zones = new Set([preferences.timeZone, ...CANADA, ...Intl.supportedValuesOf("timeZone")]);
  return {
    type: "page",
    title: ui.t("settings.title"),
    scripts: ["settings", "shown-once"],
    body: (
      <SettingsView
        ui={ui}
        account={user}
        preferences={preferences}
        timeZones={[...zones]}
        secondFactor={{ enabled: factor?.enabled ?? false, backupCodesLeft }}
        sessions={sessions.map((session) => ({ ...session, current: session.sessionId === signedIn.sessionId }))}
        tokens={tokens}
      />
    ),
  };
});
