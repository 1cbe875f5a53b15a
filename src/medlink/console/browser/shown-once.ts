/** Links and tokens that an answer holds this one time: shown in a dialog, copied, and gone when it closes. */
import { isObject } from "./lib/api.ts";
import { DONE } from "./lib/forms.ts";
import { copyText } from "./lib/toast.ts";

document.addEventListener(DONE, (event) => {
  const element = event.target;
  if (!(element instanceof HTMLElement) || !(event instanceof CustomEvent)) return;
  const [field = "", dialogId = ""] = (element.dataset.once ?? "").split(" ");
  const dialog = document.getElementById(dialogId);
  if (!(dialog instanceof HTMLDialogElement) || !isObject(event.detail)) return;
  event.preventDefault();
  const value = String(event.detail[field] ?? "");
  const input = dialog.querySelector<HTMLInputElement>("[data-once-value]");
  if (input !== null) {
    input.value = value;
    input.addEventListener("focus", () => input.select());
  }
  dialog.querySelector("[data-once-copy]")?.addEventListener("click", () => void copyText(value));
  dialog.addEventListener("close", () => location.reload());
  element.closest("dialog")?.close();
  dialog.showModal();
});
