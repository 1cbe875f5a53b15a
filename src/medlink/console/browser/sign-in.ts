/** Signing in: one form for the password, a second one for those with a second factor, then on to where they were going. */
import { isObject } from "./lib/api.ts";
import { DONE } from "./lib/forms.ts";

const password = document.getElementById("sign-in");
const steps = document.getElementById("second-factor");
const code = document.getElementById("second-factor-code");
const backup = document.getElementById("second-factor-backup");

const goOn = (): void => location.assign(document.getElementById("sign-in-steps")?.dataset.next ?? "/");

const focusIn = (element: HTMLElement | null): void => element?.querySelector("input")?.focus();

password?.addEventListener(DONE, (event) => {
  event.preventDefault();
  const body: unknown = event instanceof CustomEvent ? event.detail : undefined;
  if (!isObject(body) || body.secondFactor === undefined) return goOn();
  const first = document.getElementById("first-step");
  if (first === null || steps === null) return;
  first.hidden = true;
  steps.hidden = false;
  focusIn(code);
});

for (const form of [code, backup]) {
  form?.addEventListener(DONE, (event) => {
    event.preventDefault();
    goOn();
  });
}

for (const button of document.querySelectorAll("[data-other-factor]")) {
  button.addEventListener("click", () => {
    if (code === null || backup === null) return;
    code.hidden = !code.hidden;
    backup.hidden = !backup.hidden;
    focusIn(code.hidden ? backup : code);
  });
}
