/** `npm run sbom [-- FILE]`: the bill of materials, CycloneDX JSON, of what the lock file names. Asks no registry. */
import { spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import * as z from "zod";
import { projectRoot } from "./lib/bundle.ts";
import { answerHelp } from "./lib/help.ts";

answerHelp(import.meta.filename);

const path = resolve(projectRoot, process.argv[2] ?? "dist/sbom.cdx.json");
const made = spawnSync("npm", ["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"], {
  cwd: projectRoot,
  encoding: "utf8",
  maxBuffer: 64_000_000,
});
const parsed = z
  .looseObject({ bomFormat: z.literal("CycloneDX"), components: z.array(z.looseObject({ name: z.string() })).min(1) })
  .safeParse(made.status === 0 ? JSON.parse(made.stdout) : undefined);
if (parsed.success) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, made.stdout);
  console.log(`${path}: ${parsed.data.components.length} components`);
} else {
  console.error(`npm made no bill of materials: ${made.stderr.trim()}`);
  process.exitCode = 1;
}
