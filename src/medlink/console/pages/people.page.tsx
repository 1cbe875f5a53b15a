import * as z from "zod";
import { listUsers } from "../../accounts/accounts.store.ts";
import { listInvitations } from "../../accounts/links.store.ts";
import { page } from "../page.edge.tsx";
import { PeopleView } from "./people.view.tsx";

const PEOPLE = 1_000;
const INVITATIONS = 200;

export const peoplePage = page(
  { path: "/admin/people", params: z.object({}), roles: ["admin"] },
  async ({ hub, ui, user }) => {
    const [people, invitations] = await Promise.all([
      listUsers(hub.db, hub.fields, user.clinicId, PEOPLE),
      listInvitations(hub.db, hub.fields, user.clinicId, hub.now(), INVITATIONS),
    ]);
    return {
      type: "page",
      title: ui.t("people.title"),
      scripts: ["shown-once"],
      body: (
        <PeopleView
          ui={ui}
          userId={user.userId}
          people={people.map(({ user: person, disabledAt, secondFactor, createdAt }) => ({
            ...person,
            disabled: disabledAt !== null,
            secondFactor,
            createdAt,
          }))}
          invitations={invitations.map(({ placement, ...invitation }) => ({ ...invitation, role: placement.role }))}
        />
      ),
    };
  },
);
