/** Who is told of an alert, and when the next person is, while nobody acknowledged it. */
import * as z from "zod";
import type { Severity } from "./alert-rule.ts";

export const CONTACT_ROLES = [
  "on-call-primary",
  "on-call-secondary",
  "engineering-lead",
  "vp-engineering",
  "product-owner",
  "devops",
  "database-admin",
] as const;
export type ContactRole = (typeof CONTACT_ROLES)[number];

/** How a person is called and reached. */
export const personFields = {
  name: z.string().min(1).max(80),
  email: z.email().optional(),
  phone: z.string().max(40).optional(),
  /** A Slack member id, for a mention. */
  slack: z
    .string()
    .regex(/^[A-Z0-9]{3,20}$/)
    .optional(),
};

export const contactsSchema = z.array(z.strictObject({ role: z.enum(CONTACT_ROLES), ...personFields }));
export type Contact = z.output<typeof contactsSchema>[number];

/** @param text of ALERT_CONTACTS; undefined: nobody is mentioned or mailed. */
export function readContacts(text: string | undefined): {
  readonly contacts: readonly Contact[];
  readonly fault: string | null;
} {
  if (text === undefined) return { contacts: [], fault: null };
  try {
    return { contacts: contactsSchema.parse(JSON.parse(text)), fault: null };
  } catch {
    return { contacts: [], fault: "ALERT_CONTACTS is not a JSON list of contacts: nobody is mentioned or mailed." };
  }
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export interface EscalationStep {
  /** After the alert opened, while it is not acknowledged. */
  readonly afterMs: number;
  readonly roles: readonly ContactRole[];
}

export const ACKNOWLEDGE_WITHIN_MS: Readonly<Record<Severity, number>> = {
  S1: 5 * MINUTE,
  S2: 15 * MINUTE,
  S3: HOUR,
  S4: 4 * HOUR,
};

/** The first step is taken when the alert opens. */
export const ESCALATION: Readonly<Record<Severity, readonly EscalationStep[]>> = {
  S1: [
    { afterMs: 0, roles: ["on-call-primary", "engineering-lead", "product-owner"] },
    { afterMs: ACKNOWLEDGE_WITHIN_MS.S1, roles: ["on-call-secondary"] },
    { afterMs: 30 * MINUTE, roles: ["vp-engineering"] },
  ],
  S2: [
    { afterMs: 0, roles: ["on-call-primary"] },
    { afterMs: ACKNOWLEDGE_WITHIN_MS.S2, roles: ["on-call-secondary"] },
    { afterMs: HOUR, roles: ["engineering-lead"] },
  ],
  S3: [
    { afterMs: 0, roles: ["on-call-primary"] },
    { afterMs: 2 * HOUR, roles: ["on-call-secondary"] },
  ],
  S4: [{ afterMs: 0, roles: ["on-call-primary"] }],
};

/** Steps whose time has come and that were not taken. */
export function dueSteps(
  severity: Severity,
  openForMs: number,
  taken: number,
  scale: number,
): readonly EscalationStep[] {
  return ESCALATION[severity].slice(taken).filter(({ afterMs }) => openForMs >= afterMs / scale);
}

export const contactsFor = (contacts: readonly Contact[], roles: readonly ContactRole[]): readonly Contact[] =>
  contacts.filter(({ role }) => roles.includes(role));
