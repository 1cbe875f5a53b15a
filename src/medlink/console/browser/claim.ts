/** One claim: attaching files. */
import { callFile, sentenceOf } from "./lib/api.ts";
import { showFieldError } from "./lib/forms.ts";
import { toastNext } from "./lib/toast.ts";

for (const form of document.querySelectorAll<HTMLFormElement>("form[data-upload]")) {
  const input = form.querySelector<HTMLInputElement>("input[type=file]");
  form.addEventListener("submit", (event) => event.preventDefault());
  input?.addEventListener("change", () => {
    const file = input.files?.[0];
    if (file !== undefined) void attach(form, input, file);
  });
}

async function attach(form: HTMLFormElement, input: HTMLInputElement, file: File): Promise<void> {
  showFieldError(input, undefined);
  input.disabled = true;
  const answer = await callFile(form.dataset.upload ?? "", file);
  input.disabled = false;
  if (answer.type !== "ok") {
    input.value = "";
    showFieldError(input, sentenceOf(answer));
    return;
  }
  toastNext(form.dataset.toast ?? "");
  location.reload();
}
