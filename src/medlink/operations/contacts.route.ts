/** Who the hub calls when core's evaluator is silent: its own copy, since it must not need core for it. */
import { contactsView, contactsViewSchema, putContactsSchema } from "../../operations/alerts/contacts-view.ts";
import { readContacts } from "../../operations/alerts/escalation.ts";
import { calledNow } from "../../operations/alerts/roster.ts";
import { auditInsert, WHOLE_HUB } from "../audit/audit.store.ts";
import type { Hub } from "../hub.edge.ts";
import { none, ok, operatorOperation, refuse } from "../operation.edge.ts";
import { readRoster, rosterUpdate } from "../watch/roster.store.ts";

const answers = { 200: { description: "Who is called now", schema: contactsViewSchema } };
const path = "/api/operations/alerts/contacts";

const view = async (hub: Hub) =>
  contactsView(calledNow(await readRoster(hub.db), readContacts(hub.settings.ALERT_CONTACTS), hub.now()));

export const showContacts = operatorOperation(
  {
    method: "get",
    path,
    summary: "Who the hub calls when core's alerts are silent",
    params: none,
    body: none,
    answers,
  },
  async ({ hub }) => ok(200, await view(hub)),
);

export const putContacts = operatorOperation(
  {
    method: "put",
    path,
    summary: "Say who the hub calls when core's alerts are silent: people, roles and shifts",
    params: none,
    body: putContactsSchema,
    trail: ({ body }) => ({ action: "HUB_CONTACTS_PUT", to: [`people_${body.people.length}`] }),
    answers,
  },
  async ({ hub, actor, body, correlationId }) => {
    const at = hub.now();
    const put = await (await rosterUpdate(hub.db, { roster: body, putAt: at })).run();
    if (put.meta.changes === 0) return refuse("conflict", "Somebody else put contacts just now. Put them again.");
    await auditInsert(hub.db, {
      clinicId: WHOLE_HUB,
      actor: actor.name,
      action: "alert.contacts",
      subject: "hub",
      detail: "",
      correlationId,
      at,
    }).run();
    return ok(200, await view(hub));
  },
);
