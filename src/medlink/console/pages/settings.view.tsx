import { UNKNOWN_DEVICE } from "../../accounts/device.ts";
import { PASSWORD_MIN_LENGTH } from "../../accounts/password.ts";
import type { Account, Preferences } from "../../accounts/user.ts";
import { ApiForm, SelectField, Submit, TextField } from "../components/form.view.tsx";
import { Icon } from "../components/icon.view.tsx";
import {
  Action,
  Badge,
  Card,
  Confirm,
  Dialog,
  Empty,
  Facts,
  PageHead,
  ShownOnce,
  Table,
  Time,
} from "../components/parts.view.tsx";
import { LOCALES } from "../i18n/locale.ts";
import type { Ui } from "../i18n/ui.ts";

export interface SessionLine {
  readonly sessionId: string;
  readonly device: string;
  readonly secondFactor: boolean;
  readonly current: boolean;
  readonly createdAt: number;
  readonly lastSeenAt: number;
}

export interface SettingsViewProps {
  readonly ui: Ui;
  readonly account: Account;
  readonly preferences: Preferences;
  readonly timeZones: readonly string[];
  readonly secondFactor: { readonly enabled: boolean; readonly backupCodesLeft: number };
  readonly sessions: readonly SessionLine[];
  /** undefined: not for this role. */
  readonly tokens: readonly TokenLine[] | undefined;
}

export interface TokenLine {
  readonly tokenId: string;
  readonly name: string;
  readonly canRead: boolean;
  readonly canWrite: boolean;
  readonly expiresAt: number;
  readonly lastUsedAt: number | null;
}

export const SettingsView = (props: SettingsViewProps) => {
  const { ui, account, preferences, timeZones } = props;
  return (
    <>
      <PageHead ui={ui} title={ui.t("settings.title")} />
      <div class="grid">
        <Card title={ui.t("settings.you")}>
          <Facts
            rows={[
              [ui.t("settings.email"), account.email],
              [ui.t("settings.role"), ui.t(`role.${account.role}`)],
            ]}
          />
          <ApiForm id="me-form" method="PATCH" path="/api/auth/me" go="reload" toast={ui.t("settings.saved")}>
            <TextField
              ui={ui}
              name="name"
              label={ui.t("settings.name")}
              value={account.name}
              maxLength={200}
              autocomplete="name"
            />
            <div class="pair">
              <SelectField
                ui={ui}
                name="locale"
                label={ui.t("settings.language")}
                value={preferences.locale}
                options={LOCALES.map((value) => ({ value, label: ui.t(`app.language.${value}`) }))}
              />
              <SelectField
                ui={ui}
                name="timeZone"
                label={ui.t("settings.timeZone")}
                hint={ui.t("settings.timeZoneHint")}
                value={preferences.timeZone}
                options={timeZones.map((value) => ({ value, label: value.replaceAll("_", " ") }))}
              />
            </div>
            <div class="actions end">
              <Submit>{ui.t("app.save")}</Submit>
            </div>
          </ApiForm>
        </Card>
        <Card title={ui.t("settings.password")} lead={ui.t("settings.passwordLead")}>
          <ApiForm
            id="password-form"
            method="POST"
            path="/api/auth/change-password"
            go="reload"
            toast={ui.t("settings.passwordChanged")}
            problems={{ forbidden: ui.t("settings.passwordWrong"), invalid_body: ui.t("settings.passwordWeak") }}
          >
            <input type="text" autocomplete="username" value={account.email} hidden readonly />
            <TextField
              ui={ui}
              name="currentPassword"
              type="password"
              label={ui.t("settings.currentPassword")}
              autocomplete="current-password"
            />
            <TextField
              ui={ui}
              name="newPassword"
              type="password"
              label={ui.t("password.new")}
              hint={ui.t("password.hint")}
              autocomplete="new-password"
              minLength={PASSWORD_MIN_LENGTH}
              maxLength={1_024}
            />
            <TextField
              ui={ui}
              name="newPasswordAgain"
              type="password"
              label={ui.t("password.again")}
              autocomplete="new-password"
              same="newPassword"
            />
            <div class="actions end">
              <Submit>{ui.t("settings.changePassword")}</Submit>
            </div>
          </ApiForm>
        </Card>
        <SecondFactor {...props} />
      </div>
      <Sessions {...props} />
      {props.tokens === undefined ? null : <Tokens ui={ui} tokens={props.tokens} />}
    </>
  );
};

const SecondFactor = ({ ui, secondFactor }: SettingsViewProps) => (
  <Card
    title={ui.t("settings.factor")}
    lead={ui.t("settings.factorLead")}
    aside={
      <Badge tone={secondFactor.enabled ? "good" : "warn"}>
        {ui.t(secondFactor.enabled ? "settings.factorOn" : "settings.factorOff")}
      </Badge>
    }
  >
    {secondFactor.enabled ? (
      <>
        <p>{ui.count("settings.backupLeft", secondFactor.backupCodesLeft)}</p>
        <div class="actions">
          <button type="button" class="plain" data-open="renew-codes">
            {ui.t("settings.backupNew")}
          </button>
          <button type="button" class="plain" data-open="disable-factor">
            {ui.t("settings.factorDisable")}
          </button>
        </div>
        <Dialog id="renew-codes" ui={ui} title={ui.t("settings.backupNew")}>
          <div data-backup-form>
            <ApiForm
              id="renew-form"
              method="POST"
              path="/api/auth/totp/backup-codes"
              problems={{ forbidden: ui.t("settings.factorWrong"), invalid_body: ui.t("settings.factorWrong") }}
            >
              <CodeField ui={ui} id="renew-code" />
              <div class="actions end">
                <Submit>{ui.t("settings.backupNew")}</Submit>
              </div>
            </ApiForm>
          </div>
        </Dialog>
        <Dialog id="disable-factor" ui={ui} title={ui.t("settings.factorDisable")}>
          <ApiForm
            id="disable-form"
            method="POST"
            path="/api/auth/totp/disable"
            go="reload"
            toast={ui.t("settings.factorDisabled")}
            problems={{
              forbidden: ui.t("settings.factorDisableWrong"),
              invalid_body: ui.t("settings.factorDisableWrong"),
            }}
          >
            <TextField
              ui={ui}
              id="disable-password"
              name="password"
              type="password"
              label={ui.t("settings.currentPassword")}
              autocomplete="current-password"
            />
            <CodeField ui={ui} id="disable-code" />
            <div class="actions end">
              <Submit danger>{ui.t("settings.factorDisable")}</Submit>
            </div>
          </ApiForm>
        </Dialog>
      </>
    ) : (
      <>
        <div class="actions" data-factor-setup>
          <Action tone="primary" icon="shield" call={{ method: "POST", path: "/api/auth/totp/setup" }}>
            {ui.t("settings.factorSetup")}
          </Action>
        </div>
        <div id="factor-panel" class="stack" hidden>
          <p>{ui.t("settings.factorScan")}</p>
          <img class="qr" alt={ui.t("settings.factorQr")} width={200} height={200} />
          <p>
            <span class="quiet">{ui.t("settings.factorSecret")}: </span>
            <code data-factor-secret></code>
          </p>
          <div data-backup-form>
            <ApiForm
              id="enable-form"
              method="POST"
              path="/api/auth/totp/enable"
              problems={{ invalid_body: ui.t("settings.factorWrong") }}
            >
              <p>{ui.t("settings.factorConfirm")}</p>
              <CodeField ui={ui} id="enable-code" />
              <div class="actions end">
                <Submit>{ui.t("settings.factorEnable")}</Submit>
              </div>
            </ApiForm>
          </div>
        </div>
      </>
    )}
    <Dialog id="backup-codes" ui={ui} title={ui.t("settings.backup")}>
      <p>{ui.t("settings.backupLead")}</p>
      <ul class="backup-codes" data-codes></ul>
      <div class="actions end">
        <button type="button" class="primary" data-close>
          {ui.t("settings.backupDone")}
        </button>
      </div>
    </Dialog>
  </Card>
);

const CodeField = ({ ui, id }: { readonly ui: Ui; readonly id: string }) => (
  <TextField
    ui={ui}
    id={id}
    name="code"
    label={ui.t("settings.factorCode")}
    autocomplete="one-time-code"
    inputmode="numeric"
    pattern="\s*\d{3}\s*\d{3}\s*"
  />
);

const Sessions = ({ ui, sessions }: SettingsViewProps) => (
  <section class="card flush">
    <div class="card-head">
      <div>
        <h2>{ui.t("settings.sessions")}</h2>
        <p class="lead">{ui.t("settings.sessionsLead")}</p>
      </div>
      <Action
        small
        call={{ method: "POST", path: "/api/auth/logout-everywhere" }}
        confirm="sign-out-everywhere"
        go="/sign-in"
      >
        {ui.t("settings.signOutEverywhere")}
      </Action>
    </div>
    <Table
      caption={ui.t("settings.sessionsCaption")}
      rows={sessions}
      columns={[
        {
          label: ui.t("settings.device"),
          heading: true,
          cell: ({ device, current, secondFactor }) => (
            <>
              {device === UNKNOWN_DEVICE ? ui.t("settings.deviceUnknown") : device}{" "}
              {current ? <Badge tone="good">{ui.t("settings.thisSession")}</Badge> : null}{" "}
              {secondFactor ? <Badge tone="neutral">{ui.t("settings.withFactor")}</Badge> : null}
            </>
          ),
        },
        { label: ui.t("settings.begun"), cell: ({ createdAt }) => <Time ui={ui} at={createdAt} both /> },
        { label: ui.t("settings.lastSeen"), cell: ({ lastSeenAt }) => <Time ui={ui} at={lastSeenAt} /> },
        {
          label: ui.t("app.actions"),
          quiet: true,
          align: "right",
          cell: ({ sessionId, current }) =>
            current ? null : (
              <Action
                small
                call={{ method: "DELETE", path: `/api/auth/sessions/${sessionId}` }}
                toast={ui.t("settings.sessionEnded")}
                go="reload"
              >
                {ui.t("settings.endSession")}
              </Action>
            ),
        },
      ]}
      empty={null}
    />
    <Confirm
      id="sign-out-everywhere"
      ui={ui}
      title={ui.t("settings.signOutEverywhereTitle")}
      text={ui.t("settings.signOutEverywhereText")}
      action={ui.t("settings.signOutEverywhere")}
    />
  </section>
);

const DAYS = [30, 90, 365] as const;

const Tokens = ({ ui, tokens }: { readonly ui: Ui; readonly tokens: readonly TokenLine[] }) => (
  <section class="card flush" id="tokens">
    <div class="card-head">
      <div>
        <h2>{ui.t("tokens.title")}</h2>
        <p class="lead">{ui.t("tokens.lead")}</p>
      </div>
      <button type="button" class="plain small" data-open="new-token">
        <Icon name="plus" size={16} />
        {ui.t("tokens.create")}
      </button>
    </div>
    <Table
      caption={ui.t("tokens.caption")}
      rows={tokens}
      columns={[
        { label: ui.t("tokens.name"), heading: true, cell: ({ name }) => name },
        {
          label: ui.t("tokens.scopes"),
          cell: ({ canRead, canWrite }) =>
            [canRead ? ui.t("tokens.scope.read") : "", canWrite ? ui.t("tokens.scope.write") : ""]
              .filter(Boolean)
              .join(", "),
        },
        {
          label: ui.t("tokens.used"),
          cell: ({ lastUsedAt }) => (lastUsedAt === null ? ui.t("tokens.never") : <Time ui={ui} at={lastUsedAt} />),
        },
        { label: ui.t("tokens.expires"), cell: ({ expiresAt }) => <Time ui={ui} at={expiresAt} /> },
        {
          label: ui.t("app.actions"),
          quiet: true,
          align: "right",
          cell: ({ tokenId }) => (
            <Action
              small
              call={{ method: "DELETE", path: `/api/tokens/${tokenId}` }}
              confirm="revoke-token"
              toast={ui.t("tokens.revoked")}
              go="reload"
            >
              {ui.t("tokens.revoke")}
            </Action>
          ),
        },
      ]}
      empty={<Empty icon="key" title={ui.t("tokens.empty")} />}
    />
    <Confirm
      id="revoke-token"
      ui={ui}
      title={ui.t("tokens.revokeTitle")}
      text={ui.t("tokens.revokeText")}
      action={ui.t("tokens.revoke")}
      danger
    />
    <Dialog id="new-token" ui={ui} title={ui.t("tokens.create")}>
      <ApiForm id="token-form" method="POST" path="/api/tokens" once={{ field: "token", dialog: "token-once" }}>
        <TextField
          ui={ui}
          id="token-name"
          name="name"
          label={ui.t("tokens.name")}
          hint={ui.t("tokens.nameHint")}
          maxLength={200}
        />
        <fieldset>
          <legend>{ui.t("tokens.scopes")}</legend>
          {(["read", "write"] as const).map((scope) => (
            <div class="field check">
              <input
                id={`scope-${scope}`}
                type="checkbox"
                name="scopes"
                value={scope}
                data-kind="list"
                checked={scope === "read"}
              />
              <label for={`scope-${scope}`}>{ui.t(`tokens.scope.${scope}`)}</label>
            </div>
          ))}
        </fieldset>
        <div class="field">
          <label for="token-days">{ui.t("tokens.days")}</label>
          <select id="token-days">
            {DAYS.map((days) => (
              <option value={days} selected={days === 90}>
                {ui.t(`tokens.days.${days}`)}
              </option>
            ))}
          </select>
        </div>
        <input type="hidden" name="expiresAt" />
        <div class="actions end">
          <Submit>{ui.t("tokens.create")}</Submit>
        </div>
      </ApiForm>
    </Dialog>
    <ShownOnce id="token-once" ui={ui} title={ui.t("tokens.title")} text={ui.t("tokens.made")} />
  </section>
);
