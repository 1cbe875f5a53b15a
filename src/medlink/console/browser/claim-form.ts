/** The form of a claim: finding the patient, rows of procedures, and their sum. */
import { callApi, isObject } from "./lib/api.ts";
import { showFieldError } from "./lib/forms.ts";

const form = document.querySelector<HTMLFormElement>("#claim-form");
const amount = form?.querySelector<HTMLInputElement>("[name=amount]") ?? null;

const SEARCH_AFTER_MS = 180;
const SHOWN = 8;

interface Choice {
  readonly value: string;
  readonly label: string;
  readonly note: string;
}

function startPicker(field: HTMLElement): void {
  const input = field.querySelector<HTMLInputElement>("[role=combobox]");
  const hidden = field.querySelector<HTMLInputElement>("input[type=hidden]");
  const list = field.querySelector<HTMLElement>("[role=listbox]");
  if (input === null || hidden === null || list === null) return;
  let choices: readonly Choice[] = [];
  let active = -1;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asked = 0;

  const close = (): void => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    active = -1;
  };
  const mark = (index: number): void => {
    active = index;
    for (const [i, option] of [...list.children].entries()) option.setAttribute("aria-selected", String(i === index));
    const option = list.children[index];
    if (option === undefined) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    }
  };
  const choose = (choice: Choice): void => {
    hidden.value = choice.value;
    input.value = choice.label;
    showFieldError(input, undefined);
    close();
  };
  const show = (): void => {
    list.replaceChildren(
      ...choices.map((choice, i) => {
        const option = document.createElement("div");
        option.id = `${list.id}-${i}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        const note = document.createElement("small");
        note.textContent = choice.note;
        option.append(choice.label, " ", note);
        option.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          choose(choice);
        });
        return option;
      }),
    );
    list.hidden = choices.length === 0;
    input.setAttribute("aria-expanded", String(choices.length > 0));
    active = -1;
  };
  const search = async (): Promise<void> => {
    const mine = ++asked;
    const q = input.value.trim();
    const answer = await callApi("POST", field.dataset.picker ?? "", { limit: SHOWN, ...(q === "" ? {} : { q }) });
    if (mine !== asked || document.activeElement !== input) return;
    choices = answer.type === "ok" ? choicesOf(answer.body) : [];
    show();
  };
  const searchSoon = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => void search(), SEARCH_AFTER_MS);
  };
  input.addEventListener("input", () => {
    hidden.value = "";
    // What was found for other words must not be chosen now: it would be another patient.
    asked += 1;
    choices = [];
    close();
    searchSoon();
  });
  input.addEventListener("focus", () => {
    if (hidden.value === "") searchSoon();
  });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) return searchSoon();
      const step = event.key === "ArrowDown" ? 1 : -1;
      mark((active + step + choices.length) % Math.max(1, choices.length));
    } else if (event.key === "Enter" && !list.hidden) {
      event.preventDefault();
      const choice = choices[active] ?? (choices.length === 1 ? choices[0] : undefined);
      if (choice !== undefined) choose(choice);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    }
  });
}

function choicesOf(body: unknown): readonly Choice[] {
  const patients = isObject(body) && Array.isArray(body.patients) ? body.patients.filter(isObject) : [];
  return patients.map(({ patientId, firstName, lastName, birthDate }) => ({
    value: String(patientId),
    label: `${firstName} ${lastName}`,
    note: typeof birthDate === "string" ? birthDate : "",
  }));
}

const amountOf = (text: string): number | undefined => {
  const plain = text.replace(/\s/g, "").replace(",", ".");
  return /^\d+(\.\d{1,2})?$/.test(plain) ? Math.round(Number(plain) * 100) : undefined;
};

/** In cents; undefined while a row that has a code has no price. */
function sumOf(rows: readonly Element[]): number | undefined {
  let sum: number | undefined;
  for (const row of rows) {
    const value = (name: string): string => row.querySelector<HTMLInputElement>(`[name=${name}]`)?.value ?? "";
    if (value("code").trim() === "" && value("unitPrice").trim() === "") continue;
    const price = amountOf(value("unitPrice"));
    if (price === undefined) return undefined;
    sum = (sum ?? 0) + price * (value("quantity") === "" ? 1 : Number(value("quantity")));
  }
  return sum;
}

function startRows(list: HTMLElement): void {
  const rows = list.querySelector("[data-rows]");
  const template = list.querySelector<HTMLTemplateElement>("template[data-row]");
  let written = amount?.value ?? "";
  const sum = (): void => {
    // An amount that someone wrote stays.
    if (rows === null || amount === null || amount.value !== written) return;
    const cents = sumOf([...rows.children]);
    if (cents === undefined) return;
    amount.value = (cents / 100).toFixed(2);
    written = amount.value;
    showFieldError(amount, undefined);
  };
  list.addEventListener("input", sum);
  list.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button === null || rows === null || template === null) return;
    if (button.dataset.addRow !== undefined) {
      rows.append(template.content.cloneNode(true));
      rows.lastElementChild?.querySelector("input")?.focus();
    } else if (button.dataset.removeRow !== undefined) {
      const row = button.closest("[data-item]");
      if (rows.children.length === 1) for (const input of row?.querySelectorAll("input") ?? []) input.value = "";
      else row?.remove();
      sum();
    }
  });
}

for (const field of document.querySelectorAll<HTMLElement>("[data-picker]")) startPicker(field);
for (const list of document.querySelectorAll<HTMLElement>("[data-list]")) startRows(list);
