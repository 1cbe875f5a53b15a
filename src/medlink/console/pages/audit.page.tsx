import * as z from "zod";
import { listUsers } from "../../accounts/accounts.store.ts";
import { listAuditEvents } from "../../audit/audit.store.ts";
import { decodeCursor } from "../../page.ts";
import { page } from "../page.edge.tsx";
import { AuditView } from "./audit.view.tsx";

const ROWS = 50;
const PEOPLE = 1_000;

export const auditPage = page(
  {
    path: "/admin/audit",
    params: z.object({
      changes: z.enum(["only", ""]).optional().catch(undefined),
      cursor: z.string().max(100).optional(),
    }),
    roles: ["admin"],
  },
  async ({ hub, ui, user, params }) => {
    const { clinicId } = user;
    const changesOnly = params.changes === "only";
    const [events, people] = await Promise.all([
      listAuditEvents(
        hub.db,
        { clinicId, subject: undefined, changesOnly },
        { limit: ROWS, after: params.cursor === undefined ? undefined : decodeCursor(params.cursor) },
      ),
      listUsers(hub.db, hub.fields, clinicId, PEOPLE),
    ]);
    const names = new Map(people.map(({ user: person }) => [person.userId, person.name]));
    return {
      type: "page",
      title: ui.t("audit.title"),
      body: (
        <AuditView
          ui={ui}
          events={events.items.map(({ at, actor, action, subject, detail }) => ({
            at,
            actor: names.get(actor) ?? actor,
            action,
            subject: names.get(subject) ?? subject,
            detail,
          }))}
          changesOnly={changesOnly}
          cursor={params.cursor}
          nextCursor={events.nextCursor}
        />
      ),
    };
  },
);
