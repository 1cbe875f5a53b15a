import { type AccountRole, ROLES } from "../../accounts/user.ts";
import { ApiForm, SelectField, Submit, TextField } from "../components/form.view.tsx";
import { Icon } from "../components/icon.view.tsx";
import { Action, Badge, Confirm, Dialog, Empty, PageHead, ShownOnce, Table, Time } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

export interface PersonLine {
  readonly userId: string;
  readonly name: string;
  readonly email: string;
  readonly role: AccountRole;
  readonly disabled: boolean;
  readonly secondFactor: boolean;
  readonly createdAt: number;
}

export interface InvitationLine {
  readonly invitationId: string;
  readonly name: string;
  readonly email: string;
  readonly role: AccountRole;
  readonly expiresAt: number;
}

export interface PeopleViewProps {
  readonly ui: Ui;
  /** Who looks: one does not change oneself here. */
  readonly userId: string;
  readonly people: readonly PersonLine[];
  readonly invitations: readonly InvitationLine[];
}

export const PeopleView = ({ ui, userId, people, invitations }: PeopleViewProps) => (
  <>
    <PageHead ui={ui} title={ui.t("people.title")} lead={ui.t("people.lead")}>
      <button type="button" class="primary" data-open="invite">
        <Icon name="plus" />
        {ui.t("people.invite")}
      </button>
    </PageHead>
    <section class="card flush">
      <Table
        caption={ui.t("people.caption")}
        rows={people}
        columns={[
          {
            label: ui.t("settings.name"),
            heading: true,
            cell: (person) => (
              <>
                {person.name}
                {person.userId === userId ? <span class="quiet"> ({ui.t("people.you")})</span> : null}
              </>
            ),
          },
          { label: ui.t("settings.email"), cell: ({ email }) => email },
          { label: ui.t("settings.role"), cell: ({ role }) => ui.t(`role.${role}`) },
          {
            label: ui.t("people.factor"),
            cell: ({ secondFactor }) => (
              <Badge tone={secondFactor ? "good" : "warn"}>
                {ui.t(secondFactor ? "settings.factorOn" : "settings.factorOff")}
              </Badge>
            ),
          },
          {
            label: ui.t("people.state"),
            cell: ({ disabled }) => (
              <Badge tone={disabled ? "neutral" : "good"}>{ui.t(disabled ? "people.disabled" : "people.active")}</Badge>
            ),
          },
          { label: ui.t("people.since"), cell: ({ createdAt }) => ui.date(createdAt) },
          {
            label: ui.t("app.actions"),
            quiet: true,
            align: "right",
            cell: (person) =>
              person.userId === userId ? null : (
                <button type="button" class="plain small" data-open={`manage-${person.userId}`}>
                  {ui.t("app.details")}
                  <span class="sr"> {person.name}</span>
                </button>
              ),
          },
        ]}
        empty={null}
      />
    </section>
    <section class="card flush">
      <div class="card-head">
        <h2>{ui.t("people.invitations")}</h2>
      </div>
      <Table
        caption={ui.t("people.invitationsCaption")}
        rows={invitations}
        columns={[
          { label: ui.t("settings.name"), heading: true, cell: ({ name }) => name },
          { label: ui.t("settings.email"), cell: ({ email }) => email },
          { label: ui.t("settings.role"), cell: ({ role }) => ui.t(`role.${role}`) },
          { label: ui.t("people.expires"), cell: ({ expiresAt }) => <Time ui={ui} at={expiresAt} /> },
          {
            label: ui.t("app.actions"),
            quiet: true,
            align: "right",
            cell: ({ invitationId }) => (
              <Action
                small
                call={{ method: "DELETE", path: `/api/invitations/${invitationId}` }}
                toast={ui.t("people.withdrawn")}
                go="reload"
              >
                {ui.t("people.withdraw")}
              </Action>
            ),
          },
        ]}
        empty={<Empty icon="people" title={ui.t("people.noInvitations")} />}
      />
    </section>
    <Dialog id="invite" ui={ui} title={ui.t("people.invite")}>
      <ApiForm
        id="invite-form"
        method="POST"
        path="/api/invitations"
        once={{ field: "invitationUrl", dialog: "invitation-once" }}
        problems={{ conflict: ui.t("people.invited") }}
      >
        <p class="lead">{ui.t("people.inviteLead")}</p>
        <TextField ui={ui} name="name" label={ui.t("settings.name")} maxLength={200} />
        <TextField ui={ui} name="email" type="email" label={ui.t("settings.email")} maxLength={254} />
        <SelectField
          ui={ui}
          name="role"
          label={ui.t("settings.role")}
          options={ROLES.map((value) => ({ value, label: ui.t(`role.${value}`) }))}
          value="provider"
        />
        <div class="actions end">
          <Submit>{ui.t("people.invite")}</Submit>
        </div>
      </ApiForm>
    </Dialog>
    {people
      .filter((person) => person.userId !== userId)
      .map((person) => (
        <Manage ui={ui} person={person} />
      ))}
    <ShownOnce id="invitation-once" ui={ui} title={ui.t("people.link")} text={ui.t("people.inviteDone")} />
    <ShownOnce id="reset-once" ui={ui} title={ui.t("people.link")} text={ui.t("people.resetDone")} />
    <Confirm
      id="switch-off"
      ui={ui}
      title={ui.t("people.switchOffTitle")}
      text={ui.t("people.switchOffText")}
      action={ui.t("people.switchOff")}
      danger
    />
    <Confirm
      id="remove-factor"
      ui={ui}
      title={ui.t("people.removeFactorTitle")}
      text={ui.t("people.removeFactorText")}
      action={ui.t("people.removeFactor")}
      danger
    />
  </>
);

const Manage = ({ ui, person }: { readonly ui: Ui; readonly person: PersonLine }) => {
  const path = `/api/users/${person.userId}`;
  const problems = { conflict: ui.t("people.last") };
  return (
    <Dialog id={`manage-${person.userId}`} ui={ui} title={ui.t("people.manage", { name: person.name })}>
      <ApiForm
        id={`role-${person.userId}`}
        method="PATCH"
        path={path}
        go="reload"
        toast={ui.t("people.roleSaved")}
        problems={problems}
      >
        <SelectField
          ui={ui}
          id={`role-of-${person.userId}`}
          name="role"
          label={ui.t("people.changeRole")}
          value={person.role}
          options={ROLES.map((value) => ({ value, label: ui.t(`role.${value}`) }))}
        />
        <div class="actions end">
          <Submit>{ui.t("app.save")}</Submit>
        </div>
      </ApiForm>
      <div class="actions spaced">
        <Action
          call={{ method: "POST", path: `${path}/password-reset` }}
          once={{ field: "resetUrl", dialog: "reset-once" }}
          icon="link"
        >
          {ui.t("people.reset")}
        </Action>
        {person.secondFactor ? (
          <Action
            call={{ method: "DELETE", path: `${path}/second-factor` }}
            confirm="remove-factor"
            toast={ui.t("people.factorRemoved")}
            go="reload"
          >
            {ui.t("people.removeFactor")}
          </Action>
        ) : null}
        {person.disabled ? (
          <Action
            call={{ method: "PATCH", path, body: { disabled: false } }}
            toast={ui.t("people.switchedOn")}
            go="reload"
          >
            {ui.t("people.switchOn")}
          </Action>
        ) : (
          <Action
            tone="danger"
            call={{ method: "PATCH", path, body: { disabled: true } }}
            confirm="switch-off"
            toast={ui.t("people.switchedOff")}
            go="reload"
            problems={problems}
          >
            {ui.t("people.switchOff")}
          </Action>
        )}
      </div>
    </Dialog>
  );
};
