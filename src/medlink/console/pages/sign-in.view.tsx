import { ApiForm, Submit, TextField } from "../components/form.view.tsx";
import { Notice } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

/** @param props.next where to go once signed in, a path of this site. */
export const SignInView = ({ ui, next }: { readonly ui: Ui; readonly next: string }) => (
  <div id="sign-in-steps" data-next={next}>
    <div id="first-step" class="stack">
      <h1>{ui.t("signIn.title")}</h1>
      {next === "/" ? <p class="lead">{ui.t("signIn.lead")}</p> : <Notice tone="info">{ui.t("signIn.again")}</Notice>}
      <ApiForm
        id="sign-in"
        method="POST"
        path="/api/auth/login"
        problems={{ unauthenticated: ui.t("signIn.wrong"), invalid_body: ui.t("signIn.wrong") }}
      >
        <TextField ui={ui} name="email" type="email" label={ui.t("signIn.email")} autocomplete="username" autofocus />
        <TextField
          ui={ui}
          name="password"
          type="password"
          label={ui.t("signIn.password")}
          autocomplete="current-password"
        />
        <Submit>{ui.t("signIn.submit")}</Submit>
      </ApiForm>
      <p class="hint">{ui.t("signIn.forgot")}</p>
    </div>
    <div id="second-factor" class="stack" hidden>
      <h1>{ui.t("secondFactor.title")}</h1>
      <div id="second-factor-code" class="form">
        <p class="lead">{ui.t("secondFactor.lead")}</p>
        <ApiForm
          id="code"
          method="POST"
          path="/api/auth/second-factor"
          problems={{ unauthenticated: ui.t("secondFactor.wrong"), invalid_body: ui.t("secondFactor.wrong") }}
        >
          <TextField
            ui={ui}
            name="code"
            label={ui.t("secondFactor.code")}
            autocomplete="one-time-code"
            inputmode="numeric"
            pattern="\s*\d{3}\s*\d{3}\s*"
          />
          <Submit>{ui.t("secondFactor.submit")}</Submit>
        </ApiForm>
        <button type="button" class="link" data-other-factor>
          {ui.t("secondFactor.useBackup")}
        </button>
      </div>
      <div id="second-factor-backup" class="form" hidden>
        <ApiForm
          id="backup"
          method="POST"
          path="/api/auth/second-factor"
          problems={{ unauthenticated: ui.t("secondFactor.wrong"), invalid_body: ui.t("secondFactor.wrong") }}
        >
          <TextField
            ui={ui}
            name="backupCode"
            label={ui.t("secondFactor.backup")}
            hint={ui.t("secondFactor.backupHint")}
          />
          <Submit>{ui.t("secondFactor.submit")}</Submit>
        </ApiForm>
        <button type="button" class="link" data-other-factor>
          {ui.t("secondFactor.useCode")}
        </button>
      </div>
      <a class="alone" href={next === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(next)}`}>
        {ui.t("secondFactor.restart")}
      </a>
    </div>
  </div>
);
