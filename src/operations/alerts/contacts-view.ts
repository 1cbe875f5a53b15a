/** Who is called, as the API shows it. */
import { z } from "@hono/zod-openapi";
import { contactsSchema } from "./escalation.ts";
import { type CalledNow, rosterSchema } from "./roster.ts";

export const putContactsSchema = rosterSchema;

export const contactsViewSchema = z
  .object({
    source: z.enum(["file", "setting", "none"]).openapi({
      description: "A roster that was put, else ALERT_CONTACTS; none: nobody is mentioned or mailed.",
    }),
    putAt: z.string().nullable(),
    shiftEndsAt: z.string().nullable().openapi({ description: "Null: no shift is under way." }),
    fault: z.string().nullable(),
    contacts: contactsSchema,
  })
  .openapi("AlertContacts");

const iso = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());

export const contactsView = ({
  source,
  putAt,
  shiftEndsAt,
  fault,
  contacts,
}: CalledNow): z.output<typeof contactsViewSchema> => ({
  source,
  putAt: iso(putAt),
  shiftEndsAt: iso(shiftEndsAt),
  fault,
  contacts: [...contacts],
});
