/**
 * Holds the rule of docs/architecture.md: edge -> store -> pure and never back, and browser -> pure. Fails on an import the
 * wrong way round; on a Cloudflare type, a clock, randomness or HTTP in a pure file; and on SQL outside stores. What is deployed
 * imports no scripts, and neither it nor a script imports tests or benches.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, relative, sep } from "node:path";

export type Kind = "edge" | "store" | "pure" | "browser";

export interface Finding {
  readonly path: string;
  readonly line: number;
  readonly what: string;
  readonly why: string;
}

const EDGE = /(^|\/)(worker|env|app)\.tsx?$|\.(route|worker|edge|consumer|cron|client|page)\.tsx?$|^durable-objects\//;
const STORE = /\.store\.ts$|(^|\/)schema\.ts$/;

/** Runs on someone's machine: it has a clock, HTTP and a document, and never a store or a worker's edge. */
const BROWSER = /^src\/medlink\/console\/browser\//;

/** @param path from the project's root, with forward slashes. */
export const kindOf = (path: string): Kind =>
  BROWSER.test(path) ? "browser" : STORE.test(path) ? "store" : EDGE.test(path) ? "edge" : "pure";

const MAY_IMPORT: Readonly<Record<Kind, readonly Kind[]>> = {
  pure: ["pure"],
  store: ["pure", "store"],
  edge: ["pure", "store", "edge"],
  browser: ["pure", "browser"],
};

const IMPORT = /\b(?:import|export)\b[^"'`;]*?\bfrom\s*["']([^"']+)["']|\bimport\s*\(?\s*["']([^"']+)["']/g;

interface Ban {
  readonly pattern: RegExp;
  readonly what: (match: string) => string;
  readonly why: string;
  readonly kinds: readonly Kind[];
}

const BANS: readonly Ban[] = [
  {
    pattern:
      /(?<=(?:[:<|&,(=]|\bas|\bextends|\breadonly)\s*)\b(?:D1[A-Z]\w+|R2\w+|KVNamespace|Queue|MessageBatch|DurableObject\w*|Fetcher|ExecutionContext|ScheduledController|WorkerEntrypoint)\b(?![\w(.])/g,
    what: (match) => `Cloudflare type ${match}`,
    why: "a pure file runs without a platform",
    kinds: ["pure"],
  },
  { pattern: /\bDate\.now\b/g, what: () => "Date.now", why: "the time is passed in", kinds: ["pure", "store"] },
  {
    pattern: /\bnew Date\(\s*\)/g,
    what: () => "new Date() without an argument",
    why: "the time is passed in",
    kinds: ["pure", "store"],
  },
  {
    pattern: /\bperformance\.now\b/g,
    what: () => "performance.now",
    why: "the time is passed in",
    kinds: ["pure", "store"],
  },
  {
    pattern: /\bMath\.random\b|\bcrypto\.(?:randomUUID|getRandomValues)\b/g,
    what: (match) => match,
    why: "randomness is passed in",
    kinds: ["pure", "store"],
  },
  {
    pattern: /(?<![.\w#])fetch\s*\(/g,
    what: () => "fetch",
    why: "HTTP belongs to an edge",
    kinds: ["pure", "store"],
  },
];

const SQL =
  /^\s*(?:SELECT\s+[\s\S]*\bFROM\s+\w|SELECT\s+(?:\d|COUNT|MAX)|INSERT\s+(?:OR\s+\w+\s+)?INTO\s+\w|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s+\w|CREATE\s+(?:TABLE|INDEX|TRIGGER|UNIQUE)\s|WITH\s+\w+(?:\([^)]*\))?\s+AS\s*\(|PRAGMA\s+\w|ALTER\s+TABLE\s|DROP\s+(?:TABLE|INDEX|TRIGGER)\s)/;

interface Piece {
  readonly start: number;
  readonly text: string;
}

/**
 * Splits a source into code, in which comments and the contents of strings are blanks of the same length, and its strings.
 * Line numbers and offsets hold. A template's `${}` parts count as code.
 */
export function scan(source: string): { readonly code: string; readonly strings: readonly Piece[] } {
  const code = source.split("");
  const strings: Piece[] = [];
  const blank = (from: number, to: number) => {
    for (let i = from; i < to; i++) if (code[i] !== "\n") code[i] = " ";
  };
  const templates: number[] = []; // brace depth at which each open template goes on
  let depth = 0;
  let lastSignificant = "";
  let i = 0;
  const template = (start: number): number => {
    let at = start;
    while (at < source.length) {
      const c = source.charAt(at);
      if (c === "\\") at += 2;
      else if (c === "`") {
        strings.push({ start, text: source.slice(start, at) });
        blank(start, at);
        return at + 1;
      } else if (c === "$" && source.charAt(at + 1) === "{") {
        strings.push({ start, text: source.slice(start, at) });
        blank(start, at);
        templates.push(depth);
        depth += 1;
        return at + 2;
      } else at += 1;
    }
    return at;
  };
  while (i < source.length) {
    const c = source.charAt(i);
    const next = source.charAt(i + 1);
    if (c === "/" && next === "/") {
      const end = source.indexOf("\n", i);
      const stop = end === -1 ? source.length : end;
      blank(i, stop);
      i = stop;
    } else if (c === "/" && next === "*") {
      const end = source.indexOf("*/", i + 2);
      const stop = end === -1 ? source.length : end + 2;
      blank(i, stop);
      i = stop;
    } else if (c === '"' || c === "'") {
      let at = i + 1;
      while (at < source.length && source.charAt(at) !== c && source.charAt(at) !== "\n") {
        at += source.charAt(at) === "\\" ? 2 : 1;
      }
      strings.push({ start: i + 1, text: source.slice(i + 1, at) });
      blank(i + 1, at);
      lastSignificant = c;
      i = at + 1;
    } else if (c === "`") {
      lastSignificant = c;
      i = template(i + 1);
    } else if (c === "/" && /[(,=:[!&|?{};\n>]/.test(lastSignificant === "" ? "\n" : lastSignificant)) {
      // A regular expression: only after something that no division can follow.
      let at = i + 1;
      let inClass = false;
      while (at < source.length && source.charAt(at) !== "\n") {
        const r = source.charAt(at);
        if (r === "\\") at += 1;
        else if (r === "[") inClass = true;
        else if (r === "]") inClass = false;
        else if (r === "/" && !inClass) break;
        at += 1;
      }
      blank(i + 1, at);
      lastSignificant = "/";
      i = at + 1;
    } else {
      if (c === "{") depth += 1;
      if (c === "}") {
        depth -= 1;
        if (templates.at(-1) === depth) {
          templates.pop();
          i = template(i + 1);
          continue;
        }
      }
      if (!/\s/.test(c)) lastSignificant = c;
      i += 1;
    }
  }
  return { code: code.join(""), strings };
}

/** @param path from the project's root. */
export function checkFile(path: string, source: string): readonly Finding[] {
  const kind = kindOf(path);
  const { code, strings } = scan(source);
  const findings: Finding[] = [];
  const lineAt = (offset: number): number => source.slice(0, offset).split("\n").length;
  const add = (offset: number, what: string, why: string) => findings.push({ path, line: lineAt(offset), what, why });

  for (const match of source.matchAll(IMPORT)) {
    // Inside a comment or a string the code is blank.
    if (code.slice(match.index, match.index + 6).trim() === "") continue;
    const specifier = match[1] ?? match[2] ?? "";
    if (specifier.startsWith("cloudflare:")) {
      if (kind !== "edge")
        add(match.index, `import of ${specifier}`, `only an edge may hold the platform; this file is ${kind}`);
    } else if (specifier.startsWith(".")) {
      const target = posix.normalize(posix.join(posix.dirname(path), specifier));
      const targetKind = kindOf(target);
      if (!MAY_IMPORT[kind].includes(targetKind)) {
        add(match.index, `import of ${target}`, `a ${kind} file may not import a file of kind ${targetKind}`);
      }
    }
  }
  for (const ban of BANS) {
    if (!ban.kinds.includes(kind)) continue;
    for (const match of code.matchAll(ban.pattern)) {
      add(match.index, ban.what(match[0]), `${ban.why}; this file is ${kind}`);
    }
  }
  if (kind !== "store") {
    for (const piece of strings) {
      if (SQL.test(piece.text)) {
        add(
          piece.start,
          `SQL "${piece.text.trim().split("\n")[0]?.slice(0, 40)}"`,
          `only stores hold SQL; this file is ${kind}`,
        );
      }
    }
  }
  return findings.sort((a, b) => a.line - b.line);
}

/** Their work is to run tests. */
const TEST_RUNNERS: readonly string[] = ["scripts/test-long.ts", "scripts/simulate.ts"];

/** Whatever runs outside the tests stands without them. @param path from the project's root. */
export function checkFolders(path: string, source: string): readonly Finding[] {
  if (TEST_RUNNERS.includes(path)) return [];
  const { code } = scan(source);
  const forbidden = path.startsWith("scripts/") ? /^(?:test|bench)\// : /^(?:test|bench|scripts)\//;
  return [...source.matchAll(IMPORT)].flatMap((match) => {
    const specifier = match[1] ?? match[2] ?? "";
    if (!specifier.startsWith(".") || code.slice(match.index, match.index + 6).trim() === "") return [];
    const target = posix.normalize(posix.join(posix.dirname(path), specifier));
    if (!forbidden.test(target)) return [];
    const line = source.slice(0, match.index).split("\n").length;
    return [{ path, line, what: `import of ${target}`, why: "what runs outside the tests stands without them" }];
  });
}

/** Every source file under `src`, `durable-objects` and `scripts`. */
export function checkProject(root: string): { readonly files: number; readonly findings: readonly Finding[] } {
  const paths = ["src", "durable-objects", "scripts"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join("/")),
  );
  return {
    files: paths.length,
    findings: paths.sort().flatMap((path) => {
      const source = readFileSync(join(root, path), "utf8");
      // Scripts are on this side of no platform: they have clocks, HTTP and SQL.
      const own = path.startsWith("scripts/") ? [] : checkFile(path, source);
      return [...own, ...checkFolders(path, source)];
    }),
  };
}

if (import.meta.main) {
  const { files, findings } = checkProject(join(dirname(import.meta.dirname), ".."));
  for (const { path, line, what, why } of findings) console.error(`${path}:${line}: ${what}: ${why}`);
  if (findings.length > 0) process.exitCode = 1;
  else console.log(`Imports of ${files} files run edge -> store -> pure, browser -> pure.`);
}
