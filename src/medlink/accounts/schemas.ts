/** Accounts as the API shows them. */
import { z } from "@hono/zod-openapi";
import { PASSWORD_MAX_LENGTH } from "./password.ts";
import type { Account } from "./user.ts";
import { ACCOUNT_ROLES, isTimeZone, LOCALES } from "./user.ts";

export const userSchema = z
  .object({
    userId: z.string(),
    clinicId: z.string().nullable().openapi({ description: "null: an operator, who belongs to no clinic" }),
    role: z.enum(ACCOUNT_ROLES),
    email: z.string(),
    name: z.string(),
  })
  .openapi("User");

export const showUser = ({ userId, clinicId, role, email, name }: Account): z.output<typeof userSchema> => ({
  userId,
  clinicId,
  role,
  email,
  name,
});

export const passwordField = z.string().min(1).max(PASSWORD_MAX_LENGTH);
export const emailField = z.email().max(254);
export const nameField = z.string().trim().min(1).max(200);
export const codeField = z
  .string()
  .transform((code) => code.replace(/\s/g, ""))
  .pipe(z.string().regex(/^\d{6}$/, "six digits"));
/** Link tokens: 64 hex digits. */
export const linkToken = z.string().regex(/^[0-9a-f]{64}$/, "the part of the link after #");

export const preferencesSchema = z.object({
  locale: z.enum(LOCALES),
  timeZone: z.string().max(64).refine(isTimeZone, "an IANA time zone"),
});

export const linkSchema = (name: "invitationUrl" | "resetUrl") =>
  z.object({ [name]: z.string().openapi({ description: "Shown this once" }), expiresAt: z.string() });
