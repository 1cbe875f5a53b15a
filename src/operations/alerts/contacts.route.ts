/** PUT /operations/alerts/contacts and GET /operations/alerts/contacts. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { recordOperatorAction } from "../../audit/record-operator-action.edge.ts";
import type { CoreAppEnv } from "../../core/app.ts";
import { answerProblem } from "../../platform/answer-problem.ts";
import { jsonBody } from "../../platform/json-body.edge.ts";
import { problemResponses } from "../../platform/openapi.ts";
import { authenticate } from "../../tenants/authenticate.edge.ts";
import { contactsView, contactsViewSchema, putContactsSchema } from "./contacts-view.ts";
import { evaluatorOf } from "./evaluator.edge.ts";

const answer = {
  description: "Who is called now.",
  content: { "application/json": { schema: contactsViewSchema } },
};
const shared = { path: "/operations/alerts/contacts", tags: ["operations"], security: [{ apiKey: [] }] };

const putRoute = createRoute({
  ...shared,
  method: "put",
  summary: "Say who is called when: people, roles and shifts",
  description: "It counts from the next message on, and takes the place of what was put before.",
  middleware: [authenticate("operator", "operate"), jsonBody({ optional: false })] as const,
  request: { body: { required: true, content: { "application/json": { schema: putContactsSchema } } } },
  responses: { 200: answer, ...problemResponses(400, 401, 403, 413, 415, 429, 503) },
});

const getRoute = createRoute({
  ...shared,
  method: "get",
  summary: "Who is called now",
  middleware: [authenticate("operator", "operate")] as const,
  responses: { 200: answer, ...problemResponses(401, 403, 429) },
});

export function registerContacts(app: OpenAPIHono<CoreAppEnv>): void {
  app.openapi(getRoute, async (c) => c.json(contactsView(await evaluatorOf(c.env, c.var.settings).contacts()), 200));
  app.openapi(putRoute, async (c) => {
    const roster = c.req.valid("json");
    const refused = await recordOperatorAction(c, { action: "ALERT_CONTACTS_PUT" });
    if (refused !== undefined) return answerProblem(c, refused);
    return c.json(contactsView(await evaluatorOf(c.env, c.var.settings).putContacts(roster)), 200);
  });
}
