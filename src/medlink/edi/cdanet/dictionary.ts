/**
 * Fields of CDAnet messages, version 4: format and width of each, and the order in which each transaction has them. They
 * follow what practice software of public record sends and reads; the standard itself is the Canadian Dental Association's.
 */

/** N digits; D an amount in cents; A letters; AN letters and digits; AE and AEN the same with accents. */
export type Format = "N" | "D" | "A" | "AN" | "AE" | "AEN";

interface Field {
  readonly format: Format;
  readonly width: number;
  readonly name: string;
}

const field = (format: Format, width: number, name: string): Field => ({ format, width, name });

export const FIELDS = {
  A01: field("AN", 12, "transaction prefix"),
  A02: field("N", 6, "office sequence number"),
  A03: field("N", 2, "format version"),
  A04: field("N", 2, "transaction code"),
  A05: field("N", 6, "carrier identification"),
  A06: field("AN", 3, "software system"),
  A07: field("N", 5, "message length"),
  A08: field("AN", 1, "materials forwarded"),
  A09: field("N", 5, "carrier transaction counter"),
  A10: field("N", 1, "encryption method"),
  A11: field("A", 1, "mailbox indicator"),
  B01: field("AN", 9, "provider number"),
  B02: field("AN", 4, "provider office"),
  B03: field("AN", 9, "billing provider number"),
  B04: field("AN", 4, "billing office"),
  B05: field("AN", 10, "referring provider"),
  B06: field("N", 2, "referral reason"),
  C01: field("AN", 12, "policy number"),
  C02: field("AN", 12, "subscriber identification"),
  C03: field("N", 1, "relationship"),
  C04: field("A", 1, "patient's sex"),
  C05: field("N", 8, "patient's birthday"),
  C06: field("AE", 25, "patient's last name"),
  C07: field("AE", 15, "patient's first name"),
  C08: field("AE", 1, "patient's middle initial"),
  C09: field("N", 1, "eligibility exception"),
  C10: field("AEN", 25, "name of school"),
  C11: field("AN", 10, "division"),
  C12: field("A", 1, "plan flag"),
  C17: field("N", 2, "dependant code"),
  C18: field("N", 1, "plan record count"),
  C19: field("AN", 30, "plan record"),
  D01: field("N", 8, "subscriber's birthday"),
  D02: field("AE", 25, "subscriber's last name"),
  D03: field("AE", 15, "subscriber's first name"),
  D04: field("AE", 1, "subscriber's middle initial"),
  D05: field("AEN", 30, "address line 1"),
  D06: field("AEN", 30, "address line 2"),
  D07: field("AEN", 20, "city"),
  D08: field("A", 2, "province"),
  D09: field("AN", 9, "postal code"),
  D10: field("A", 1, "language"),
  D11: field("N", 2, "card sequence"),
  E01: field("N", 6, "secondary carrier"),
  E02: field("AN", 12, "secondary policy"),
  E03: field("AN", 12, "secondary subscriber identification"),
  E04: field("N", 8, "secondary subscriber's birthday"),
  E05: field("AN", 10, "secondary division"),
  E06: field("N", 1, "secondary relationship"),
  E07: field("N", 2, "secondary card sequence"),
  E08: field("AE", 25, "secondary subscriber's last name"),
  E09: field("AE", 15, "secondary subscriber's first name"),
  E10: field("AE", 1, "secondary subscriber's middle initial"),
  E11: field("AEN", 30, "secondary address line 1"),
  E12: field("AEN", 30, "secondary address line 2"),
  E13: field("AEN", 20, "secondary city"),
  E14: field("A", 2, "secondary province"),
  E15: field("AN", 9, "secondary postal code"),
  E16: field("A", 1, "secondary language"),
  E17: field("N", 2, "secondary dependant code"),
  E18: field("A", 1, "secondary coverage"),
  E19: field("N", 6, "secondary carrier transaction counter"),
  E20: field("N", 1, "secondary record count"),
  F01: field("N", 1, "payee"),
  F02: field("N", 8, "accident date"),
  F03: field("AN", 14, "predetermination number"),
  F04: field("N", 8, "initial placement upper date"),
  F05: field("A", 1, "orthodontic purposes"),
  F06: field("N", 1, "number of procedures"),
  F07: field("N", 1, "procedure line"),
  F08: field("AN", 5, "procedure code"),
  F09: field("N", 8, "date of service"),
  F10: field("N", 2, "tooth, sextant, quadrant or arch"),
  F11: field("A", 5, "tooth surface"),
  F12: field("D", 6, "fee claimed"),
  F13: field("D", 6, "laboratory fee 1"),
  F15: field("A", 1, "initial placement upper"),
  F16: field("A", 5, "procedure type codes"),
  F17: field("N", 2, "remarks code"),
  F18: field("A", 1, "initial placement lower"),
  F19: field("N", 8, "initial placement lower date"),
  F20: field("N", 1, "maxillary prosthesis material"),
  F21: field("N", 1, "mandibular prosthesis material"),
  F22: field("N", 2, "extracted teeth count"),
  F23: field("N", 2, "extracted tooth"),
  F24: field("N", 8, "extraction date"),
  F25: field("N", 1, "orthodontic record flag"),
  F26: field("D", 6, "first examination fee"),
  F27: field("D", 6, "diagnostic phase fee"),
  F28: field("D", 6, "initial payment"),
  F29: field("N", 1, "payment mode"),
  F30: field("N", 2, "treatment duration"),
  F31: field("N", 2, "anticipated payments"),
  F32: field("D", 6, "anticipated payment amount"),
  F34: field("AN", 5, "laboratory procedure 1"),
  F35: field("AN", 5, "laboratory procedure 2"),
  F36: field("D", 6, "laboratory fee 2"),
  F37: field("N", 8, "estimated treatment start"),
  G01: field("AN", 14, "carrier's reference"),
  G02: field("D", 6, "eligible laboratory amount 2"),
  G03: field("N", 8, "expected payment date"),
  G04: field("D", 7, "total of service"),
  G05: field("A", 1, "response status"),
  G06: field("N", 2, "number of error codes"),
  G07: field("AEN", 75, "disposition"),
  G08: field("N", 3, "error code"),
  G10: field("N", 1, "number of procedures of the carrier"),
  G11: field("N", 2, "number of note lines"),
  G12: field("D", 6, "eligible amount"),
  G13: field("D", 5, "deductible"),
  G14: field("N", 3, "eligible percentage"),
  G15: field("D", 6, "benefit"),
  G16: field("N", 2, "explanation note 1"),
  G17: field("N", 2, "explanation note 2"),
  G18: field("N", 7, "lines referred to"),
  G19: field("AN", 5, "additional procedure"),
  G20: field("D", 6, "additional eligible amount"),
  G21: field("D", 5, "additional deductible"),
  G22: field("N", 3, "additional percentage"),
  G23: field("D", 6, "additional benefit"),
  G24: field("N", 2, "additional note 1"),
  G25: field("N", 2, "additional note 2"),
  G26: field("AEN", 75, "note text"),
  G27: field("A", 1, "language"),
  G28: field("D", 7, "total benefit"),
  G29: field("D", 6, "unallocated deductible"),
  G30: field("AN", 10, "verification number"),
  G31: field("N", 2, "display message count"),
  G32: field("AEN", 75, "display message"),
  G33: field("D", 7, "payment adjustment"),
  G39: field("N", 4, "embedded transaction length"),
  G40: field("AEN", 0, "embedded transaction"),
  G41: field("N", 1, "message output flag"),
  G42: field("N", 2, "form"),
  G43: field("D", 6, "eligible laboratory amount 1"),
  G44: field("D", 6, "additional eligible laboratory amount"),
  G45: field("N", 3, "note number"),
  G46: field("N", 1, "predetermination page"),
  G47: field("N", 1, "last predetermination page"),
  G55: field("D", 7, "total payable"),
  G56: field("D", 5, "laboratory deductible 1"),
  G57: field("N", 3, "laboratory percentage 1"),
  G58: field("D", 6, "laboratory benefit 1"),
  G59: field("D", 5, "laboratory deductible 2"),
  G60: field("N", 3, "laboratory percentage 2"),
  G61: field("D", 6, "laboratory benefit 2"),
} as const satisfies Record<string, Field>;

export type FieldId = keyof typeof FIELDS;

/** One field, a group that occurs as often as another field says, or a text as long as another field says. */
export type Part =
  | FieldId
  | { readonly count: FieldId; readonly group: readonly FieldId[] }
  | { readonly length: FieldId; readonly text: FieldId };

const HEADER = ["A01", "A02", "A03", "A04", "A05", "A06", "A10", "A07"] as const;
const ANSWER_HEADER = ["A01", "A02", "A03", "A04", "A05", "A07", "A11", "B01", "B02"] as const;
const PROVIDERS = ["B01", "B02", "B03", "B04", "B05", "B06"] as const;
const INSURED = [
  ...(["C01", "C11", "C02", "C17", "C03", "C04", "C05", "C06", "C07", "C08", "C09", "C10", "C12", "C18"] as const),
  ...(["D01", "D02", "D03", "D04", "D05", "D06", "D07", "D08", "D09", "D10", "D11", "E18", "E20", "F06"] as const),
  "F22",
] as const;
const SECONDARY: Part = {
  count: "E20",
  group: [
    ...(["E19", "E01", "E02", "E05", "E03", "E17", "E06", "E04", "E08", "E09", "E10"] as const),
    ...(["E11", "E12", "E13", "E14", "E15", "E16", "E07"] as const),
  ],
};
const EXTRACTED: Part = { count: "F22", group: ["F23", "F24"] };
const PLAN: Part = { count: "C18", group: ["C19"] };
const BENEFITS: readonly Part[] = [
  {
    count: "F06",
    group: [
      ...(["F07", "G12", "G13", "G14", "G15", "G43", "G56", "G57"] as const),
      ...(["G58", "G02", "G59", "G60", "G61", "G16", "G17"] as const),
    ],
  },
  { count: "G10", group: ["G18", "G19", "G20", "G44", "G21", "G22", "G23", "G24", "G25"] },
  { count: "G11", group: ["G41", "G45", "G26"] },
  { length: "G39", text: "G40" },
];
const ERRORS: readonly Part[] = [
  { count: "G06", group: ["F07", "G08"] },
  { length: "G39", text: "G40" },
];
const MESSAGES: Part = { count: "G31", group: ["G32"] };

export const LAYOUTS = {
  /** Claim. */
  "01": [
    ...HEADER,
    "A08",
    "A09",
    ...PROVIDERS,
    ...INSURED,
    SECONDARY,
    ...(["F01", "F02", "F03", "F15", "F04", "F18", "F19", "F05", "F20", "F21"] as const),
    EXTRACTED,
    {
      count: "F06",
      group: ["F07", "F08", "F09", "F10", "F11", "F12", "F34", "F13", "F35", "F36", "F16", "F17"],
    },
    PLAN,
  ],
  /** Predetermination: what a plan would pay. */
  "03": [
    ...HEADER,
    "A08",
    "A09",
    ...PROVIDERS,
    ...INSURED,
    "F25",
    SECONDARY,
    ...(["F02", "F15", "F04", "F18", "F19", "F05", "F20", "F21"] as const),
    EXTRACTED,
    "G46",
    "G47",
    { count: "F25", group: ["F37", "F26", "F27", "F28", "F29", "F30", "F31", "F32"] },
    { count: "F06", group: ["F07", "F08", "F10", "F11", "F12", "F34", "F13", "F35", "F36", "F16", "F17"] },
    PLAN,
  ],
  /** Request for outstanding transactions: the next answer that waits for the office. */
  "04": [...HEADER, "A09", "B01", "B02", "B03"],
  /** Claim acknowledgement. */
  "11": [...ANSWER_HEADER, "G01", "G05", "G06", "G07", "G04", "G27", "G31", "G39", MESSAGES, "G42", ...ERRORS],
  /** Predetermination acknowledgement. */
  "13": [
    ...ANSWER_HEADER,
    ...(["G01", "G05", "G06", "G07", "G04", "G27", "G31", "G39"] as const),
    MESSAGES,
    "G42",
    "G46",
    "G47",
    ...ERRORS,
  ],
  /** Answer to 04 when nothing waits. */
  "14": [...ANSWER_HEADER, "B03", "G05", "G06", "G07", { count: "G06", group: ["G08"] }],
  /** Explanation of benefits. */
  "21": [
    ...ANSWER_HEADER,
    ...(["G01", "G03", "G04", "G27", "F06", "G10", "G11", "G28", "G29", "G30", "F01", "G33", "G55"] as const),
    "G39",
    "G42",
    ...BENEFITS,
  ],
  /** Explanation of benefits of a predetermination. */
  "23": [
    ...ANSWER_HEADER,
    ...(["G01", "G04", "G27", "F06", "G10", "G11", "G28", "G29", "G30", "G39", "G42", "G46", "G47"] as const),
    ...BENEFITS,
  ],
} as const satisfies Record<string, readonly Part[]>;

export type TransactionCode = keyof typeof LAYOUTS;

export const isTransactionCode = (code: string): code is TransactionCode => Object.hasOwn(LAYOUTS, code);
