/** docs/events.md, from the schemas of webhooks and the list of entries. */
import * as z from "zod";
import { ENTRY_TYPES, type EntryType } from "../../src/ledger/entry.ts";
import { EVENT_TYPES, type EventType, SETTLEMENT_EVENT_TYPES } from "../../src/relay/event-type.ts";
import { type EventData, eventIdOf, webhookBody } from "../../src/relay/events.ts";

const hash = z.string().regex(/^0x[0-9a-f]{64}$/);
const address = z.string().regex(/^0x[0-9a-fA-F]{40}$/);

const settlementData = z.strictObject({
  refId: z.string().describe("names the settlement"),
  settlementType: z.enum(["payment", "reversal", "adjustment"]),
  reverses: z.string().optional().describe("refId of what a reversal takes back"),
  reason: z.string().optional().describe("why it was rejected or failed"),
  operatorTransactionId: z.string().optional().describe("the payer's operator's own id"),
});

const DATA = {
  REQUEST_SUBMITTED: z.strictObject({
    payloadHash: hash.describe("of the claim as it was received"),
    submitter: z.string().describe("the key that submitted it"),
    insurer: address,
    requestType: z.enum(["CLAIM", "PREAUTH"]),
  }),
  REQUEST_ACKNOWLEDGED: z.strictObject({ insurer: address }),
  REQUEST_ADJUDICATED: z.strictObject({
    insurer: address,
    decisionHash: hash.describe("of the decision and its notes"),
    decision: z.enum(["APPROVED", "DENIED", "NEEDS_INFO"]),
  }),
  SETTLEMENT_COMPLETED: settlementData,
  SETTLEMENT_REJECTED: settlementData,
  SETTLEMENT_FAILED: settlementData,
} as const satisfies Readonly<Record<EventType, z.ZodObject>>;

const chained = <Schema extends z.ZodType>(schema: Schema) => schema.nullable();

const ENVELOPE = {
  eventId: z.string().describe("the same on every attempt, for ever"),
  eventType: z.enum(EVENT_TYPES),
  chainId: chained(z.int()).describe("null, as the five below, until the entry is anchored"),
  contractAddress: chained(address),
  blockNumber: chained(z.int()),
  blockHash: chained(hash),
  txHash: chained(hash),
  logIndex: chained(z.int()),
  requestIdHash: hash.describe("the request; of a settlement of a direct claim its claimIdHash"),
  occurredAt: z.int().describe("epoch seconds"),
  data: z.unknown().describe("by event type, below"),
  ledger: z
    .strictObject({ id: z.string(), seq: z.int(), entryHash: z.string().regex(/^[0-9a-f]{64}$/) })
    .describe("the entry that it is about"),
} as const;

/** What a receiver may hold a webhook's body against. */
export const webhookSchemaOf = (type: EventType) =>
  z.strictObject({ ...ENVELOPE, eventType: z.literal(type), data: DATA[type] });

const fill = (digit: string): string => `0x${digit.repeat(64)}`;
const INSURER = `0x${"b1".repeat(20)}`;

const SETTLED: EventData = {
  refId: "stl_4m2k8q0v7r5t1w3x",
  settlementType: "payment",
  operatorTransactionId: "op-20261101-000042",
};

const EXAMPLES: Readonly<Record<EventType, EventData>> = {
  REQUEST_SUBMITTED: { payloadHash: fill("c"), submitter: "workflow", insurer: INSURER, requestType: "CLAIM" },
  REQUEST_ACKNOWLEDGED: { insurer: INSURER },
  REQUEST_ADJUDICATED: { insurer: INSURER, decisionHash: fill("d"), decision: "APPROVED" },
  SETTLEMENT_COMPLETED: SETTLED,
  SETTLEMENT_REJECTED: { ...SETTLED, reason: "account closed" },
  SETTLEMENT_FAILED: { refId: "stl_4m2k8q0v7r5t1w3x", settlementType: "payment", reason: "operator-does-not-have-it" },
};

/** A body as the relay would post it. */
export function exampleBody(eventType: EventType): string {
  const entryHash = "e".repeat(64);
  return webhookBody(
    {
      eventId: eventIdOf(31_337, entryHash, 0, "INSURER"),
      eventType,
      requestIdHash: fill("a"),
      occurredAt: 1_793_000_000,
      data: EXAMPLES[eventType],
      ledger: { id: "main", seq: 41, entryHash },
    },
    {
      chainId: 31_337,
      contractAddress: `0x${"5f".repeat(20)}`,
      blockNumber: 1_204,
      blockHash: fill("1"),
      txHash: fill("2"),
      logIndex: 0,
    },
  );
}

const WHEN: Readonly<Record<EventType, string>> = {
  REQUEST_SUBMITTED: "A claim or pre-authorization was recorded.",
  REQUEST_ACKNOWLEDGED: "The insurer has it.",
  REQUEST_ADJUDICATED: "The insurer decided; a newer one about the same request replaces it.",
  SETTLEMENT_COMPLETED: "The payer's operator confirmed the payment, reversal or adjustment.",
  SETTLEMENT_REJECTED: "The operator will not do it.",
  SETTLEMENT_FAILED: "It surely was not done; it may be replayed and then complete.",
};

const ENTRIES: Readonly<Record<EntryType, string>> = {
  REQUEST_SUBMITTED: "a request was taken",
  REQUEST_ACKNOWLEDGED: "the insurer has it",
  REQUEST_ADJUDICATED: "the insurer decided",
  REQUEST_CORRECTED: "the request is superseded; the data names its successor",
  CLAIM_CREATED: "a direct claim was made",
  CLAIM_FINALIZED: "a direct claim was approved for an amount",
  SETTLEMENT_CREATED: "money was asked for; the commitment is to its terms",
  SETTLEMENT_STARTED: "it is about to be sent to the operator",
  CLAIM_SETTLED: "the operator confirmed a payment",
  SETTLEMENT_REVERSED: "the operator confirmed a reversal",
  SETTLEMENT_ADJUSTED: "the operator confirmed an adjustment",
  SETTLEMENT_REJECTED: "the operator refused it",
  SETTLEMENT_FAILED: "it surely was not done",
  SETTLEMENT_REPLAYED: "it was asked for once more",
  ERASED: "key and salt of the subject were destroyed",
  LEDGER_CONTINUED:
    "the first entry of a ledger that goes on where another one ended; the data names it and its last checkpoint",
  OPERATOR_ACTION: "someone who operates the system did something to it",
};

const fieldSchema = z.looseObject({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  anyOf: z.array(z.looseObject({ type: z.string().optional() })).optional(),
  enum: z.array(z.unknown()).optional(),
  pattern: z.string().optional(),
  description: z.string().optional(),
});

const FORMS: Readonly<Record<string, string>> = {
  "^0x[0-9a-f]{64}$": "0x and 64 hex digits",
  "^0x[0-9a-fA-F]{40}$": "0x and 40 hex digits",
};

function fieldRow(name: string, schema: z.ZodType): string {
  const field = fieldSchema.parse(z.toJSONSchema(schema));
  const form = field.anyOf === undefined ? field : fieldSchema.parse(field.anyOf[0]);
  const type =
    field.enum?.map(String).join(", ") ?? FORMS[form.pattern ?? ""] ?? [form.type ?? "object"].flat().join(" or ");
  const nullable = field.anyOf?.some((each) => each.type === "null") === true ? " or null" : "";
  const optional = schema.safeParse(undefined).success && name !== "data";
  return `| \`${name}${optional ? "?" : ""}\` | ${type}${nullable} | ${field.description ?? ""} |`;
}

const fieldTable = (fields: Readonly<Record<string, z.ZodType>>): string =>
  [
    "| field | | |",
    "| --- | --- | --- |",
    ...Object.entries(fields).map(([name, schema]) => fieldRow(name, schema)),
  ].join("\n");

const isSettlement = (type: EventType): boolean => SETTLEMENT_EVENT_TYPES.some((each) => each === type);

export function eventsPage(): string {
  const events = EVENT_TYPES.map((type) =>
    [
      `### ${type}`,
      "",
      `${WHEN[type]}${isSettlement(type) ? " Only for destinations whose `eventTypes` name it." : ""}`,
      "",
      fieldTable(DATA[type].shape),
    ].join("\n"),
  );
  return [
    "# Events",
    "",
    "Made by `npm run build:docs` from the schemas. `docs/webhooks.md` says how webhooks are signed, answered and ordered;",
    "`docs/insurer-guide.md` shows a receiver. No event and no entry has a patient, a provider, a service, an amount or a note.",
    "",
    "## Webhooks",
    "",
    fieldTable(ENVELOPE),
    "",
    events.join("\n\n"),
    "",
    "### A body",
    "",
    "As it is posted, but for the line breaks:",
    "",
    "```json",
    JSON.stringify(JSON.parse(exampleBody("REQUEST_ADJUDICATED")), null, 2),
    "```",
    "",
    "## Entries of the ledger",
    "",
    "What the log has, one leaf each, in the order in which it happened; every entry has `v`, `seq`, `prev`, `at`, `type`, `subject`, `data`",
    "and where something is committed to `commitment`.",
    "",
    "| type | what happened |",
    "| --- | --- |",
    ...ENTRY_TYPES.map((type) => `| \`${type}\` | ${ENTRIES[type]} |`),
    "",
  ].join("\n");
}
