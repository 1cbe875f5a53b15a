/** The set-up of a second factor, its backup codes, and how long a new token is good. */
import { isObject } from "./lib/api.ts";
import { DONE } from "./lib/forms.ts";

const detailOf = (event: Event): Readonly<Record<string, unknown>> =>
  event instanceof CustomEvent && isObject(event.detail) ? event.detail : {};

document.querySelector("[data-factor-setup]")?.addEventListener(DONE, (event) => {
  event.preventDefault();
  const { secret, qrSvg } = detailOf(event);
  const panel = document.getElementById("factor-panel");
  const image = panel?.querySelector("img");
  const text = panel?.querySelector("[data-factor-secret]");
  if (panel === null || image == null || text == null) return;
  image.src = `data:image/svg+xml,${encodeURIComponent(String(qrSvg))}`;
  // In fours: it is typed by hand.
  text.textContent = String(secret).replace(/(.{4})(?=.)/g, "$1 ");
  panel.hidden = false;
  if (event.target instanceof HTMLElement) event.target.hidden = true;
  panel.querySelector("input")?.focus();
});

for (const form of document.querySelectorAll("[data-backup-form]")) {
  form.addEventListener(DONE, (event) => {
    event.preventDefault();
    const { backupCodes } = detailOf(event);
    const dialog = document.getElementById("backup-codes");
    const list = dialog?.querySelector("[data-codes]");
    if (!(dialog instanceof HTMLDialogElement) || list == null || !Array.isArray(backupCodes)) return;
    list.replaceChildren(
      ...backupCodes.map((code) => {
        const item = document.createElement("li");
        item.textContent = String(code);
        return item;
      }),
    );
    form.closest("dialog")?.close();
    dialog.addEventListener("close", () => location.reload());
    dialog.showModal();
  });
}

// The API takes a moment; people choose a span.
const span = document.querySelector<HTMLSelectElement>("#token-days");
const expires = document.querySelector<HTMLInputElement>("#token-form [name=expiresAt]");
span?.form?.addEventListener(
  "submit",
  () => {
    if (expires !== null) expires.value = new Date(Date.now() + Number(span.value) * 86_400_000 - 60_000).toISOString();
  },
  { capture: true },
);
