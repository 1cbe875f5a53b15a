/** A file of claims: a dry run, its report, then the filing of what is good. */
import { bulkEn, bulkFr } from "../i18n/messages/bulk.ts";
import { fill } from "../i18n/messages.ts";
import { callFile, isObject, ruleText, sentenceOf } from "./lib/api.ts";
import { showFieldError } from "./lib/forms.ts";
import { language, say } from "./lib/say.ts";

const text: Readonly<Record<keyof typeof bulkEn, string>> = language.startsWith("fr") ? bulkFr : bulkEn;
const number = new Intl.NumberFormat(language);

const form = document.querySelector<HTMLFormElement>("#bulk-form");
const input = form?.querySelector<HTMLInputElement>("input[type=file]");
const report = document.getElementById("bulk-report");
const file = form?.querySelector<HTMLButtonElement>("[data-dry-run=false]");

interface Row {
  readonly row: number;
  readonly result: "valid" | "filed" | "filed_before" | "duplicate" | "invalid";
  readonly claimId: string | undefined;
  readonly sameAsRow: number | undefined;
  readonly faults: readonly string[];
}

const RESULTS = ["valid", "filed", "filed_before", "duplicate", "invalid"] as const;
const TONES = { valid: "good", filed: "good", filed_before: "neutral", duplicate: "warn", invalid: "bad" } as const;

function readRow(value: unknown): Row | undefined {
  if (!isObject(value) || typeof value.row !== "number") return undefined;
  const result = RESULTS.find((name) => name === value.result);
  if (result === undefined) return undefined;
  const faults = Array.isArray(value.faults) ? value.faults.filter(isObject) : [];
  return {
    row: value.row,
    result,
    claimId: typeof value.claimId === "string" ? value.claimId : undefined,
    sameAsRow: typeof value.sameAsRow === "number" ? value.sameAsRow : undefined,
    faults: faults.map((fault) => {
      const said = ruleText(fault) ?? say("field.refused");
      return fault.column === "" ? said : `${String(fault.column)}: ${said}`;
    }),
  };
}

function cell(tag: "td" | "th", label: string, ...content: (string | Node)[]): HTMLElement {
  const made = document.createElement(tag);
  if (tag === "th") made.setAttribute("scope", "row");
  made.dataset.label = label;
  made.append(...content);
  return made;
}

function rowElement(row: Row): HTMLElement {
  const badge = document.createElement("span");
  badge.className = `badge ${TONES[row.result]}`;
  badge.textContent = fill(text[`bulkReport.${row.result}`], { row: row.sameAsRow ?? 0 });
  const what: (string | Node)[] = [];
  if (row.claimId !== undefined) {
    const link = document.createElement("a");
    link.href = `/claims/${encodeURIComponent(row.claimId)}`;
    link.textContent = row.claimId;
    what.push(link);
  }
  for (const said of row.faults) {
    const fault = document.createElement("div");
    fault.textContent = said;
    what.push(fault);
  }
  const made = document.createElement("tr");
  made.append(
    cell("th", text["bulkReport.row"], number.format(row.row)),
    cell("td", text["bulkReport.result"], badge),
    cell("td", text["bulkReport.what"], ...what),
  );
  return made;
}

function showReport(body: unknown, dryRun: boolean): number {
  const rows =
    isObject(body) && Array.isArray(body.rows) ? body.rows.map(readRow).filter((row) => row !== undefined) : [];
  const of = (result: Row["result"]): number => rows.filter((row) => row.result === result).length;
  const queued = isObject(body) && typeof body.queued === "number" ? body.queued : 0;
  const head = document.createElement("p");
  head.className = `verdict ${of("invalid") > 0 ? "partly" : "passed"}`;
  head.textContent = dryRun
    ? fill(text["bulkReport.checked"], {
        good: number.format(of("valid")),
        bad: number.format(rows.length - of("valid")),
      })
    : fill(text["bulkReport.done"], { filed: number.format(of("filed")), queued: number.format(queued) });
  const table = document.createElement("table");
  const caption = table.createCaption();
  caption.className = "sr";
  caption.textContent = text["bulkReport.caption"];
  const header = table.createTHead().insertRow();
  for (const key of ["row", "result", "what"] as const) {
    const heading = document.createElement("th");
    heading.scope = "col";
    heading.textContent = text[`bulkReport.${key}`];
    header.append(heading);
  }
  table.createTBody().append(...rows.map(rowElement));
  const box = document.createElement("div");
  box.className = "card flush table-box spaced";
  box.append(table);
  report?.replaceChildren(head, box);
  return of("valid");
}

form?.addEventListener("submit", (event) => {
  event.preventDefault();
  const chosen = input?.files?.[0];
  if (input == null || file == null) return;
  showFieldError(input, chosen === undefined ? say("field.missing") : undefined);
  const button = event.submitter;
  if (chosen === undefined || !(button instanceof HTMLButtonElement)) return;
  void send(input, file, chosen, button);
});

async function send(field: HTMLInputElement, filing: HTMLButtonElement, chosen: File, button: HTMLButtonElement) {
  const dryRun = button.dataset.dryRun !== "false";
  button.disabled = true;
  const answer = await callFile(`/api/claims/bulk?dryRun=${dryRun}`, chosen, "text/csv");
  button.disabled = false;
  if (answer.type !== "ok") {
    report?.replaceChildren();
    filing.disabled = true;
    showFieldError(field, sentenceOf(answer, { invalid_body: text["bulkReport.noFile"] }));
    return;
  }
  const good = showReport(answer.body, dryRun);
  filing.disabled = !dryRun || good === 0;
}

input?.addEventListener("change", () => {
  if (file != null) file.disabled = true;
  report?.replaceChildren();
});
