/**
 * The structure of FHIR R4 (4.0.1) resources that are taken here: every element that R4 knows, its type and cardinality, and
 * the codes of required bindings. What R4 does not know is refused; what we do not keep is allowed.
 */
import * as z from "zod";
import { CLAIM_CATEGORIES } from "../claims/claim.ts";

type Shape = Readonly<Record<string, z.ZodType>>;

const say = (fhir: "structure" | "required" | "code-invalid" | "extension", message: string, path: PropertyKey[]) =>
  ({ code: "custom", params: { fhir }, message, path }) as const;

/** An object with these elements; each primitive may have its `_name` beside it. */
function element<Elements extends Shape>(elements: Elements) {
  const shape = { id: z.string().optional(), extension: z.array(extension).optional(), ...elements };
  return z.looseObject(shape).superRefine((value, context) => {
    for (const name of Object.keys(value)) {
      const known = Object.hasOwn(shape, name) || (name.startsWith("_") && Object.hasOwn(shape, name.slice(1)));
      if (!known) context.addIssue(say("structure", "FHIR R4 has no such element here.", [name]));
    }
  });
}

/** Extensions that change the meaning of what they stand on must be understood, and none is here. */
const modifierExtension = z
  .array(z.unknown())
  .optional()
  .superRefine((value, context) => {
    if (value !== undefined) context.addIssue(say("extension", "This modifier extension is not understood here.", []));
  });

const backbone = <Elements extends Shape>(elements: Elements) => element({ modifierExtension, ...elements });

const list = <Item extends z.ZodType>(item: Item) => z.array(item).min(1).optional();

/** At most one of a choice's forms, or exactly one. */
const choice =
  (forms: readonly string[], required: boolean) =>
  (value: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void => {
    const given = forms.filter((form) => value[form] !== undefined);
    const [name = ""] = forms;
    if (given.length > 1)
      context.addIssue(say("structure", `Only one of ${forms.join(", ")} may be given.`, [given[1] ?? name]));
    if (required && given.length === 0)
      context.addIssue(say("required", `One of ${forms.join(", ")} is missing.`, [name]));
  };

const extension: z.ZodType = z.looseObject({ url: z.string().min(1) });
const text = z.string().min(1).max(1_048_576);
const uri = z.string().regex(/^\S+$/);
const code = z.string().regex(/^\S+( \S+)*$/);
const positiveInt = z.number().int().min(1);
const unsupported = z.unknown();

const DATE = "[0-9]{4}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12][0-9]|3[01])";
const TIME = "T(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\\.[0-9]+)?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])";
const date = z.string().regex(new RegExp(`^${DATE})?)?$`));
const dateTime = z.string().regex(new RegExp(`^${DATE}(?:${TIME})?)?)?$`));

const coding = element({
  system: uri.optional(),
  version: text.optional(),
  code: code.optional(),
  display: text.optional(),
  userSelected: z.boolean().optional(),
});

export const codeableConcept = element({ coding: list(coding), text: text.optional() });
export type CodeableConcept = z.output<typeof codeableConcept>;

const period = element({ start: dateTime.optional(), end: dateTime.optional() });

const identifierElements = {
  use: z.enum(["usual", "official", "temp", "secondary", "old"]).optional(),
  type: codeableConcept.optional(),
  system: uri.optional(),
  value: text.optional(),
  period: period.optional(),
  assigner: unsupported.optional(),
};
const identifier = element(identifierElements);

export const reference = element({
  reference: text.optional(),
  type: uri.optional(),
  identifier: identifier.optional(),
  display: text.optional(),
});
export type Reference = z.output<typeof reference>;

export const money = element({
  value: z.number().optional(),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/)
    .optional(),
});

/** SimpleQuantity: a quantity without a comparator. */
const quantity = element({
  value: z.number().optional(),
  unit: text.optional(),
  system: uri.optional(),
  code: code.optional(),
});

const detail = {
  sequence: positiveInt,
  revenue: codeableConcept.optional(),
  category: codeableConcept.optional(),
  productOrService: codeableConcept,
  modifier: list(codeableConcept),
  programCode: list(codeableConcept),
  quantity: quantity.optional(),
  unitPrice: money.optional(),
  factor: z.number().optional(),
  net: money.optional(),
  udi: list(reference),
};

const item = backbone({
  ...detail,
  careTeamSequence: list(positiveInt),
  diagnosisSequence: list(positiveInt),
  procedureSequence: list(positiveInt),
  informationSequence: list(positiveInt),
  servicedDate: date.optional(),
  servicedPeriod: period.optional(),
  locationCodeableConcept: codeableConcept.optional(),
  locationAddress: unsupported.optional(),
  locationReference: reference.optional(),
  bodySite: codeableConcept.optional(),
  subSite: list(codeableConcept),
  encounter: list(reference),
  detail: list(backbone({ ...detail, subDetail: list(backbone(detail)) })),
})
  .superRefine(choice(["servicedDate", "servicedPeriod"], false))
  .superRefine(choice(["locationCodeableConcept", "locationAddress", "locationReference"], false));

const diagnosis = backbone({
  sequence: positiveInt,
  diagnosisCodeableConcept: codeableConcept.optional(),
  diagnosisReference: reference.optional(),
  type: list(codeableConcept),
  onAdmission: codeableConcept.optional(),
  packageCode: codeableConcept.optional(),
}).superRefine(choice(["diagnosisCodeableConcept", "diagnosisReference"], true));

const procedure = backbone({
  sequence: positiveInt,
  type: list(codeableConcept),
  date: dateTime.optional(),
  procedureCodeableConcept: codeableConcept.optional(),
  procedureReference: reference.optional(),
  udi: list(reference),
}).superRefine(choice(["procedureCodeableConcept", "procedureReference"], true));

const supportingInfo = backbone({
  sequence: positiveInt,
  category: codeableConcept,
  code: codeableConcept.optional(),
  timingDate: date.optional(),
  timingPeriod: period.optional(),
  valueBoolean: z.boolean().optional(),
  valueString: text.optional(),
  valueQuantity: unsupported.optional(),
  valueAttachment: unsupported.optional(),
  valueReference: reference.optional(),
  reason: codeableConcept.optional(),
})
  .superRefine(choice(["timingDate", "timingPeriod"], false))
  .superRefine(choice(["valueBoolean", "valueString", "valueQuantity", "valueAttachment", "valueReference"], false));

const insurance = backbone({
  sequence: positiveInt,
  focal: z.boolean(),
  identifier: identifier.optional(),
  coverage: reference,
  businessArrangement: text.optional(),
  preAuthRef: list(text),
  claimResponse: reference.optional(),
});

export const CLAIM_TYPE_SYSTEM = "http://terminology.hl7.org/CodeSystem/claim-type";

/** The binding is extensible: another system's code may stand there, a code that this system does not have may not. */
const claimType = codeableConcept.superRefine((value, context) => {
  value.coding?.forEach(({ system, code: given }, index) => {
    const known: readonly (string | undefined)[] = CLAIM_CATEGORIES;
    if (system === CLAIM_TYPE_SYSTEM && !known.includes(given)) {
      context.addIssue(say("code-invalid", "The code is not one of its code system.", ["coding", index, "code"]));
    }
  });
});

export const claimResource = backbone({
  resourceType: z.literal("Claim"),
  meta: unsupported.optional(),
  implicitRules: z.never({ error: "not understood" }).optional(),
  language: code.optional(),
  text: unsupported.optional(),
  contained: list(unsupported),
  identifier: list(identifier),
  status: z.enum(["active", "cancelled", "draft", "entered-in-error"]),
  type: claimType,
  subType: codeableConcept.optional(),
  use: z.enum(["claim", "preauthorization", "predetermination"]),
  patient: reference,
  billablePeriod: period.optional(),
  created: dateTime,
  enterer: reference.optional(),
  insurer: reference.optional(),
  provider: reference,
  priority: codeableConcept,
  fundsReserve: codeableConcept.optional(),
  related: list(
    backbone({
      claim: reference.optional(),
      relationship: codeableConcept.optional(),
      reference: identifier.optional(),
    }),
  ),
  prescription: reference.optional(),
  originalPrescription: reference.optional(),
  payee: backbone({ type: codeableConcept, party: reference.optional() }).optional(),
  referral: reference.optional(),
  facility: reference.optional(),
  careTeam: list(
    backbone({
      sequence: positiveInt,
      provider: reference,
      responsible: z.boolean().optional(),
      role: codeableConcept.optional(),
      qualification: codeableConcept.optional(),
    }),
  ),
  supportingInfo: list(supportingInfo),
  diagnosis: list(diagnosis),
  procedure: list(procedure),
  insurance: z.array(insurance).min(1),
  accident: backbone({
    date,
    type: codeableConcept.optional(),
    locationAddress: unsupported.optional(),
    locationReference: reference.optional(),
  })
    .superRefine(choice(["locationAddress", "locationReference"], false))
    .optional(),
  item: list(item),
  total: money.optional(),
});

export type ClaimResource = z.output<typeof claimResource>;

/** Entries' resources are looked at one by one. */
export const bundleResource = element({
  resourceType: z.literal("Bundle"),
  meta: unsupported.optional(),
  implicitRules: z.never().optional(),
  language: code.optional(),
  identifier: identifier.optional(),
  type: z.enum([
    ...(["document", "message", "transaction", "transaction-response", "batch", "batch-response"] as const),
    ...(["history", "searchset", "collection"] as const),
  ]),
  timestamp: z.string().optional(),
  total: z.number().int().min(0).optional(),
  link: list(unsupported),
  entry: list(
    backbone({
      link: list(unsupported),
      fullUrl: uri.optional(),
      resource: z.looseObject({ resourceType: code, id: z.string().optional() }).optional(),
      search: unsupported.optional(),
      request: backbone({
        method: z.enum(["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]),
        url: uri,
        ifNoneMatch: text.optional(),
        ifModifiedSince: text.optional(),
        ifMatch: text.optional(),
        ifNoneExist: text.optional(),
      }).optional(),
      response: unsupported.optional(),
    }),
  ),
  signature: unsupported.optional(),
});

export type BundleResource = z.output<typeof bundleResource>;
