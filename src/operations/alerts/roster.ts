/** Who is on duty when: people with roles, and shifts that say who is first and second on call meanwhile. */
import * as z from "zod";
import { CONTACT_ROLES, type Contact, personFields } from "./escalation.ts";

const MAX_PEOPLE = 50;
const MAX_SHIFTS = 200;
const MAX_HOURS = 24 * 366;

const { name } = personFields;

const personSchema = z.strictObject({
  ...personFields,
  /** Held whenever no shift gives the role to somebody else. */
  roles: z.array(z.enum(CONTACT_ROLES)).default([]),
});

const shiftSchema = z.strictObject({
  /** Hours since `shiftsFrom`; the end is the next shift's. */
  fromHour: z.number().min(0).max(MAX_HOURS),
  toHour: z.number().min(0).max(MAX_HOURS),
  /** Names of people. */
  primary: name,
  secondary: name,
});
export type Shift = z.output<typeof shiftSchema>;

const fields = z.strictObject({
  people: z.array(personSchema).min(1).max(MAX_PEOPLE),
  /** When hour 0 of the shifts is. */
  shiftsFrom: z.iso.datetime({ offset: true }).optional(),
  /** The shifts begin again after so many hours; left out: once. */
  repeatEveryHours: z.number().min(1).max(MAX_HOURS).optional(),
  shifts: z.array(shiftSchema).max(MAX_SHIFTS).default([]),
});
type Fields = z.output<typeof fields>;

export const rosterSchema = fields.superRefine((roster, context) => {
  for (const message of rosterFaults(roster)) context.addIssue({ code: "custom", message });
});
export type Roster = z.output<typeof rosterSchema>;

function rosterFaults({ people, shifts, shiftsFrom, repeatEveryHours }: Fields): readonly string[] {
  const names = new Set(people.map((person) => person.name));
  const faults: string[] = [];
  if (names.size < people.length) faults.push("two people have one name");
  if (!people.some(({ roles }) => roles.includes("on-call-primary")))
    faults.push("nobody has the role on-call-primary, who is called outside the shifts");
  for (const { name: own, email, phone, slack } of people)
    if ((email ?? phone ?? slack) === undefined) faults.push(`${own} can not be reached: give email, phone or slack`);
  if (shifts.length > 0 && shiftsFrom === undefined) faults.push("there are shifts and no shiftsFrom");
  let ended = 0;
  for (const [index, { fromHour, toHour, primary, secondary }] of shifts.entries()) {
    if (toHour <= fromHour) faults.push(`shift ${index + 1} ends before it begins`);
    if (fromHour < ended) faults.push(`shift ${index + 1} begins before the one above it ends`);
    ended = Math.max(ended, toHour);
    for (const one of [primary, secondary])
      if (!names.has(one)) faults.push(`shift ${index + 1}: ${one} is not among people`);
  }
  if (repeatEveryHours !== undefined && repeatEveryHours < ended)
    faults.push("repeatEveryHours is shorter than the shifts");
  return faults;
}

const HOUR_MS = 3_600_000;

/** @param at epoch ms. @returns the shift under way, and when it ends; undefined between shifts, before and after them. */
export function shiftAt(
  { shifts, shiftsFrom, repeatEveryHours }: Roster,
  at: number,
): { readonly shift: Shift; readonly endsAt: number } | undefined {
  if (shiftsFrom === undefined) return undefined;
  const since = at - Date.parse(shiftsFrom);
  if (since < 0) return undefined;
  const round = repeatEveryHours === undefined ? since : since % (repeatEveryHours * HOUR_MS);
  const shift = shifts.find(({ fromHour, toHour }) => round >= fromHour * HOUR_MS && round < toHour * HOUR_MS);
  return shift === undefined ? undefined : { shift, endsAt: at - round + shift.toHour * HOUR_MS };
}

/** @param at epoch ms. @returns one for each role that a person has then. */
export function onDuty(roster: Roster, at: number): readonly Contact[] {
  const { shift } = shiftAt(roster, at) ?? {};
  return CONTACT_ROLES.flatMap((role) => {
    const named =
      role === "on-call-primary" ? shift?.primary : role === "on-call-secondary" ? shift?.secondary : undefined;
    return roster.people
      .filter((person) => (named === undefined ? person.roles.includes(role) : person.name === named))
      .map(({ roles: _, ...person }) => ({ role, ...person }));
  });
}

/** A roster as it was put. */
export interface StoredRoster {
  readonly roster: Roster;
  /** Epoch ms. */
  readonly putAt: number;
}

/** What was put and this version does not understand: put by a later one, before a return to this one. */
export const UNREADABLE = "unreadable";
export type KeptRoster = StoredRoster | typeof UNREADABLE | undefined;

/** @param roster what is kept of one that was put at `putAt`, epoch ms. */
export function rosterFrom(roster: unknown, putAt: number): KeptRoster {
  const parsed = rosterSchema.safeParse(roster);
  return parsed.success ? { roster: parsed.data, putAt } : UNREADABLE;
}

export interface CalledNow {
  readonly source: "file" | "setting" | "none";
  readonly contacts: readonly Contact[];
  /** Epoch ms. */
  readonly putAt: number | null;
  readonly shiftEndsAt: number | null;
  readonly fault: string | null;
}

/** @param setting what ALERT_CONTACTS comes to: it counts while no roster was put, or none that is understood. */
export function calledNow(
  stored: KeptRoster,
  setting: { readonly contacts: readonly Contact[]; readonly fault: string | null },
  at: number,
): CalledNow {
  if (stored === undefined || stored === UNREADABLE) {
    const source = setting.contacts.length === 0 ? "none" : "setting";
    const called = { source, ...setting, putAt: null, shiftEndsAt: null } as const;
    if (stored === undefined) return called;
    return { ...called, fault: "the contacts that were put are not understood by this version: put them again" };
  }
  const { roster, putAt } = stored;
  return {
    source: "file",
    contacts: onDuty(roster, at),
    putAt,
    shiftEndsAt: shiftAt(roster, at)?.endsAt ?? null,
    fault: null,
  };
}
