/** Bundles a worker as wrangler does: one ES module, the platform's own modules left outside. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import type { BuildOptions, BuildResult, Plugin } from "esbuild";
import * as esbuild from "esbuild";
import { consoleAssetsPlugin } from "./console-assets.ts";
import { Failure, messageOf } from "./fail.ts";

export const projectRoot = join(import.meta.dirname, "..", "..");

export interface BuildFacts {
  readonly version: string;
  /** The commit, or "unknown" where there is no repository. */
  readonly commit: string;
  /** RFC 3339. */
  readonly builtAt: string;
}

export function buildFacts(): BuildFacts {
  const manifest: unknown = JSON.parse(readFileSync(join(projectRoot, "package.json"), "utf8"));
  const version =
    typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "0.0.0";
  let commit = "unknown";
  try {
    commit = execFileSync("git", ["rev-parse", "HEAD"], {
      cwd: projectRoot,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    // A copy without its repository.
  }
  return { version, commit, builtAt: new Date().toISOString() };
}

/** Replacements that every build of a worker makes, wrangler's too. */
export const definesOf = (facts: BuildFacts): Readonly<Record<string, string>> => ({
  __VERSION__: JSON.stringify(facts.version),
  __COMMIT__: JSON.stringify(facts.commit),
  __BUILT_AT__: JSON.stringify(facts.builtAt),
});

/** `crypto` and `node:crypto` are one module to nodejs_compat; only the second name resolves in workerd. */
const nodeBuiltins: Plugin = {
  name: "node-builtins",
  setup(build) {
    const names = new Set(builtinModules);
    build.onResolve({ filter: /^[a-z_/]+$/ }, ({ path }) =>
      names.has(path) ? { path: `node:${path}`, external: true } : undefined,
    );
  },
};

export const workerBuildOptions = (entry: string, facts: BuildFacts) =>
  ({
    entryPoints: [entry],
    absWorkingDir: projectRoot,
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    platform: "browser",
    conditions: ["workerd", "worker", "browser"],
    mainFields: ["browser", "module", "main"],
    external: ["cloudflare:*", "node:*"],
    define: { ...definesOf(facts), "process.env.NODE_ENV": '"production"' },
    loader: { ".sql": "text", ".txt": "text", ".html": "text" },
    jsx: "automatic",
    jsxImportSource: "hono/jsx",
    plugins: [nodeBuiltins, consoleAssetsPlugin],
    logLevel: "silent",
  }) satisfies BuildOptions;

export function scriptOf(result: BuildResult): string {
  const file = result.outputFiles?.[0];
  if (file === undefined) throw new Error("the bundle is empty");
  return file.text;
}

/**
 * @returns the worker's script, its imports folded in.
 * @throws Failure with what does not build.
 */
export async function bundleWorker(entry: string, facts: BuildFacts = buildFacts()): Promise<string> {
  try {
    return scriptOf(await esbuild.build(workerBuildOptions(entry, facts)));
  } catch (error) {
    throw new Failure(messageOf(error).replace(/\s*\n\s*/g, "; "));
  }
}
