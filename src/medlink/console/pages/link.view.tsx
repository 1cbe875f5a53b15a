import { PASSWORD_MIN_LENGTH } from "../../accounts/password.ts";
import { ApiForm, Submit, TextField } from "../components/form.view.tsx";
import { Notice } from "../components/parts.view.tsx";
import type { Ui } from "../i18n/ui.ts";

/** An invitation to accept, or a password to set anew. The token is the address's fragment, which no server sees. */
export const LinkView = ({ ui, kind }: { readonly ui: Ui; readonly kind: "invitation" | "reset" }) => (
  <div class="stack" data-link-token>
    <h1>{ui.t(`${kind}.title`)}</h1>
    <p class="lead">{ui.t(`${kind}.lead`)}</p>
    <Notice tone="bad" id="no-token" hidden>
      {ui.t("invitation.noToken")}
    </Notice>
    <ApiForm
      id="link-form"
      method="POST"
      path={kind === "invitation" ? "/api/invitations/accept" : "/api/auth/password-reset"}
      go={kind === "invitation" ? "/" : "/sign-in"}
      toast={ui.t(`${kind}.done`)}
      problems={{ not_found: ui.t(`${kind}.wrong`), invalid_body: ui.t("settings.passwordWeak") }}
    >
      <input type="hidden" name="token" />
      <TextField
        ui={ui}
        name="password"
        type="password"
        label={ui.t("password.new")}
        hint={ui.t("password.hint")}
        autocomplete="new-password"
        minLength={PASSWORD_MIN_LENGTH}
        maxLength={1_024}
        autofocus
      />
      <TextField
        ui={ui}
        name="again"
        type="password"
        label={ui.t("password.again")}
        autocomplete="new-password"
        same="password"
      />
      <Submit>{ui.t(`${kind}.submit`)}</Submit>
    </ApiForm>
  </div>
);
