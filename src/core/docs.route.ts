/** GET /openapi.json, made from the routes, and GET /docs, the same for people. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { html, raw } from "hono/html";
import { VERSION } from "../platform/version.ts";
import type { CoreAppEnv } from "./app.ts";

const INFO = {
  title: "iTrans core",
  version: VERSION.version,
  description: "The claims ledger: submit, acknowledge, adjudicate, settle, verify.",
};

const STYLE = `
  :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
  body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
  h2 { margin-top: 2.5rem; text-transform: capitalize; }
  details { border: 1px solid color-mix(in srgb, currentColor 25%, transparent); border-radius: 6px; margin: .5rem 0; }
  summary { padding: .6rem .8rem; cursor: pointer; }
  summary code { font-weight: 600; }
  details > div { padding: 0 .8rem .8rem; }
  pre { overflow: auto; padding: .8rem; background: color-mix(in srgb, currentColor 7%, transparent); border-radius: 6px; }
  table { border-collapse: collapse; } td { padding: .2rem .8rem .2rem 0; vertical-align: top; }`;

interface Operation {
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly requestBody?: unknown;
  readonly responses?: Readonly<Record<string, { readonly description?: string; readonly content?: unknown }>>;
}

export function registerDocs(app: OpenAPIHono<CoreAppEnv>): void {
  app.openAPIRegistry.registerComponent("securitySchemes", "apiKey", {
    type: "apiKey",
    in: "header",
    name: "x-api-key",
    description: "Or Authorization: Bearer.",
  });
  app.doc31("/openapi.json", { openapi: "3.1.0", info: INFO });
  app.get("/docs", (c) => {
    const document = app.getOpenAPI31Document({ openapi: "3.1.0", info: INFO });
    const byTag = new Map<string, { method: string; path: string; operation: Operation }[]>();
    for (const [path, item] of Object.entries(document.paths ?? {})) {
      for (const method of ["get", "post", "put", "patch", "delete"] as const) {
        const operation: Operation | undefined = item[method];
        if (operation === undefined) continue;
        const tag = operation.tags?.[0] ?? "other";
        byTag.set(tag, [...(byTag.get(tag) ?? []), { method: method.toUpperCase(), path, operation }]);
      }
    }
    c.header("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'");
    return c.html(html`<!doctype html>
<html lang="en">
  <head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${INFO.title}</title><style>${raw(STYLE)}</style></head>
  <body>
    <h1>${INFO.title}</h1>
    <p>${INFO.description} Version ${INFO.version}. The machine-readable form is <a href="/openapi.json">/openapi.json</a>.</p>
    ${[...byTag].map(
      ([tag, operations]) => html`<h2>${tag}</h2>
    ${operations.map(({ method, path, operation }) => operationSection(method, path, operation))}`,
    )}
    <h2>Schemas</h2>
    ${Object.entries(document.components?.schemas ?? {}).map(
      ([name, schema]) =>
        html`<details id="${name}"><summary><code>${name}</code></summary><div><pre>${pretty(schema)}</pre></div></details>`,
    )}
  </body>
</html>`);
  });
}

const pretty = (value: unknown): string => JSON.stringify(value, null, 2);

const operationSection = (method: string, path: string, operation: Operation) => html`
    <details>
      <summary><code>${method} ${path}</code> ${operation.summary ?? ""}</summary>
      <div>
        ${operation.requestBody === undefined ? "" : html`<p>Body</p><pre>${pretty(operation.requestBody)}</pre>`}
        <table>${Object.entries(operation.responses ?? {}).map(
          ([status, response]) => html`<tr><td>${status}</td><td>${response.description ?? ""}</td></tr>`,
        )}</table>
      </div>
    </details>`;
