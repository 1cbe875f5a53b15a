/** The button "Verify in your browser": fetches a proof, checks it here, and shows each step. */
import "./lib/jitless.ts";
import { verifyEn, verifyFr } from "../i18n/messages/verify.ts";
import { fill } from "../i18n/messages.ts";
import { callApi, isObject } from "./lib/api.ts";
import { checkProof, type Memory, type Step } from "./lib/check-proof.ts";
import { language } from "./lib/say.ts";

const text: Readonly<Record<keyof typeof verifyEn, string>> = language.startsWith("fr") ? verifyFr : verifyEn;
const zone = document.documentElement.dataset.zone ?? "UTC";

const MEMORY = "medlink.log ";

function recall(origin: string): Memory | undefined {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(MEMORY + origin) ?? "null");
    if (!isObject(value)) return undefined;
    const { keys, size, root } = value;
    return typeof keys === "string" && typeof size === "number" && typeof root === "string"
      ? { keys, size, root }
      : undefined;
  } catch {
    return undefined;
  }
}

function remember(origin: string, seen: Memory): void {
  try {
    localStorage.setItem(MEMORY + origin, JSON.stringify(seen));
  } catch {
    // Without storage each check is the first.
  }
}

const number = new Intl.NumberFormat(language);
const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium", timeZone: zone });

function wordsOf({ reason, values }: Step): string {
  const shown = Object.entries(values).map(([name, value]) => [
    name,
    typeof value !== "number" ? value : name === "at" ? moment.format(value) : number.format(value),
  ]);
  return fill(text[`verify.${reason}`], Object.fromEntries(shown));
}

function element(tag: string, className: string, content: string): HTMLElement {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = content;
  return made;
}

const MARKS = { passed: "✓", failed: "✗", open: "–" } as const;

function showSteps(box: Element, steps: readonly Step[]): void {
  const failed = steps.some(({ result }) => result === "failed");
  // A first check and a missing anchor leave nothing in doubt that was promised.
  const whole = steps.every(({ result, name }) => result === "passed" || name === "memory" || name === "anchor");
  const verdict = failed ? "failed" : whole ? "passed" : "partly";
  const list = element("ol", "verify-steps", "");
  for (const one of steps) {
    const item = element("li", one.result, "");
    item.dataset.step = one.name;
    item.dataset.result = one.result;
    const mark = element("span", "mark", MARKS[one.result]);
    mark.setAttribute("aria-hidden", "true");
    const words = element("span", "words", "");
    words.append(
      element("strong", "", text[`verify.step.${one.name}`]),
      element("span", "sr", ` ${text[`verify.result.${one.result}`]}: `),
      element("span", "", ` ${wordsOf(one)}`),
    );
    item.append(mark, words);
    list.append(item);
  }
  const head = element("p", `verdict ${verdict}`, text[`verify.${verdict}`]);
  head.dataset.verdict = verdict;
  box.replaceChildren(head, list);
}

async function verify(button: HTMLButtonElement): Promise<void> {
  const box = document.querySelector("[data-verify-result]");
  if (box === null) return;
  button.disabled = true;
  box.replaceChildren(element("p", "verdict", text["verify.checking"]));
  const answer = await callApi("GET", button.dataset.verify ?? "");
  if (answer.type === "ok") {
    const { steps, memory } = await checkProof({
      received: answer.body,
      subject: button.dataset.subject ?? "",
      keys: button.dataset.keys,
      recall,
    });
    if (memory !== undefined) remember(memory.origin, memory.seen);
    showSteps(box, steps);
  } else {
    box.replaceChildren(element("p", "verdict partly", text["verify.unreadable"]));
  }
  button.disabled = false;
  const label = button.querySelector("span");
  if (label !== null && button.dataset.again !== undefined) label.textContent = button.dataset.again;
}

document.addEventListener("click", (event) => {
  const button = event.target instanceof Element ? event.target.closest("button") : null;
  if (button?.dataset.verify !== undefined) void verify(button);
});
