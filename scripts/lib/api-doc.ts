/** docs/api.md, from the OpenAPI documents that core and the hub make of their routes. */
import * as z from "zod";

const schemaSchema = z.looseObject({
  $ref: z.string().optional(),
  type: z.union([z.string(), z.array(z.string())]).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  items: z.unknown().optional(),
  allOf: z.array(z.unknown()).optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
  enum: z.array(z.unknown()).optional(),
});

const contentSchema = z.record(z.string(), z.looseObject({ schema: z.unknown().optional() })).optional();

const operationSchema = z.looseObject({
  tags: z.array(z.string()).optional(),
  summary: z.string().optional(),
  security: z.array(z.record(z.string(), z.unknown())).optional(),
  parameters: z.array(z.looseObject({ name: z.string(), in: z.string(), required: z.boolean().optional() })).optional(),
  requestBody: z.looseObject({ content: contentSchema }).optional(),
  responses: z.record(z.string(), z.looseObject({ description: z.string().optional(), content: contentSchema })),
});

export const openApiSchema = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()).optional() }).optional(),
});

export type OpenApi = z.output<typeof openApiSchema>;

export type ApiName = "core" | "hub";

const METHODS = ["get", "post", "put", "patch", "delete"] as const;
const MAX_DEPTH = 4;

/** Every field that a body has, an optional one with a question mark; undefined: it is no object. */
function fieldsOf(document: OpenApi, schema: unknown, depth = 0): readonly string[] | undefined {
  const parsed = schemaSchema.safeParse(schema);
  if (!parsed.success || depth > MAX_DEPTH) return undefined;
  const { $ref, properties, required = [], allOf, anyOf, oneOf } = parsed.data;
  if ($ref !== undefined) {
    const name = $ref.split("/").at(-1) ?? "";
    return fieldsOf(document, document.components?.schemas?.[name], depth + 1);
  }
  if (properties !== undefined)
    return Object.keys(properties).map((name) => (required.includes(name) ? name : `${name}?`));
  const several = allOf ?? anyOf ?? oneOf;
  if (several === undefined) return undefined;
  const fields = several.flatMap((each) => fieldsOf(document, each, depth + 1) ?? []);
  return fields.length === 0 ? undefined : [...new Set(fields)];
}

const JSON_TYPE = "application/json";

function bodyOf(document: OpenApi, content: z.output<typeof contentSchema>): string | undefined {
  const entries = Object.entries(content ?? {});
  const [type, body] = entries.find(([name]) => name === JSON_TYPE) ?? entries[0] ?? [];
  if (type === undefined || body === undefined) return undefined;
  const fields = fieldsOf(document, body.schema);
  if (fields !== undefined && fields.length > 0) return fields.map((field) => `\`${field}\``).join(", ");
  return type === JSON_TYPE ? undefined : `\`${entries.map(([name]) => name).join("`, `")}\``;
}

/** Tables are lines: nothing in a cell may end one. */
const inLine = (text: string): string => text.replaceAll(/\s+/g, " ").trim();

const KEYS: Readonly<Record<string, string>> = {
  apiKey: "API key",
  session: "session",
  apiToken: "API token",
  operatorKey: "operator's key",
  scrapeToken: "scrape token",
  auditorToken: "auditor's token",
};

function operationLines(document: OpenApi, method: string, path: string, value: unknown): readonly string[] {
  const operation = operationSchema.parse(value);
  const { summary = "", security = [], parameters = [], requestBody, responses } = operation;
  const who = security.flatMap((each) => Object.keys(each)).map((name) => KEYS[name] ?? name);
  const query = parameters
    .filter((parameter) => parameter.in === "query")
    .map(({ name, required }) => `\`${name}${required === true ? "" : "?"}\``);
  const taken = bodyOf(document, requestBody?.content);
  const good = Object.entries(responses).filter(([status]) => /^[123]/.test(status));
  const bad = Object.keys(responses).filter((status) => /^[45]/.test(status));
  const answers = good.map(([status, { description = "", content }]) => {
    const fields = bodyOf(document, content);
    return `${status} ${inLine(description)}${fields === undefined ? "" : `: ${fields}`}`;
  });
  return [
    `- \`${method.toUpperCase()} ${path}\` ${inLine(summary)}${who.length === 0 ? "" : ` (${who.join(" or ")})`}`,
    ...(query.length === 0 ? [] : [`  - query: ${query.join(", ")}`]),
    ...(taken === undefined ? [] : [`  - body: ${taken}`]),
    ...answers.map((answer) => `  - ${answer}`),
    ...(bad.length === 0 ? [] : [`  - problems: ${bad.join(", ")}`]),
  ];
}

/** Of the hub's paths, whose operations have no tags. */
const roomOf = (path: string): string => {
  const [first = "", second = ""] = path.split("/").filter((part) => part !== "");
  return first === "api" && second !== "" ? second : first;
};

const TITLES: Readonly<Record<ApiName, string>> = { core: "Core", hub: "The hub" };

/** One worker's part of the page. */
export function apiSection(name: ApiName, document: OpenApi): string {
  const byTag = new Map<string, string[]>();
  for (const [path, item] of Object.entries(document.paths)) {
    for (const method of METHODS) {
      const value = item[method];
      if (value === undefined) continue;
      const tag = operationSchema.parse(value).tags?.[0] ?? roomOf(path);
      byTag.set(tag, [...(byTag.get(tag) ?? []), ...operationLines(document, method, path, value)]);
    }
  }
  const tags = [...byTag].toSorted(([a], [b]) => a.localeCompare(b, "en"));
  return [`## ${TITLES[name]}`, ...tags.flatMap(([tag, lines]) => ["", `### ${tag}`, "", ...lines])].join("\n");
}

const HEAD = `# API

Made by \`npm run build:docs\` from the routes themselves. \`GET /openapi.json\` of core and \`GET /api/openapi.json\` of the hub have every type,
bound and description, and \`GET /docs\` of core shows them to people. A question mark is an optional field.

- Core takes \`x-api-key\` or \`Authorization: Bearer\`; a key has a surface (workflow, claims, operator), scopes and a limit a minute.
- The hub takes the session of someone signed in, an API token, or its operator's key, as each operation says.
- A problem is \`application/problem+json\`: \`type\`, \`title\`, \`status\`, \`detail\`, \`code\`, \`correlationId\`, and \`issues\` where a field is
  wrong. 429 and 503 carry Retry-After.`;

export const apiPage = (core: OpenApi, hub: OpenApi): string =>
  [HEAD, apiSection("core", core), apiSection("hub", hub), ""].join("\n\n").trimEnd().concat("\n");
