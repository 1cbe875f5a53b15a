import { accountOperation, none, ok } from "../operation.edge.ts";
import { preferencesUpdate, profileUpdate } from "./accounts.store.ts";
import { meSchema, showMe } from "./me.route.ts";
import { nameField, preferencesSchema } from "./schemas.ts";
import { accountAudit } from "./sign-in.edge.ts";

export const updateMe = accountOperation(
  {
    method: "patch",
    path: "/api/auth/me",
    summary: "Change one's own name, language or time zone",
    params: none,
    body: preferencesSchema.partial().extend({ name: nameField.optional() }),
    answers: { 200: { description: "The account", schema: meSchema } },
  },
  async ({ hub, signedIn, body, correlationId }) => {
    const now = hub.now();
    const { name, locale, timeZone } = body;
    const user = name === undefined ? signedIn.user : { ...signedIn.user, name };
    const preferences = {
      locale: locale ?? signedIn.preferences.locale,
      timeZone: timeZone ?? signedIn.preferences.timeZone,
    };
    const changed = [name === undefined ? [] : ["name"], locale ? ["locale"] : [], timeZone ? ["timeZone"] : []].flat();
    if (changed.length > 0) {
      await hub.db.batch([
        preferencesUpdate(hub.db, user.userId, preferences, now),
        ...(name === undefined ? [] : [await profileUpdate(hub.db, hub.fields, user, now)]),
        accountAudit(hub, user, { action: "account.update", detail: changed.join("_"), correlationId }, now),
      ]);
    }
    return ok(200, await showMe(hub, { user, preferences }), { "cache-control": "no-store" });
  },
);
