import { describe, expect, it } from "vitest";
import * as z from "zod";
import type { Claim, ClaimStatus } from "../../../../src/medlink/claims/claim.ts";
import { offchainPayload } from "../../../../src/medlink/claims/offchain-payload.ts";
import { readBundle } from "../../../../src/medlink/fhir/bundle.ts";
import { type ClaimDraft, readClaimResource } from "../../../../src/medlink/fhir/claim-in.ts";
import { showClaimResource, showClaimResponse } from "../../../../src/medlink/fhir/claim-out.ts";
import { takesJson, wantsMinimal } from "../../../../src/medlink/fhir/fhir-wire.ts";
import { fromFhirId, toFhirId } from "../../../../src/medlink/fhir/ids.ts";
import { claimResource, codeableConcept, money, reference } from "../../../../src/medlink/fhir/r4.ts";
import { FHIR_CLAIM } from "./sample.ts";

const BASE = "https://hub.example/fhir";
const REFERENCES = { base: BASE, entries: new Map<string, string>() };

const read = (over: Record<string, unknown> = {}, without: readonly string[] = []) => {
  const claim = Object.fromEntries(
    Object.entries({ ...FHIR_CLAIM, ...over }).filter(([name]) => !without.includes(name)),
  );
  return readClaimResource(claim, REFERENCES);
};

const draft = (over: Record<string, unknown> = {}, without: readonly string[] = []): ClaimDraft => {
  const result = read(over, without);
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return result.draft;
};

const faults = (over: Record<string, unknown>, without: readonly string[] = []) => {
  const result = read(over, without);
  return result.ok ? [] : result.issues.map(({ code, expression }) => [result.level, code, expression]);
};

describe("a FHIR Claim as the hub's claim", () => {
  it("keeps parties, kind, amount, items, diagnosis, identifier and date of service", () => {
    expect(draft()).toEqual({
      patientId: "pat_demo_1",
      providerId: "prv_demo_1",
      insurerId: "ins_demo_1",
      type: "claim",
      amountMinor: 17_550,
      currency: "CAD",
      isActive: true,
      details: {
        codes: [
          { code: "01202", description: "Recall examination", quantity: 1, unitPrice: "55.50" },
          { code: "11101", description: "Scaling", quantity: 2, unitPrice: "60.00" },
        ],
        notes: "Diagnosis: K02.1",
        diagnoses: [{ system: "http://hl7.org/fhir/sid/icd-10-ca", code: "K02.1", display: "Caries of dentine" }],
        identifiers: [{ system: "https://practice.example/claims", value: "INV-1001" }],
        serviceDate: "2026-03-12",
        category: "oral",
      },
    });
  });

  it("is a pre-authorization when that is its use, and a draft when that is its status", () => {
    expect(draft({ use: "preauthorization", status: "draft" })).toMatchObject({ type: "preauth", isActive: false });
  });

  it("adds up its items when it has no total", () => {
    expect(draft({}, ["total"])).toMatchObject({ amountMinor: 17_550 });
  });

  it("may have a total that its items do not add up to, and no items", () => {
    expect(draft({ total: { value: 10, currency: "CAD" } })).toMatchObject({ amountMinor: 1_000 });
    expect(draft({}, ["item"]).details.codes).toEqual([]);
  });

  it("reads amounts of JSON exactly, in the currency's own minor units", () => {
    expect(draft({ total: { value: 1.15, currency: "CAD" } })).toMatchObject({ amountMinor: 115 });
    const yen = { item: undefined, total: { value: 120, currency: "JPY" } };
    expect(draft(yen)).toMatchObject({ amountMinor: 120, currency: "JPY" });
  });

  it("takes references that are relative, of this server, versioned, or with our own ids", () => {
    for (const given of [
      "Patient/pat-demo-1",
      `${BASE}/Patient/pat-demo-1`,
      "Patient/pat_demo_1",
      "Patient/pat-demo-1/_history/3",
    ]) {
      expect(draft({ patient: { reference: given } })).toMatchObject({ patientId: "pat_demo_1" });
    }
  });

  it("allows primitives' extensions and elements that are not kept", () => {
    const more = {
      _created: { extension: [{ url: "urn:x" }] },
      careTeam: [{ sequence: 1, provider: { display: "x" } }],
    };
    expect(read(more).ok).toBe(true);
  });
});

describe("a Claim that R4 does not allow is refused, with the code and place of each fault", () => {
  it.each(["status", "type", "use", "patient", "created", "provider", "priority", "insurance"])(
    "without %s",
    (name) => {
      expect(faults({}, [name])).toEqual([["invalid", "required", `Claim.${name}`]]);
    },
  );

  it.each<[string, Record<string, unknown>, string, string]>([
    ["a status of its own", { status: "sent" }, "code-invalid", "Claim.status"],
    ["a use of its own", { use: "invoice" }, "code-invalid", "Claim.use"],
    [
      "a kind that its code system does not have",
      { type: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/claim-type", code: "dental" }] } },
      "code-invalid",
      "Claim.type.coding[0].code",
    ],
    ["an element that R4 does not have", { amount: 5 }, "structure", "Claim.amount"],
    ["one deep inside", { item: [{ ...FHIR_CLAIM.item[0], price: 5 }] }, "structure", "Claim.item[0].price"],
    [
      "a text where a number belongs",
      { total: { value: "175.50", currency: "CAD" } },
      "structure",
      "Claim.total.value",
    ],
    ["a currency that is none", { total: { value: 1, currency: "dollars" } }, "value", "Claim.total.currency"],
    ["a date that is none", { created: "14/03/2026" }, "value", "Claim.created"],
    [
      "an item without a sequence",
      { item: [{ productOrService: { text: "x" } }] },
      "required",
      "Claim.item[0].sequence",
    ],
    ["an item without a product", { item: [{ sequence: 1 }] }, "required", "Claim.item[0].productOrService"],
    [
      "a diagnosis that says nothing",
      { diagnosis: [{ sequence: 1 }] },
      "required",
      "Claim.diagnosis[0].diagnosisCodeableConcept",
    ],
    [
      "two forms of one choice",
      { item: [{ ...FHIR_CLAIM.item[0], servicedPeriod: {} }] },
      "structure",
      "Claim.item[0].servicedPeriod",
    ],
    [
      "insurance without coverage",
      { insurance: [{ sequence: 1, focal: true }] },
      "required",
      "Claim.insurance[0].coverage",
    ],
    ["an empty list", { item: [] }, "value", "Claim.item"],
    ["a modifier extension", { modifierExtension: [{ url: "urn:x" }] }, "extension", "Claim.modifierExtension"],
    [
      "one inside an item",
      { item: [{ ...FHIR_CLAIM.item[0], modifierExtension: [{ url: "urn:x" }] }] },
      "extension",
      "Claim.item[0].modifierExtension",
    ],
  ])("with %s", (_, over, code, expression) => {
    expect(faults(over)).toContainEqual(["invalid", code, expression]);
  });

  it("never repeats a value", () => {
    const secret = "Planted-Name-4711";
    const result = read({ status: secret, total: { value: secret }, [secret.toLowerCase()]: secret });
    expect(JSON.stringify(result).replaceAll(secret.toLowerCase(), "")).not.toContain(secret);
  });
});

describe("a Claim of R4 that this server can not keep is refused", () => {
  it.each<[string, Record<string, unknown>, string, string]>([
    ["cancelled", { status: "cancelled" }, "not-supported", "Claim.status"],
    ["a predetermination", { use: "predetermination" }, "not-supported", "Claim.use"],
    [
      "for another server's patient",
      { patient: { reference: "https://other.example/fhir/Patient/1" } },
      "business-rule",
      "Claim.patient.reference",
    ],
    [
      "for a patient who is a practitioner",
      { patient: { reference: "Practitioner/1" } },
      "business-rule",
      "Claim.patient.reference",
    ],
    ["for a patient by name", { patient: { display: "A. Tremblay" } }, "required", "Claim.patient"],
    ["with contained resources", { contained: [{ resourceType: "Patient" }] }, "not-supported", "Claim.contained"],
    [
      "in two currencies",
      { total: { value: 1, currency: "USD" } },
      "business-rule",
      "Claim.item[0].unitPrice.currency",
    ],
    ["finer than a cent", { total: { value: 1.005, currency: "CAD" } }, "value", "Claim.total.value"],
    ["below nothing", { total: { value: -1, currency: "CAD" } }, "value", "Claim.total.value"],
    [
      "with half a service",
      { item: [{ ...FHIR_CLAIM.item[0], quantity: { value: 0.5 } }] },
      "business-rule",
      "Claim.item[0].quantity.value",
    ],
    [
      "whose net is not its price",
      { item: [{ ...FHIR_CLAIM.item[0], net: { value: 1 } }] },
      "business-rule",
      "Claim.item[0].net.value",
    ],
    ["with a factor", { item: [{ ...FHIR_CLAIM.item[0], factor: 2 }] }, "not-supported", "Claim.item[0].factor"],
    [
      "with details",
      { item: [{ ...FHIR_CLAIM.item[0], detail: [{ sequence: 1, productOrService: { text: "x" } }] }] },
      "not-supported",
      "Claim.item[0].detail",
    ],
    [
      "with a diagnosis by reference",
      { diagnosis: [{ sequence: 1, diagnosisReference: { reference: "Condition/1" } }] },
      "not-supported",
      "Claim.diagnosis[0]",
    ],
    [
      "without any amount",
      { item: [{ sequence: 1, productOrService: { text: "x" } }], total: undefined },
      "required",
      "Claim.total",
    ],
  ])("%s", (_, over, code, expression) => {
    expect(faults(over)).toContainEqual(["unprocessable", code, expression]);
  });
});

const claimOf = (from: ClaimDraft, status: ClaimStatus = "submitted", more: Partial<Claim> = {}): Claim => ({
  claimId: "clm_abc234",
  clinicId: "cln_1",
  patientId: from.patientId,
  providerId: from.providerId,
  insurerId: from.insurerId,
  type: from.type,
  status,
  amount: { minor: from.amountMinor, currency: from.currency },
  details: from.details,
  requestId: "clm_abc234",
  requestIdHash: `0x${"ab".repeat(32)}`,
  lastEvent: undefined,
  createdBy: "usr_1",
  version: 3,
  createdAt: 1_773_500_000_000,
  updatedAt: 1_773_500_060_000,
  ...more,
});

describe("the hub's claim as a FHIR Claim", () => {
  it("is what came in, and valid R4", () => {
    const shown = showClaimResource(claimOf(draft(), "submitted", { requestIdHash: undefined }));
    expect(claimResource.safeParse(shown).error).toBeUndefined();
    expect(shown).toMatchObject({
      id: "clm-abc234",
      identifier: FHIR_CLAIM.identifier,
      status: "active",
      use: "claim",
      patient: FHIR_CLAIM.patient,
      provider: FHIR_CLAIM.provider,
      insurer: FHIR_CLAIM.insurer,
      diagnosis: FHIR_CLAIM.diagnosis,
      total: FHIR_CLAIM.total,
    });
    expect(shown.item?.[1]).toMatchObject({ quantity: { value: 2 }, unitPrice: { value: 60 }, net: { value: 120 } });
    expect(shown.id).toMatch(/^[A-Za-z0-9\-.]{1,64}$/);
  });

  it("comes in again as the same claim", () => {
    const once = draft();
    const again = readClaimResource(
      showClaimResource(claimOf(once, "draft", { requestIdHash: undefined })),
      REFERENCES,
    );
    expect(again).toMatchObject({ ok: true, draft: { ...once, isActive: false } });
  });

  it("is valid R4 for a claim filed in the hub, with bare codes and no diagnosis", () => {
    const plain = claimOf({ ...draft(), details: { codes: ["01202"], notes: "" } }, "draft");
    const shown = showClaimResource(plain);
    expect(claimResource.safeParse(shown).error).toBeUndefined();
    expect(shown).toMatchObject({ status: "draft", item: [{ sequence: 1, quantity: { value: 1 } }] });
    const empty = showClaimResource(claimOf({ ...draft(), details: { codes: [], notes: "" } }));
    expect(claimResource.safeParse(empty).error).toBeUndefined();
  });

  it("sends iTrans the same lines and total", () => {
    const payload = offchainPayload(claimOf(draft()));
    expect(payload.totalAmount).toBe(175.5);
    expect(payload.services.map(({ quantity, unitPrice }) => quantity * unitPrice)).toEqual([55.5, 120]);
  });
});

/** What R4 requires of a ClaimResponse, and the codes of its required bindings. */
const claimResponse = z.strictObject({
  resourceType: z.literal("ClaimResponse"),
  id: z.string().regex(/^[A-Za-z0-9\-.]{1,64}$/),
  meta: z.object({ versionId: z.string(), lastUpdated: z.iso.datetime() }),
  status: z.enum(["active", "cancelled", "draft", "entered-in-error"]),
  type: codeableConcept,
  use: z.enum(["claim", "preauthorization", "predetermination"]),
  patient: reference,
  created: z.iso.datetime(),
  insurer: reference,
  requestor: reference.optional(),
  request: reference.optional(),
  outcome: z.enum(["queued", "complete", "error", "partial"]),
  disposition: z.string().optional(),
  preAuthRef: z.string().optional(),
  total: z
    .array(z.strictObject({ category: codeableConcept, amount: money }))
    .min(1)
    .optional(),
  payment: z.strictObject({ type: codeableConcept, amount: money }).optional(),
  processNote: z
    .array(z.strictObject({ number: z.number(), type: z.enum(["display", "print", "printoper"]), text: z.string() }))
    .min(1)
    .optional(),
});

describe("the hub's claim as a ClaimResponse", () => {
  it.each<[ClaimStatus, string]>([
    ["submitted", "queued"],
    ["pending", "queued"],
    ["infoRequested", "partial"],
    ["paid", "complete"],
    ["denied", "complete"],
  ])("of status %s has the outcome %s and is valid R4", (status, outcome) => {
    const shown = showClaimResponse(claimOf(draft(), status));
    expect(claimResponse.safeParse(shown).error).toBeUndefined();
    expect(shown).toMatchObject({ outcome, request: { reference: "Claim/clm-abc234" } });
  });

  it("is none for a draft, and an error for a claim that did not get out", () => {
    expect(showClaimResponse(claimOf(draft(), "draft"))).toBeUndefined();
    const stuck = claimOf(draft(), "pending", { requestId: undefined, requestIdHash: undefined });
    expect(showClaimResponse(stuck)).toMatchObject({ outcome: "error" });
  });

  it("carries a payment for a paid claim, a reference for an approved pre-authorization, and neither for a denial", () => {
    const paid = showClaimResponse(claimOf(draft(), "paid"));
    expect(paid).toMatchObject({ payment: { amount: { value: 175.5, currency: "CAD" } } });
    expect(paid).not.toHaveProperty("preAuthRef");
    const approved = showClaimResponse(claimOf(draft({ use: "preauthorization" }), "paid"));
    expect(approved).toMatchObject({ use: "preauthorization", preAuthRef: `0x${"ab".repeat(32)}` });
    expect(approved).not.toHaveProperty("payment");
    const denied = showClaimResponse(claimOf(draft(), "denied"));
    expect(denied).toMatchObject({ disposition: "Denied.", total: [{}, { amount: { value: 0 } }] });
    expect(denied).not.toHaveProperty("payment");
  });
});

describe("a bundle", () => {
  const post = { method: "POST", url: "Claim" };

  it("names its entries by what they do, and refuses what is not done here", () => {
    const bundle = readBundle(
      {
        resourceType: "Bundle",
        type: "batch",
        entry: [
          { resource: FHIR_CLAIM, request: post },
          { resource: { resourceType: "Patient" }, request: { method: "POST", url: "Patient" } },
          { request: { method: "DELETE", url: "Claim/1" } },
          { resource: FHIR_CLAIM },
        ],
      },
      BASE,
    );
    expect(bundle).toMatchObject({ ok: true, mode: "apart", entries: [{ index: 0 }] });
    expect(bundle.ok ? [...bundle.refused].map(([index, { code }]) => [index, code]) : []).toEqual([
      [1, "not-supported"],
      [2, "not-supported"],
      [3, "required"],
    ]);
  });

  it("resolves references by its entries' full URLs", () => {
    const bundle = readBundle(
      {
        resourceType: "Bundle",
        type: "collection",
        entry: [
          { fullUrl: "urn:uuid:1", resource: { resourceType: "Patient", id: "pat-demo-1" } },
          { resource: { ...FHIR_CLAIM, patient: { reference: "urn:uuid:1" } } },
        ],
      },
      BASE,
    );
    if (!bundle.ok) throw new Error("no bundle");
    const result = readClaimResource(bundle.entries[0]?.resource, bundle.references);
    expect(result).toMatchObject({ ok: true, draft: { patientId: "pat_demo_1" } });
  });

  it.each([
    ["of a type that asks for nothing", { resourceType: "Bundle", type: "searchset" }, "unprocessable"],
    ["of no type", { resourceType: "Bundle" }, "invalid"],
    ["without a claim", { resourceType: "Bundle", type: "collection" }, "unprocessable"],
    [
      "of more claims than are taken at once",
      {
        resourceType: "Bundle",
        type: "collection",
        entry: Array.from({ length: 51 }, () => ({ resource: FHIR_CLAIM })),
      },
      "unprocessable",
    ],
  ])("%s is refused", (_, value, level) => {
    expect(readBundle(value, BASE)).toMatchObject({ ok: false, level });
  });
});

describe("what goes with a call", () => {
  it("asks for JSON, or for what is not written here", () => {
    for (const accept of [null, "*/*", "application/fhir+json", "text/html, application/json;q=0.5"]) {
      expect(takesJson(accept, null)).toBe(true);
    }
    expect(takesJson("application/fhir+xml", null)).toBe(false);
    expect(takesJson("application/fhir+xml", "json")).toBe(true);
    expect(takesJson("*/*", "xml")).toBe(false);
  });

  it("may ask for an answer without a body", () => {
    expect(wantsMinimal("handling=strict, return=minimal")).toBe(true);
    expect(wantsMinimal("return=representation")).toBe(false);
    expect(wantsMinimal(null)).toBe(false);
  });

  it("turns our ids into FHIR's and back", () => {
    for (const id of ["clm_abc234", "pat_demo_1"]) {
      expect(toFhirId(id)).toMatch(/^[A-Za-z0-9\-.]{1,64}$/);
      expect(fromFhirId(toFhirId(id))).toBe(id);
    }
  });
});
