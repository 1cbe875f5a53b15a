/** A FHIR Claim as the hub files it: what R4 requires, then what this server can keep. */
import { DEFAULT_CURRENCY, formatMoney, parseMoney } from "../../platform/money.ts";
import {
  CLAIM_CATEGORIES,
  type ClaimDetails,
  type ClaimType,
  type Diagnosis,
  type ExternalIdentifier,
  type ProcedureCode,
} from "../claims/claim.ts";
import { idOfReference, type References, type ResourceType } from "./ids.ts";
import { expressionOf, type Issue, issuesOfZod } from "./outcome.ts";
import { CLAIM_TYPE_SYSTEM, type ClaimResource, type CodeableConcept, claimResource, type Reference } from "./r4.ts";

export interface ClaimDraft {
  readonly patientId: string;
  readonly providerId: string;
  readonly insurerId: string;
  readonly type: ClaimType;
  readonly amountMinor: number;
  readonly currency: string;
  readonly details: ClaimDetails;
  /** An active claim may be submitted by itself; a draft waits for a person. */
  readonly isActive: boolean;
}

export type ReadResult =
  | { readonly ok: true; readonly draft: ClaimDraft }
  /** `invalid`: not a Claim of R4. `unprocessable`: one, and not for this server. */
  | { readonly ok: false; readonly level: "invalid" | "unprocessable"; readonly issues: readonly Issue[] };

const MAX_CODE = 40;
const MAX_TEXT = 500;
const MAX_ITEMS = 200;
const MAX_QUANTITY = 10_000;

/** @param root the FHIRPath of the resource, for expressions. */
export function readClaimResource(value: unknown, references: References, root = "Claim"): ReadResult {
  const parsed = claimResource.safeParse(value);
  if (!parsed.success) return { ok: false, level: "invalid", issues: issuesOfZod(parsed.error, value, root) };
  const issues: Issue[] = [];
  const draft = draftOf(parsed.data, references, (code, text, path) => {
    issues.push({ code, text, expression: expressionOf(root, path) });
  });
  return draft === undefined || issues.length > 0 ? { ok: false, level: "unprocessable", issues } : { ok: true, draft };
}

type Report = (code: Issue["code"], text: string, path: readonly PropertyKey[]) => void;

function draftOf(claim: ClaimResource, references: References, report: Report): ClaimDraft | undefined {
  const { status, use } = claim;
  if (status !== "active" && status !== "draft") {
    report("not-supported", "Only an active claim or a draft can be filed.", ["status"]);
  }
  if (use === "predetermination") {
    report("not-supported", "This server takes claims and preauthorizations.", ["use"]);
  }
  if (claim.contained !== undefined) {
    report("not-supported", "Contained resources are not taken; refer to this server's.", ["contained"]);
  }
  const party = (reference: Reference | undefined, type: ResourceType, path: string): string | undefined => {
    if (reference?.reference === undefined) {
      report("required", `A literal reference to a ${type} of this server is needed.`, [path]);
      return undefined;
    }
    const id = idOfReference(reference.reference, type, references);
    if (id === undefined) report("business-rule", `It names no ${type} of this server.`, [path, "reference"]);
    return id;
  };
  const patientId = party(claim.patient, "Patient", "patient");
  const providerId = party(claim.provider, "Practitioner", "provider");
  const insurerId = party(claim.insurer, "Organization", "insurer");
  const currency = currencyOf(claim, report);
  const items = (claim.item ?? []).map((item, index) => readItem(item, index, currency, report));
  if (items.length > MAX_ITEMS) report("too-long", `A claim has at most ${MAX_ITEMS} items.`, ["item"]);
  const amountMinor = totalOf(claim, items, currency, report);
  const details = detailsOf(claim, items, report);
  if (patientId === undefined || providerId === undefined || insurerId === undefined || amountMinor === undefined) {
    return undefined;
  }
  return {
    patientId,
    providerId,
    insurerId,
    type: use === "claim" ? "claim" : "preauth",
    amountMinor,
    currency,
    details,
    isActive: status === "active",
  };
}

/** Every amount of a claim is in one currency. */
function currencyOf(claim: ClaimResource, report: Report): string {
  const named = [
    { currency: claim.total?.currency, path: ["total", "currency"] },
    ...(claim.item ?? []).flatMap(({ unitPrice, net }, index) => [
      { currency: unitPrice?.currency, path: ["item", index, "unitPrice", "currency"] },
      { currency: net?.currency, path: ["item", index, "net", "currency"] },
    ]),
  ];
  const currency = named.find((each) => each.currency !== undefined)?.currency ?? DEFAULT_CURRENCY;
  for (const each of named) {
    if (each.currency !== undefined && each.currency !== currency) {
      report("business-rule", "A claim is in one currency.", each.path);
    }
  }
  return currency;
}

interface ReadItem {
  readonly code: ProcedureCode;
  /** Of the line; undefined when no price is given. */
  readonly netMinor: number | undefined;
  readonly date: string | undefined;
}

type Item = NonNullable<ClaimResource["item"]>[number];

function readItem(item: Item, index: number, currency: string, report: Report): ReadItem {
  const at = (name: string, ...more: readonly PropertyKey[]) => ["item", index, name, ...more];
  const { code, description } = conceptOf(item.productOrService) ?? {};
  if (code === undefined) report("required", "A code is needed.", at("productOrService"));
  else if (code.length > MAX_CODE)
    report("too-long", `A code has at most ${MAX_CODE} characters.`, at("productOrService"));
  const quantity = item.quantity?.value ?? 1;
  if (!Number.isInteger(quantity) || quantity < 1 || quantity > MAX_QUANTITY) {
    report("business-rule", `A quantity is a whole number from 1 to ${MAX_QUANTITY}.`, at("quantity", "value"));
  }
  if (item.factor !== undefined && item.factor !== 1) {
    report("not-supported", "Factors are not kept; give the price after it.", at("factor"));
  }
  if (item.detail !== undefined) report("not-supported", "Details are not kept; give each as an item.", at("detail"));
  const unitMinor = minorOf(item.unitPrice, currency, at("unitPrice", "value"), report);
  const givenNet = minorOf(item.net, currency, at("net", "value"), report);
  const netMinor = unitMinor === undefined ? givenNet : unitMinor * quantity;
  if (givenNet !== undefined && netMinor !== givenNet) {
    report("business-rule", "The net is not quantity times unit price.", at("net", "value"));
  }
  const unit = unitMinor ?? (netMinor === undefined || netMinor % quantity !== 0 ? undefined : netMinor / quantity);
  if (netMinor !== undefined && unit === undefined) {
    report("business-rule", "The net does not divide by the quantity; give the unit price.", at("net", "value"));
  }
  return {
    code: {
      code: code ?? "",
      ...(description === undefined ? {} : { description: description.slice(0, MAX_TEXT) }),
      quantity,
      ...(unit === undefined ? {} : { unitPrice: formatMoney({ minor: unit, currency }) }),
    },
    netMinor,
    date: item.servicedDate ?? item.servicedPeriod?.start,
  };
}

function minorOf(
  amount: { readonly value?: number | undefined } | undefined,
  currency: string,
  path: readonly PropertyKey[],
  report: Report,
): number | undefined {
  if (amount === undefined) return undefined;
  if (amount.value === undefined) {
    report("required", "The amount has no value.", path);
    return undefined;
  }
  const parsed = parseMoney(amount.value, currency);
  if (parsed === undefined) report("value", "This is no amount of the currency.", path);
  return parsed?.minor;
}

/** Services need not add up to the total: real claims do not. Without a total they are it. */
function totalOf(
  claim: ClaimResource,
  items: readonly ReadItem[],
  currency: string,
  report: Report,
): number | undefined {
  if (claim.total !== undefined) return minorOf(claim.total, currency, ["total", "value"], report);
  const nets = items.map(({ netMinor }) => netMinor ?? Number.NaN);
  const sum = nets.reduce((total, net) => total + net, 0);
  if (nets.length > 0 && Number.isSafeInteger(sum)) return sum;
  report("required", "A total is needed, or a price of every item.", ["total"]);
  return undefined;
}

/** A coding's code, else the text; a description, where there is one beside it. */
function conceptOf({
  coding,
  text,
}: CodeableConcept):
  | { readonly system: string | undefined; readonly code: string; readonly description: string | undefined }
  | undefined {
  const chosen = coding?.find(({ code }) => code !== undefined);
  if (chosen?.code !== undefined) {
    return { system: chosen.system, code: chosen.code, description: chosen.display ?? text };
  }
  return text === undefined ? undefined : { system: undefined, code: text, description: undefined };
}

const FULL_DATE = /^\d{4}-\d{2}-\d{2}/;

function detailsOf(claim: ClaimResource, items: readonly ReadItem[], report: Report): ClaimDetails {
  const diagnoses = diagnosesOf(claim, report);
  const identifiers = (claim.identifier ?? []).flatMap(({ system, value }): readonly ExternalIdentifier[] =>
    value === undefined ? [] : [{ ...(system === undefined ? {} : { system }), value }],
  );
  const dates = [...items.map(({ date }) => date), claim.billablePeriod?.start]
    .map((date) => FULL_DATE.exec(date ?? "")?.[0])
    .filter((date) => date !== undefined);
  const [serviceDate] = dates.sort();
  const category = claim.type.coding?.find(({ system }) => system === CLAIM_TYPE_SYSTEM)?.code;
  return {
    codes: items.map(({ code }) => code),
    // The hub's claim has no other place that insurers read.
    notes: diagnoses.length === 0 ? "" : `Diagnosis: ${diagnoses.map(({ code }) => code).join(", ")}`,
    ...(diagnoses.length === 0 ? {} : { diagnoses }),
    ...(identifiers.length === 0 ? {} : { identifiers }),
    ...(serviceDate === undefined ? {} : { serviceDate }),
    category: CLAIM_CATEGORIES.find((each) => each === category),
  };
}

function diagnosesOf(claim: ClaimResource, report: Report): readonly Diagnosis[] {
  return (claim.diagnosis ?? []).flatMap(({ diagnosisCodeableConcept }, index) => {
    const concept = diagnosisCodeableConcept === undefined ? undefined : conceptOf(diagnosisCodeableConcept);
    if (concept === undefined) {
      report("not-supported", "A diagnosis is given as a code.", ["diagnosis", index]);
      return [];
    }
    const { system, code, description: display } = concept;
    if (code.length > MAX_CODE) {
      report("too-long", `A code has at most ${MAX_CODE} characters.`, ["diagnosis", index]);
    }
    return [{ code, ...(system === undefined ? {} : { system }), ...(display === undefined ? {} : { display }) }];
  });
}

/** How a claim is known to whoever sent it; the first identifier with a value. */
export const identifierOf = ({ details }: ClaimDraft): ExternalIdentifier | undefined => details.identifiers?.[0];

/** As the search parameter `identifier` writes it. */
export const identifierToken = ({ system, value }: ExternalIdentifier): string =>
  system === undefined ? value : `${system}|${value}`;
