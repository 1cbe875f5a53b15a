/**
 * The console's scripts and styles, made into the one module that the hub serves them from: src/medlink/console/assets.generated.js,
 * which git ignores. Wrangler writes it before it bundles (`build` in wrangler.medlink.toml), vitest before its projects start; our own
 * bundler makes it in memory, and again when a source changes.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import * as esbuild from "esbuild";
import { SCRIPTS } from "../../src/medlink/console/scripts.ts";
import { readIfThere, writeAtomically } from "./atomic-file.ts";

const projectRoot = join(import.meta.dirname, "..", "..");
const folder = join(projectRoot, "src", "medlink", "console");
export const GENERATED = join(folder, "assets.generated.js");

const TYPES: Readonly<Record<string, string>> = {
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** @returns the module's source, and the files it was made from. @throws when a script or style does not build. */
export async function consoleAssets(): Promise<{ readonly source: string; readonly inputs: readonly string[] }> {
  const result = await esbuild.build({
    absWorkingDir: projectRoot,
    entryPoints: [
      ...SCRIPTS.map((name) => join(folder, "browser", `${name}.ts`)),
      join(folder, "styles", "console.css"),
    ],
    outdir: "/assets",
    entryNames: "[name]-[hash]",
    chunkNames: "shared-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    // The ledger's pure modules take two small things of Node, which workers have and browsers do not.
    alias: {
      "node:buffer": join(folder, "browser", "node", "buffer.ts"),
      "node:util": join(folder, "browser", "node", "util.ts"),
    },
    minify: true,
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const files: Record<string, { type: string; body: string }> = {};
  const paths: Record<string, string> = {};
  for (const { path, text } of result.outputFiles) {
    const name = basename(path);
    const extension = extname(name);
    files[`/assets/${name}`] = { type: TYPES[extension] ?? "application/octet-stream", body: text };
    paths[name.replace(/-[A-Z0-9]{8}(?=\.\w+$)/, "")] = `/assets/${name}`;
  }
  const icon = readFileSync(join(folder, "styles", "icon.svg"), "utf8");
  const iconPath = `/assets/icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8)}.svg`;
  files[iconPath] = { type: TYPES[".svg"] ?? "", body: icon };
  paths["icon.svg"] = iconPath;
  const source = [
    "// Made by scripts/build-console.ts.",
    `export const files = ${JSON.stringify(files, undefined, 1)};`,
    `export const paths = ${JSON.stringify(paths, undefined, 1)};`,
    "",
  ].join("\n");
  return { source, inputs: Object.keys(result.metafile.inputs).map((path) => join(projectRoot, path)) };
}

/** Writes the module, if it says something else than the one that is there. */
export async function writeConsoleAssets(): Promise<void> {
  const { source } = await consoleAssets();
  if (readIfThere(GENERATED) !== source) writeAtomically(GENERATED, source, 0o644);
}

/** Gives our own bundler the module without the file, and watches what it is made from. */
export const consoleAssetsPlugin: esbuild.Plugin = {
  name: "console-assets",
  setup(build) {
    build.onResolve({ filter: /\/assets\.generated\.js$/ }, () => ({ path: GENERATED }));
    build.onLoad({ filter: /[\\/]assets\.generated\.js$/ }, async () => {
      const { source, inputs } = await consoleAssets();
      return { contents: source, loader: "js", watchFiles: [...inputs] };
    });
  },
};
