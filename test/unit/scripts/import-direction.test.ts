import { describe, expect, test } from "vitest";
import { checkFile, checkFolders, kindOf, scan } from "../../../scripts/lint/import-direction.ts";

const found = (path: string, source: string) => checkFile(path, source).map(({ line, what }) => `${line}: ${what}`);

describe("kindOf", () => {
  test.each([
    ["src/workflow/submit-request.route.ts", "edge"],
    ["src/core/worker.ts", "edge"],
    ["src/core/env.ts", "edge"],
    ["src/platform/clock.edge.ts", "edge"],
    ["src/relay/relay.consumer.ts", "edge"],
    ["durable-objects/ledger-sequencer.ts", "edge"],
    ["src/workflow/request.store.ts", "store"],
    ["src/workflow/schema.ts", "store"],
    ["src/workflow/request.ts", "pure"],
    ["src/platform/environment.ts", "pure"],
    ["src/medlink/console/pages/claims.page.tsx", "edge"],
    ["src/medlink/console/pages/claims.view.tsx", "pure"],
    ["src/medlink/console/browser/app.ts", "browser"],
    ["src/medlink/console/browser/lib/api.ts", "browser"],
  ])("%s is %s", (path, kind) => {
    expect(kindOf(path)).toBe(kind);
  });
});

describe("an import", () => {
  test("of a store by a pure file is found, whichever form it has", () => {
    expect(found("src/a/rule.ts", 'import { load } from "./rule.store.ts";')).toEqual([
      "1: import of src/a/rule.store.ts",
    ]);
    expect(found("src/a/rule.ts", 'import type {\n  Row,\n} from "../b/schema.ts";')).toEqual([
      "1: import of src/b/schema.ts",
    ]);
    expect(found("src/a/rule.ts", 'export * from "./rule.store.ts";')).toEqual(["1: import of src/a/rule.store.ts"]);
    expect(found("src/a/rule.ts", 'const m = await import("./rule.store.ts");')).toEqual([
      "1: import of src/a/rule.store.ts",
    ]);
  });

  test("of an edge by a store is found", () => {
    expect(found("src/a/rule.store.ts", 'import type { CoreEnv } from "../core/env.ts";')).toEqual([
      "1: import of src/core/env.ts",
    ]);
  });

  test("the right way round is not found", () => {
    expect(
      found("src/a/rule.route.ts", 'import { load } from "./rule.store.ts";\nimport { rule } from "./rule.ts";'),
    ).toEqual([]);
    expect(found("src/a/rule.store.ts", 'import { rule } from "./rule.ts";')).toEqual([]);
  });

  test("of a store or an edge by a browser's script is found, and of a browser's script by anything else", () => {
    const script = "src/medlink/console/browser/app.ts";
    expect(found(script, 'import { load } from "../../a.store.ts";')).toEqual(["1: import of src/medlink/a.store.ts"]);
    expect(found(script, 'import { me } from "../page.edge.tsx";')).toEqual([
      "1: import of src/medlink/console/page.edge.tsx",
    ]);
    expect(found(script, 'import { rule } from "../../rule.ts";\nconst t = Date.now();')).toEqual([]);
    expect(found("src/medlink/console/page.edge.tsx", 'import { x } from "./browser/app.ts";')).toEqual([
      `1: import of ${script}`,
    ]);
  });

  test("of the platform is found outside an edge only", () => {
    const source = 'import { DurableObject } from "cloudflare:workers";';
    expect(found("src/a/rule.ts", source)).toEqual(["1: import of cloudflare:workers"]);
    expect(found("durable-objects/a.ts", source)).toEqual([]);
  });

  test("in a comment or a string is none", () => {
    expect(
      found("src/a/rule.ts", '// import { x } from "./rule.store.ts";\nconst s = `import x from "./a.store.ts"`;'),
    ).toEqual([]);
  });
});

describe("a pure file", () => {
  test.each([
    ["const x = (db: D1Database) => db;", "Cloudflare type D1Database"],
    ["interface E { readonly queue: Queue<string> }", "Cloudflare type Queue"],
    ["type N = DurableObjectNamespace<X>;", "Cloudflare type DurableObjectNamespace"],
    ["function f(c: ExecutionContext) {}", "Cloudflare type ExecutionContext"],
    ["const t = Date.now();", "Date.now"],
    ["const t = new Date( );", "new Date() without an argument"],
    ["const r = Math.random();", "Math.random"],
    ["const u = crypto.randomUUID();", "crypto.randomUUID"],
    ["const b = crypto.getRandomValues(new Uint8Array(1));", "crypto.getRandomValues"],
    ["const r = await fetch(url);", "fetch"],
    [`const now = () => \`at \${Date.now()}\`;`, "Date.now"],
  ])("may not hold %s", (source, what) => {
    expect(found("src/a/rule.ts", `const first = 1;\n${source}`)).toEqual([`2: ${what}`]);
  });

  test.each([
    "const d = new Date(ms);",
    "// Date.now is passed in",
    'const s = "new Date()";',
    "const q = client.fetch(1);",
    "interface Service { readonly code: string }",
    "const queue: JobQueue = x; class Queueing {}",
    "const half = (a + b) / 2; const t = '/'; const r = /fetch(`/;",
  ])("may hold %s", (source) => {
    expect(found("src/a/rule.ts", source)).toEqual([]);
  });
});

describe("SQL", () => {
  test.each([
    'db.prepare("SELECT size FROM ledger_heads");',
    "const q = `\n  INSERT OR REPLACE INTO t (a)\n  VALUES (1)`;",
    'const u = "UPDATE t SET a = 1";',
    "const w = `WITH due AS (SELECT 1) SELECT * FROM due`;",
    `const d = \`DELETE FROM t WHERE a = \${a}\`;`,
  ])("outside a store is found: %s", (source) => {
    expect(checkFile("src/a/rule.route.ts", source)).toHaveLength(1);
    expect(checkFile("src/a/rule.store.ts", source)).toEqual([]);
  });

  test("is not seen in plain words", () => {
    expect(
      found("src/a/rule.ts", 'const s = "Select a claim from the list"; const t = "update the claim";'),
    ).toHaveLength(0);
  });
});

test("blanks keep every line where it was", () => {
  const source = `a\n/* x\ny */ "s\\"t"\n\`u\${ {a: "b"} }v\`\nc`;
  const { code } = scan(source);
  expect(code.split("\n")).toHaveLength(source.split("\n").length);
  expect(code).toHaveLength(source.length);
  expect(code.endsWith("\nc")).toBe(true);
});

describe("an import across folders", () => {
  const what = (path: string, source: string) => checkFolders(path, source).map((finding) => finding.what);

  test("of tests or benches by a script, and of scripts by what is deployed, is found", () => {
    const helper = 'import { d1On } from "../../test/support/d1-sqlite.ts";';
    expect(what("scripts/lib/fill.ts", helper)).toEqual(["import of test/support/d1-sqlite.ts"]);
    expect(what("scripts/fill.ts", 'const m = await import("../bench/prepare.ts");')).toEqual([
      "import of bench/prepare.ts",
    ]);
    expect(what("src/a/rule.ts", 'import { Failure } from "../../scripts/lib/fail.ts";')).toEqual([
      "import of scripts/lib/fail.ts",
    ]);
  });

  test("of the suites by the command that runs them, and of sources by scripts, is not", () => {
    expect(what("scripts/test-long.ts", 'import { suite } from "../test/support/suite.ts";')).toEqual([]);
    expect(what("scripts/lib/fill.ts", 'import { rule } from "../../src/a/rule.ts";')).toEqual([]);
    expect(what("scripts/lib/fill.ts", '// import { d1On } from "../../test/support/d1-sqlite.ts";')).toEqual([]);
  });
});
