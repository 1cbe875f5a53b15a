/** Who may do what in a clinic. */
export const ROLES = ["provider", "billing", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** All roles an account can have: `operator` runs the whole hub and belongs to no clinic. */
export const ACCOUNT_ROLES = [...ROLES, "operator"] as const;
export type AccountRole = (typeof ACCOUNT_ROLES)[number];

export const LOCALES = ["en", "fr"] as const;
export type Locale = (typeof LOCALES)[number];

interface Person {
  readonly userId: string;
  readonly email: string;
  readonly name: string;
}

/** Someone of a clinic. */
export interface User extends Person {
  readonly clinicId: string;
  readonly role: Role;
}

export interface OperatorUser extends Person {
  readonly clinicId: null;
  readonly role: "operator";
}

/** Anyone who can sign in. */
export type Account = User | OperatorUser;

export interface Preferences {
  readonly locale: Locale;
  /** An IANA name. */
  readonly timeZone: string;
}

export type Placement =
  | { readonly clinicId: string; readonly role: Role }
  | { readonly clinicId: null; readonly role: "operator" };

/** @returns undefined when a clinic's role comes without a clinic, or an operator's with one: no stored row is like that. */
export function placementOf(clinicId: string | null, role: AccountRole): Placement | undefined {
  if (role === "operator") return clinicId === null ? { clinicId, role } : undefined;
  return clinicId === null ? undefined : { clinicId, role };
}

/** Addresses are compared without case or surrounding space. */
export const normalizeEmail = (email: string): string => email.trim().toLowerCase();

/** Whether the runtime can show times in this zone. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}
