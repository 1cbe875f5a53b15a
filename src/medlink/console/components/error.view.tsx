import type { Ui } from "../i18n/ui.ts";

export type ErrorStatus = 403 | 404 | 500 | 503;

/** What went wrong, and the way on. */
export const ErrorPage = (props: { readonly ui: Ui; readonly status: ErrorStatus; readonly correlationId: string }) => {
  const { ui, status, correlationId } = props;
  const text = status === 500 ? ui.t("error.500.text", { code: correlationId }) : ui.t(`error.${status}.text`);
  return (
    <div class="error-page">
      <p class="status">{status}</p>
      <h1>{ui.t(`error.${status}.title`)}</h1>
      <p>{text}</p>
      <a class="button primary" href="/">
        {ui.t("error.home")}
      </a>
    </div>
  );
};
