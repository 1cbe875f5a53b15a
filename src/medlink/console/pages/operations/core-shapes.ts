/** What these pages take from core's answers; whatever else they say is left alone. */
import * as z from "zod";

const count = z.number();
const at = z.number();

const counts = {
  deliveredCount: count,
  pending: count,
  retrying: count,
  waiting: count,
  deadLetterCount: count,
  oldestPendingAgeMs: count.nullable(),
};

export const relayShape = z.object({
  paused: z.boolean(),
  pausedAt: at.nullable(),
  ...counts,
  retryPolicy: z.object({ maxRetries: count, initialBackoffMs: count, maxBackoffMs: count }),
  destinations: z.array(
    z.object({
      destinationId: z.string(),
      kind: z.string(),
      state: z.enum(["active", "paused", "broken"]),
      nextProbeAt: at.nullable(),
      deliverAfter: z.string(),
      requestsPerMinute: count,
      ...counts,
    }),
  ),
});
export type Relay = z.output<typeof relayShape>;

const letter = {
  outboxId: count,
  eventId: z.string(),
  eventType: z.string(),
  requestIdHash: z.string(),
  destinationId: z.string(),
  correlationId: z.string(),
  attempts: count,
  lastStatus: count.nullable(),
  lastError: z.string().nullable(),
  createdAt: at,
};

export const deadLettersShape = z.object({
  count,
  next: z.string().nullable(),
  deadLetters: z.array(z.object({ ...letter, deadAt: at.nullable() })),
});
export type DeadLetters = z.output<typeof deadLettersShape>;

export const DELIVERY_STATES = ["waiting", "due", "leased", "delivered", "dead", "discarded"] as const;
/** What core lists deliveries by. */
export const DELIVERY_LISTS = ["delivered", "pending", "dead"] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export const deliveriesShape = z.object({
  deliveries: z.array(
    z.object({
      ...letter,
      state: z.enum(DELIVERY_STATES),
      deliveredAt: at.nullable(),
    }),
  ),
  next: z.string().nullable(),
});
export type Deliveries = z.output<typeof deliveriesShape>;

export const deliveryShape = z.object({
  ...letter,
  state: z.enum(DELIVERY_STATES),
  replays: count,
  discardReason: z.string().nullable(),
  settledAt: at.nullable(),
  body: z.string(),
  attemptsMade: z.array(
    z.object({
      startedAt: at,
      durationMs: count,
      outcome: z.string(),
      status: count.nullable(),
      error: z.string().nullable(),
      answer: z.string().nullable(),
    }),
  ),
  held: count,
});
export type Delivery = z.output<typeof deliveryShape>;

/** Epoch milliseconds, or the time as ISO 8601. */
const moment = z.union([at, z.iso.datetime().transform((text) => Date.parse(text))]);

export const secretsShape = z.object({
  secrets: z.array(
    z.object({
      name: z.string(),
      worker: z.string(),
      setAt: moment.nullable(),
      ageDays: z.number().nullable(),
    }),
  ),
});

export const verificationShape = z.object({
  status: z.enum(["valid", "invalid", "unverified"]),
  method: z.string().optional(),
  size: count.optional(),
  rootHash: z.string().optional(),
  verifiedFrom: count.optional(),
  verifiedThrough: count.optional(),
  verifiedAt: z.string().optional(),
  checkpoint: count.nullable().optional(),
  anchor: count.nullable().optional(),
  scrubbedAt: z.string().nullable().optional(),
  scrubbedThrough: count.optional(),
  scrub: z
    .object({ round: count, phase: z.string(), position: count, chainChecked: z.boolean(), omittedFindings: count })
    .optional(),
  findings: z.array(
    z.object({
      type: z.string(),
      seq: count.optional(),
      subject: z.string().optional(),
      place: z.string().optional(),
      detail: z.string(),
      firstSeenAt: z.string().optional(),
    }),
  ),
});
export type Verification = z.output<typeof verificationShape>;

export const entryShape = z.object({
  ledgerId: z.string(),
  seq: count,
  entryHash: z.string(),
  entry: z.object({
    prev: z.string(),
    at: z.string(),
    type: z.string(),
    subject: z.string(),
    commitment: z.string().optional(),
    data: z.record(z.string(), z.unknown()),
  }),
});
export type LedgerEntry = z.output<typeof entryShape>;

export const inclusionShape = z.object({ size: count, rootHash: z.string(), hashes: z.array(z.string()) });
export type Inclusion = z.output<typeof inclusionShape>;

const anchorEvent = z.object({
  type: z.string(),
  reason: z.string(),
  at: z.string(),
  txHash: z.string().nullable(),
  nonce: count.nullable(),
  feePerGasWei: z.string().nullable(),
  blockNumber: count.nullable(),
});
export type AnchorEvent = z.output<typeof anchorEvent>;

export const anchorShape = z.object({
  size: count,
  rootHash: z.string(),
  previousSize: count,
  state: z.enum(["submitted", "confirmed", "failed"]),
  reason: z.string().nullable(),
  chainId: count,
  contractAddress: z.string(),
  nonce: count.nullable(),
  txHash: z.string(),
  blockNumber: count.nullable(),
  blockHash: z.string().nullable(),
  submittedAt: z.string(),
  confirmedAt: z.string().nullable(),
  events: z.array(anchorEvent),
});
export type Anchor = z.output<typeof anchorShape>;

export const anchorListShape = z.object({
  signer: z.object({
    state: z.string(),
    reason: z.string().nullable(),
    address: z.string().nullable().optional(),
    balanceWei: z.string().nullable().optional(),
    balanceLow: z.boolean().optional(),
    chainId: count.optional(),
    contractAddress: z.string().optional(),
    latestBlock: count.nullable().optional(),
    lastTickAt: z.string().nullable().optional(),
  }),
  anchors: z.array(anchorShape),
  nextBefore: count.nullable(),
  signerEvents: z.array(anchorEvent),
});
export type AnchorList = z.output<typeof anchorListShape>;
