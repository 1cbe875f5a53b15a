/** An operation in the hub's OpenAPI document. */
import { z } from "@hono/zod-openapi";
import type { Access } from "./access.edge.ts";
import { FIELD_RULES } from "./field-rule.ts";
import type { HubApp } from "./operation.edge.ts";
import { type AnySpec, JSON_WIRE, takesBody } from "./operation-spec.edge.ts";

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string(),
    error: z.string(),
    message: z.string(),
    correlationId: z.string(),
    issues: z
      .array(
        z.object({
          path: z.string(),
          message: z.string(),
          rule: z.enum(FIELD_RULES).optional(),
          limit: z.number().optional(),
        }),
      )
      .optional(),
  })
  .openapi("Problem");

const binary = z.string().openapi({ format: "binary" });

export function describe(app: HubApp, spec: AnySpec, access: Access | undefined): void {
  const parameters = Object.entries(spec.params instanceof z.ZodObject ? spec.params.shape : {});
  const inPath = ([name]: [string, unknown]): boolean => spec.path.includes(`{${name}}`);
  const schemaOf = (entries: [string, z.ZodType][]) => z.object(Object.fromEntries(entries));
  const { contentType } = spec.wire ?? JSON_WIRE;
  const responses = Object.fromEntries(
    Object.entries(spec.answers).map(([status, { description, schema }]) => [
      status,
      { description, ...(schema === undefined ? {} : { content: { [contentType]: { schema } } }) },
    ]),
  );
  app.openAPIRegistry.registerPath({
    method: spec.method,
    path: spec.path,
    summary: spec.summary,
    ...(access === undefined ? {} : { security: securityOf(access) }),
    request: {
      params: schemaOf(parameters.filter(inPath)),
      query: schemaOf(parameters.filter((parameter) => !inPath(parameter))),
      ...(takesBody(spec) ? { body: { content: { [contentType]: { schema: spec.body } } } } : {}),
      ...(spec.takes === undefined
        ? {}
        : { body: { content: Object.fromEntries(spec.takes.map((type) => [type, { schema: binary }])) } }),
    },
    responses: {
      ...responses,
      default: {
        description: "What went wrong, as a problem document",
        content: { "application/problem+json": { schema: problemSchema } },
      },
    },
  });
}

function securityOf({ tokens, operator }: Access): Record<string, string[]>[] {
  return [{ session: [] }, ...(tokens ? [{ apiToken: [] }] : []), ...(operator === "any" ? [{ operatorKey: [] }] : [])];
}
