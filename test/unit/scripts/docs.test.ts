/** What the documents name exists: commands, scripts, endpoints, alerts. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { EVALUATOR_SILENT } from "../../../src/medlink/watch/watch.ts";
import { alertRules } from "../../../src/operations/alerts/alert-rules.ts";

const ROOT = join(import.meta.dirname, "../../..");
const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const documents = [
  "README.md",
  "CONTRIBUTING.md",
  ...readdirSync(join(ROOT, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

const packageScripts: Readonly<Record<string, unknown>> = JSON.parse(read("package.json")).scripts;
const BUILT_IN = new Set(["start", "test", "run"]);

/** Paths of routes with every parameter as `*`, from where they are declared. */
const routePaths: ReadonlySet<string> = new Set(
  readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(route|edge|page)\.tsx?$/.test(name) || /(app|worker)\.[a-z.]*ts$/.test(name))
    .flatMap((name) => [...read(`src/${name}`).matchAll(/["'`](\/[\w./{}:$*-]*)["'`]/g)])
    .map(([, path = ""]) => path.replaceAll(/\{[^}]*\}|:\w+|\$\{[^}]*\}/g, "*").replace(/\/+$/, "")),
);

const matches = (path: string): boolean => {
  const wanted = path.split("/");
  return [...routePaths].some((route) => {
    const parts = route.split("/");
    return (
      parts.length === wanted.length &&
      parts.every((part, index) => part === wanted[index] || part === "*" || part.includes("*"))
    );
  });
};

it.each(documents)("%s names commands and files that exist", (document) => {
  const text = read(document);
  const commands = [...text.matchAll(/npm run ([a-z][\w:-]*)/g)].map(([, name = ""]) => name);
  expect(commands.filter((name) => !(name in packageScripts) && !BUILT_IN.has(name))).toEqual([]);
  const scripts = [...text.matchAll(/(?<![\w/.-])((?:scripts|bench|docs)\/[\w./-]+\.(?:sh|ts|md|json|png))/g)];
  expect(scripts.map(([, path = ""]) => path).filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
});

/** Made from the routes as they are served, which test/e2e/docs.test.ts holds it to. */
const GENERATED = "docs/api.md";

it.each(documents.filter((name) => name !== GENERATED))("%s names endpoints that are served", (document) => {
  const endpoints = [...read(document).matchAll(/`(?:GET|POST|PUT|PATCH|DELETE) (\/[^\s`?]*)/g)]
    .map(([, path = ""]) => path)
    .filter((path) => !path.startsWith("/v2/"));
  const unknown = endpoints.filter((path) => !matches(path.replaceAll(/\{[^}]*\}|:\w+|<[^>]*>/g, "*")));
  expect(unknown).toEqual([]);
});

it("the runbook has a section for every alert, and for nothing else", () => {
  const sections = [...read("docs/runbook.md").matchAll(/^## ([a-z-]+)$/gm)].map(([, name]) => name);
  expect(sections).toEqual(
    [
      ...alertRules({ anchorEveryMs: 1, anchorPendingMs: 1, databaseBytes: 1, bucketDailyBytes: 1 }),
      EVALUATOR_SILENT,
    ].map(({ name }) => name),
  );
});
