/** Forms and buttons of components/form.view.tsx and parts.view.tsx: checked here, sent as JSON, answered beside the field. */
import { type ApiAnswer, callApi, isObject, sentenceOf } from "./api.ts";
import { say } from "./say.ts";
import { toast, toastNext } from "./toast.ts";

type Control = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

const isControl = (element: Element): element is Control =>
  element instanceof HTMLInputElement || element instanceof HTMLSelectElement || element instanceof HTMLTextAreaElement;

const controlsOf = (form: HTMLFormElement): readonly Control[] => [...form.elements].filter(isControl);

const errorSlot = (control: Control): HTMLElement | null =>
  control.closest(".field")?.querySelector("[data-error]") ?? null;

export function showFieldError(control: Control, message: string | undefined): void {
  const slot = errorSlot(control);
  if (message === undefined) control.removeAttribute("aria-invalid");
  else control.setAttribute("aria-invalid", "true");
  if (slot === null) return;
  slot.textContent = message ?? "";
  slot.hidden = message === undefined;
}

export function showFormError(form: HTMLFormElement, message: string | undefined): void {
  const slot = form.querySelector<HTMLElement>("[data-form-error]");
  if (slot === null) return;
  slot.textContent = message ?? "";
  slot.hidden = message === undefined;
}

/** What is wrong with a control, in the page's language; the browser's own words may be in another. */
function faultOf(control: Control, form: HTMLFormElement): string | undefined {
  const { validity } = control;
  if (control.dataset.required !== undefined && control.value === "") return say("field.pick");
  if (validity.valueMissing) return say(control instanceof HTMLSelectElement ? "field.choose" : "field.missing");
  if (validity.typeMismatch) return say("field.email");
  if (!(control instanceof HTMLSelectElement)) {
    const { length } = control.value;
    // tooShort is only set by a browser for what a person typed.
    if (control.minLength > 0 && length > 0 && length < control.minLength) {
      return say("field.short", { min: control.minLength });
    }
    if (control.maxLength > 0 && length > control.maxLength) return say("field.long", { max: control.maxLength });
  }
  if (validity.patternMismatch || validity.badInput) return say("field.pattern");
  if (validity.rangeOverflow || validity.rangeUnderflow || validity.stepMismatch) return say("field.range");
  const { same } = control.dataset;
  if (same !== undefined) {
    const other = form.elements.namedItem(same);
    if (other instanceof HTMLInputElement && other.value !== control.value) return say("field.same");
  }
  return undefined;
}

/** Marks what is wrong and goes to the first of it. @returns whether all is well. */
export function checkForm(form: HTMLFormElement): boolean {
  let first: Control | undefined;
  for (const control of controlsOf(form)) {
    if (control.disabled) continue;
    // What is chosen through another control is kept in a hidden one, which no one can be sent to.
    const shown = control.dataset.shownBy === undefined ? control : document.getElementById(control.dataset.shownBy);
    const fault = faultOf(control, form);
    if (!(shown instanceof Element) || !isControl(shown)) continue;
    showFieldError(shown, fault);
    if (fault !== undefined) first ??= shown;
  }
  first?.focus();
  return first === undefined;
}

function jsonOf(control: Control): unknown {
  if (control instanceof HTMLInputElement && control.type === "checkbox" && control.dataset.kind === "boolean") {
    return control.checked;
  }
  if (control.value === "") {
    const { empty } = control.dataset;
    return empty === "null" ? null : empty === "keep" ? "" : undefined;
  }
  switch (control.dataset.kind) {
    case "number":
      return Number(control.value);
    case "boolean":
      return control.value === "true";
    case "decimal":
      // French keyboards have a comma, and people group digits by spaces.
      return control.value.replace(/\s/g, "").replace(",", ".");
    default:
      return control.value;
  }
}

/**
 * The form's fields by name. Those of kind `list` that share a name become a list; those within a `[data-item]` become an object
 * in the list that its `[data-list]` names, unless all of them are empty.
 */
export function readForm(form: HTMLFormElement): Record<string, unknown> {
  const body: Record<string, unknown> = { ...jsonObject(form.dataset.fixed) };
  for (const list of form.querySelectorAll<HTMLElement>("[data-list]")) {
    const items = [...list.querySelectorAll<HTMLElement>("[data-item]")].map((item) =>
      fieldsOf([...item.querySelectorAll("input, select, textarea")].filter(isControl)),
    );
    body[list.dataset.list ?? ""] = items.filter((item) => Object.keys(item).length > 0);
  }
  return { ...body, ...fieldsOf(controlsOf(form).filter((control) => control.closest("[data-item]") === null)) };
}

function fieldsOf(controls: readonly Control[]): Record<string, unknown> {
  const body: Record<string, unknown> = {};
  for (const control of controls) {
    if (control.name === "" || control.disabled || control.dataset.same !== undefined) continue;
    if (control instanceof HTMLInputElement && control.type === "radio" && !control.checked) continue;
    if (control.dataset.kind === "list") {
      const before = body[control.name];
      const list: readonly unknown[] = Array.isArray(before) ? before : [];
      const chosen = !(control instanceof HTMLInputElement) || control.type !== "checkbox" || control.checked;
      body[control.name] = chosen && control.value !== "" ? [...list, control.value] : list;
      continue;
    }
    const value = jsonOf(control);
    if (value !== undefined) body[control.name] = value;
  }
  return body;
}

export function jsonObject(text: string | undefined): Readonly<Record<string, unknown>> {
  if (text === undefined) return {};
  const value: unknown = JSON.parse(text);
  return isObject(value) ? value : {};
}

const problemsOf = (element: HTMLElement): Record<string, string> =>
  Object.fromEntries(Object.entries(jsonObject(element.dataset.problems)).map(([code, text]) => [code, String(text)]));

/** Puts a refusal beside the fields it is about and above the button. */
export function showRefusal(form: HTMLFormElement, answer: Exclude<ApiAnswer, { type: "ok" }>): void {
  showFormError(form, sentenceOf(answer, problemsOf(form)));
  if (answer.type !== "refused") return;
  let first: Control | undefined;
  const lines: string[] = [];
  for (const { path, text = say("field.refused") } of answer.issues) {
    const item = itemAt(form, path);
    const control = item?.control ?? controlAt(form, path);
    if (control === undefined) continue;
    showFieldError(control, text);
    if (item !== undefined) lines.push(say("form.line", { line: item.line, text }));
    first ??= control;
  }
  if (lines.length > 0) showFormError(form, lines.join(" "));
  first?.focus();
}

/** What a person sees of a field: one that is chosen through another control is kept in a hidden one. */
function controlAt(form: HTMLFormElement, path: string): Control | undefined {
  const control = controlsOf(form).find(({ name }) => name !== "" && (path === name || path.startsWith(`${name}.`)));
  const shown = control?.dataset.shownBy === undefined ? control : document.getElementById(control.dataset.shownBy);
  return shown instanceof Element && isControl(shown) ? shown : undefined;
}

/** A field of a list, `lines.2` or `lines.2.paid`: lines that are empty were not sent. */
function itemAt(form: HTMLFormElement, path: string): { readonly line: number; readonly control: Control } | undefined {
  const [list = "", index = "", name] = path.split(".");
  const items = [...form.querySelectorAll(`[data-list="${CSS.escape(list)}"] [data-item]`)].map((item) =>
    [...item.querySelectorAll("input, select, textarea")].filter(isControl),
  );
  const sent = items.flatMap((controls, at) => (Object.keys(fieldsOf(controls)).length > 0 ? [{ at, controls }] : []));
  const item = /^\d+$/.test(index) ? sent[Number(index)] : undefined;
  const control = item?.controls.find((each) => name === undefined || each.name === name);
  return item === undefined || control === undefined ? undefined : { line: item.at + 1, control };
}

/** Emitted on a form or button once the API has said yes; `detail` is the answer's body. Prevented: nothing more happens. */
export const DONE = "medlink:done";

/** Does what the element asks for after a call: a toast, another page, this page again. */
export function afterCall(element: HTMLElement, body: unknown): void {
  const proceeds = element.dispatchEvent(new CustomEvent(DONE, { detail: body, bubbles: true, cancelable: true }));
  if (!proceeds) return;
  const { toast: message, go } = element.dataset;
  const unless = jsonObject(element.dataset.unless);
  if (isObject(body) && typeof unless.field === "string" && body[unless.field] === false) {
    toast(String(unless.text), "bad");
    return;
  }
  if (go === undefined) {
    if (message !== undefined) toast(message);
    return;
  }
  if (message !== undefined) toastNext(message);
  if (go === "reload") location.reload();
  else location.assign(withFields(go, body));
}

const withFields = (path: string, body: unknown): string =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(isObject(body) ? String(body[name] ?? "") : ""));

const targetOf = (text: string | undefined): { readonly method: string; readonly path: string } => {
  const [method = "POST", path = ""] = (text ?? "").split(" ");
  return { method, path };
};

async function whileBusy<Result>(button: HTMLButtonElement | null, work: () => Promise<Result>): Promise<Result> {
  button?.setAttribute("aria-busy", "true");
  if (button !== null) button.disabled = true;
  try {
    return await work();
  } finally {
    button?.removeAttribute("aria-busy");
    if (button !== null) button.disabled = false;
  }
}

async function sendForm(form: HTMLFormElement, submitter: HTMLButtonElement | null): Promise<void> {
  showFormError(form, undefined);
  if (!checkForm(form)) {
    showFormError(form, say("form.check"));
    return;
  }
  const { method, path } = targetOf(form.dataset.form);
  const answer = await whileBusy(submitter, () => callApi(method, path, readForm(form)));
  if (answer.type !== "ok") return showRefusal(form, answer);
  afterCall(form, answer.body);
}

async function callByButton(button: HTMLButtonElement): Promise<void> {
  const { method, path } = targetOf(button.dataset.call);
  const body: unknown = button.dataset.body === undefined ? undefined : JSON.parse(button.dataset.body);
  const answer = await whileBusy(button, () => callApi(method, path, body));
  if (answer.type === "ok") afterCall(button, answer.body);
  else toast(sentenceOf(answer, problemsOf(button)), "bad");
}

/** Asks in the dialog of this id. @returns whether the answer was yes. */
function confirmed(dialogId: string): Promise<boolean> {
  const dialog = document.getElementById(dialogId);
  if (!(dialog instanceof HTMLDialogElement)) return Promise.resolve(false);
  return new Promise((resolve) => {
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });
}

/** Takes over every form, call button and dialog of the page, also those that come later. */
export function startForms(): void {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!(form instanceof HTMLFormElement) || form.dataset.form === undefined || event.defaultPrevented) return;
    event.preventDefault();
    void sendForm(form, event.submitter instanceof HTMLButtonElement ? event.submitter : null);
  });
  document.addEventListener("input", (event) => {
    const { target } = event;
    if (target instanceof Element && isControl(target) && target.getAttribute("aria-invalid") === "true") {
      showFieldError(target, undefined);
    }
  });
  document.addEventListener("click", (event) => {
    if (!(event.target instanceof Element)) return;
    const button = event.target.closest("button");
    if (button === null) return;
    if (button.dataset.open !== undefined) {
      const dialog = document.getElementById(button.dataset.open);
      if (dialog instanceof HTMLDialogElement) dialog.showModal();
    } else if (button.dataset.close !== undefined) {
      button.closest("dialog")?.close();
    } else if (button.dataset.confirmed !== undefined) {
      button.closest("dialog")?.close("yes");
    } else if (button.dataset.call !== undefined) {
      const { confirm } = button.dataset;
      if (confirm === undefined) void callByButton(button);
      else void confirmed(confirm).then((yes) => (yes ? callByButton(button) : undefined));
    }
  });
}
