/** Who may do what in a clinic. */
export const ROLES = ["provider", "billing", "admin"] as const;
export type Role = (typeof ROLES)[number];

export interface User {
  readonly userId: string;
  readonly clinicId: string;
  readonly role: Role;
  readonly email: string;
  readonly name: string;
}

/** Addresses are compared without case or surrounding space. */
export const normalizeEmail = (email: string): string => email.trim().toLowerCase();
