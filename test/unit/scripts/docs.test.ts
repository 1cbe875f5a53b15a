/** What the documents name exists: commands, scripts, endpoints, alerts. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { WHERE } from "../../../scripts/lib/sites.ts";
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

/** @param path ends in `/` or `/*` when it stands for everything below it. */
const matches = (path: string): boolean => {
  const all = /\/\*?$/.test(path) && path !== "/";
  const wanted = (all ? path.replace(/\/\*?$/, "") : path).split("/");
  return [...routePaths].some((route) => {
    const parts = all ? route.split("/").slice(0, wanted.length) : route.split("/");
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

const flagsIn = (text: string): readonly string[] =>
  [...text.matchAll(/(?<![\w-])--([a-z][\w-]*)/g)].map(([, name = ""]) => name);

/** What a script prints for `--help` or a wrong argument: its USAGE, else the comment at its head. */
function usageOf(source: string): string {
  const [, usage] = /const USAGE = `([\s\S]*?)`;/.exec(source) ?? /^ *`(npm run [\s\S]*?)`/m.exec(source) ?? [];
  if (usage !== undefined) return usage.replace("${WHERE}", WHERE);
  return /^\/\*\*([\s\S]*?)\*\//.exec(source)?.[1] ?? "";
}

/** What the usage says of one command of several, and of all of them: its own lines, and those that stand apart. */
function usageOfCommand(usage: string, command: string): string {
  const paragraphs = usage.split(/\n[ *]*\n/);
  const listing = paragraphs.filter((paragraph) => /^[ *]*npm run /m.test(paragraph));
  const entries = listing.flatMap((paragraph) => paragraph.split(/(?=npm run )/));
  const own = entries.filter((entry) => new RegExp(`^npm run ${command}(?![\\w:-])`).test(entry));
  return own.length === 0 ? usage : [...own, ...paragraphs.filter((each) => !listing.includes(each))].join("\n");
}

/** Flags that a script reads: given to parseArgs, or looked for by name. */
const readBy = (source: string): ReadonlySet<string> =>
  new Set(
    [
      ...source.matchAll(/(?:^|[{,\s])"?([a-z][\w-]*)"?: \{ type: "(?:string|boolean)"/g),
      ...source.matchAll(/"--([a-z][\w-]*)=?"/g),
      ...source.matchAll(/\b(ENV)_OPTION\b/g),
    ].map(([, name = ""]) => name.toLowerCase()),
  );

/** @returns the flags that a document gives a command and that the command does not take, or says nothing of. */
function flagFaults(text: string): readonly string[] {
  const joined = text.replaceAll(/\\\n\s*/g, " ");
  return [...joined.matchAll(/npm run ([a-z][\w:-]*)((?:(?!npm run)[^`\n|#;])*)/g)].flatMap(
    ([, name = "", rest = ""]) => {
      const [, file] = /^node ((?:scripts|bench)\/[\w./-]+\.ts)/.exec(String(packageScripts[name] ?? "")) ?? [];
      if (file === undefined) return [];
      const source = read(file);
      const [taken, said] = [readBy(source), new Set(flagsIn(usageOfCommand(usageOf(source), name)))];
      return flagsIn(rest)
        .filter((flag) => flag !== "help" && !(taken.has(flag) && said.has(flag)))
        .map((flag) => `npm run ${name} -- --${flag}`);
    },
  );
}

it("a flag that a command does not take is found, of this command and of the others of its script", () => {
  expect(flagFaults("`npm run alerts:silence -- ledger-integrity --minutes 30 --reason R`")).toEqual([]);
  expect(flagFaults("`npm run alerts:silence -- ledger-integrity --hours 3`")).toEqual([
    "npm run alerts:silence -- --hours",
  ]);
  expect(flagFaults("`npm run alerts:status -- --minutes 30`")).toEqual(["npm run alerts:status -- --minutes"]);
});

it.each(documents)("%s gives commands no flag that they do not take", (document) => {
  expect(flagFaults(read(document))).toEqual([]);
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

it.each(documents.filter((name) => name !== GENERATED))("%s names paths that are served", (document) => {
  const paths = [
    ...read(document).matchAll(
      /`(\/(?:ledger|api|operations|relay|workflow|claims|settlements|backups|tenants|health|healthz|readyz|metrics|version|fhir)(?:\/[^\s`?]*)?)(?:\?[^`]*)?`/g,
    ),
  ].map(([, path = ""]) => path);
  expect([...new Set(paths)].filter((path) => !matches(path.replaceAll(/\{[^}]*\}|:\w+|<[^>]*>/g, "*")))).toEqual([]);
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
