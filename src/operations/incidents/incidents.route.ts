/** /operations/incidents: the register of what went wrong, which hypercare's reports are made from. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { recordOperatorAction } from "../../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { systemNow } from "../../platform/clock.edge.ts";
import { jsonBody } from "../../platform/json-body.edge.ts";
import { problemResponses } from "../../platform/openapi.ts";
import type { Problem } from "../../platform/problem.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { type Incident, SEVERITIES, TICKET, textFault } from "./incident.ts";
import {
  closeIncident,
  findIncident,
  listIncidents,
  MAX_NOTES,
  noteIncident,
  openIncident,
} from "./incidents.store.ts";

const text = z
  .string()
  .superRefine((value, context) => {
    const fault = textFault(value);
    if (fault !== undefined) context.addIssue({ code: "custom", message: fault });
  })
  .openapi({ description: "One line that names no person." });
const instant = z.iso.datetime({ offset: true });

const incidentSchema = z
  .object({
    ticket: z.string().openapi({ example: "INC-7" }),
    severity: z.enum(SEVERITIES),
    summary: z.string(),
    alert: z.string().nullable(),
    detectedAt: z.string(),
    openedAt: z.string(),
    openedBy: z.string(),
    closedAt: z.string().nullable(),
    closedBy: z.string().nullable(),
    rootCause: z.string().nullable(),
    prevention: z.string().nullable(),
    notes: z.array(z.object({ at: z.string(), actor: z.string(), note: z.string() })),
  })
  .openapi("Incident");

const iso = (at: number): string => new Date(at).toISOString();
const isoOrNull = (at: number | null): string | null => (at === null ? null : iso(at));

const view = (incident: Incident): z.output<typeof incidentSchema> => ({
  ...incident,
  detectedAt: iso(incident.detectedAt),
  openedAt: iso(incident.openedAt),
  closedAt: isoOrNull(incident.closedAt),
  notes: incident.notes.map((note) => ({ ...note, at: iso(note.at) })),
});

const answer = { description: "The incident.", content: { "application/json": { schema: incidentSchema } } };
const params = z.object({
  ticket: z
    .string()
    .regex(TICKET)
    .openapi({ param: { name: "ticket", in: "path" } }),
});
const bodyOf = <Schema extends z.ZodType>(schema: Schema) => ({
  required: true as const,
  content: { "application/json": { schema } },
});
const shared = { tags: ["operations"], security: [{ apiKey: [] }] };

const listRoute = createRoute({
  ...shared,
  method: "get",
  path: "/operations/incidents",
  summary: "The incident register, newest first",
  middleware: [authenticate("operator", ["operate", "read"])] as const,
  request: {
    query: z.object({
      state: z.enum(["open", "closed"]).optional(),
      since: instant.optional().openapi({ description: "Opened since then." }),
      limit: z.coerce.number().int().min(1).max(200).default(50),
    }),
  },
  responses: {
    200: {
      description: "Incidents with their notes.",
      content: { "application/json": { schema: z.object({ incidents: z.array(incidentSchema) }) } },
    },
    ...problemResponses(400, 401, 403, 429),
  },
});

const openRoute = createRoute({
  ...shared,
  method: "post",
  path: "/operations/incidents",
  summary: "Open an incident",
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: {
    body: bodyOf(
      z
        .strictObject({
          ticket: z.string().regex(TICKET, "is not 1 to 40 of A-Z, 0-9 and -").optional().openapi({
            description: "The name it has elsewhere; left out: INC and a number.",
          }),
          severity: z.enum(SEVERITIES),
          summary: text,
          alert: z
            .string()
            .regex(/^[a-z-]{1,60}$/)
            .optional(),
          detectedAt: instant.optional(),
        })
        .openapi("OpenIncident"),
    ),
  },
  responses: { 201: answer, ...problemResponses(400, 401, 403, 409, 413, 415, 429, 503) },
});

const noteRoute = createRoute({
  ...shared,
  method: "post",
  path: "/operations/incidents/{ticket}/notes",
  summary: "Note what was seen or done",
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: { params, body: bodyOf(z.strictObject({ note: text }).openapi("NoteIncident")) },
  responses: { 201: answer, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503) },
});

const closeRoute = createRoute({
  ...shared,
  method: "post",
  path: "/operations/incidents/{ticket}/close",
  summary: "Close an incident with its cause",
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: { params, body: bodyOf(z.strictObject({ rootCause: text, prevention: text }).openapi("CloseIncident")) },
  responses: { 200: answer, ...problemResponses(400, 401, 403, 404, 409, 413, 415, 429, 503) },
});

const UNKNOWN: Problem = { code: "not_found", detail: "There is no incident of this ticket." };

export function registerIncidents(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(listRoute, async (c) => {
    const { state, since, limit } = c.req.valid("query");
    const filter = { state, since: since === undefined ? undefined : Date.parse(since) };
    return c.json({ incidents: (await listIncidents(c.env.DB, filter, limit)).map(view) }, 200);
  });

  app.openapi(openRoute, async (c) => {
    const { ticket, severity, summary, alert, detectedAt } = c.req.valid("json");
    const now = systemNow();
    const taken: Problem = { code: "conflict", detail: "There is an incident of this ticket; note on it instead." };
    if (ticket !== undefined && (await findIncident(c.env.DB, ticket)) !== undefined) return answerProblem(c, taken);
    const refused = await recordOperatorAction(c, {
      action: "INCIDENT_OPEN",
      reason: severity,
      ...(ticket === undefined ? {} : { target: ticket }),
    });
    if (refused !== undefined) return answerProblem(c, refused);
    const opened = await openIncident(c.env.DB, {
      ticket,
      severity,
      summary,
      alert,
      detectedAt: detectedAt === undefined ? now : Math.min(now, Date.parse(detectedAt)),
      at: now,
      actor: c.var.principal.keyId,
    });
    const made = opened === undefined ? undefined : await findIncident(c.env.DB, opened);
    return made === undefined ? answerProblem(c, taken) : c.json(view(made), 201);
  });

  app.openapi(noteRoute, async (c) => {
    const { ticket } = c.req.valid("param");
    if ((await findIncident(c.env.DB, ticket)) === undefined) return answerProblem(c, UNKNOWN);
    const { note } = c.req.valid("json");
    const refused = await recordOperatorAction(c, { action: "INCIDENT_NOTE", reason: ticket, target: ticket });
    if (refused !== undefined) return answerProblem(c, refused);
    if (!(await noteIncident(c.env.DB, ticket, { at: systemNow(), actor: c.var.principal.keyId, note }))) {
      return answerProblem(c, { code: "conflict", detail: `An incident keeps ${MAX_NOTES} notes.` });
    }
    const noted = await findIncident(c.env.DB, ticket);
    return noted === undefined ? answerProblem(c, UNKNOWN) : c.json(view(noted), 201);
  });

  app.openapi(closeRoute, async (c) => {
    const { ticket } = c.req.valid("param");
    const found = await findIncident(c.env.DB, ticket);
    if (found === undefined) return answerProblem(c, UNKNOWN);
    const closedAlready: Problem = { code: "conflict", detail: "This incident is closed." };
    if (found.closedAt !== null) return answerProblem(c, closedAlready);
    const refused = await recordOperatorAction(c, { action: "INCIDENT_CLOSE", reason: ticket, target: ticket });
    if (refused !== undefined) return answerProblem(c, refused);
    const { rootCause, prevention } = c.req.valid("json");
    const closed = { at: systemNow(), actor: c.var.principal.keyId, rootCause, prevention };
    if (!(await closeIncident(c.env.DB, ticket, closed))) return answerProblem(c, closedAlready);
    const now = await findIncident(c.env.DB, ticket);
    return now === undefined ? answerProblem(c, UNKNOWN) : c.json(view(now), 200);
  });
}
