/** `npm run build`: what would be deployed, under dist/<worker>, by wrangler itself; and the contract. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { buildFacts, definesOf, projectRoot } from "./lib/bundle.ts";
import { answerHelp } from "./lib/help.ts";
import { WORKERS } from "./lib/stack.ts";

answerHelp(import.meta.filename);

const run = promisify(execFile);

/** Cloudflare's limit for a worker on a paid plan, after compression. */
const LIMIT_BYTES = 10 * 1024 * 1024;

const kilobytes = (bytes: number): string => `${(bytes / 1024).toFixed(0)} kB`;

/** @throws Error with what the child printed. */
async function node(script: string, args: readonly string[]): Promise<void> {
  const env = { ...process.env, WRANGLER_SEND_METRICS: "false", CI: "true" };
  try {
    await run(process.execPath, [script, ...args], { cwd: projectRoot, env, maxBuffer: 32 * 1024 * 1024 });
  } catch (error) {
    const output =
      error instanceof Error && "stderr" in error && "stdout" in error
        ? `${error.stdout}${error.stderr}`
        : String(error);
    throw new Error(`${relative(projectRoot, script)} ${args.join(" ")}\n${output.trim()}`);
  }
}

const wrangler = join(dirname(createRequire(import.meta.url).resolve("wrangler/package.json")), "bin", "wrangler.js");

async function build(): Promise<void> {
  const contract = join(projectRoot, "scripts", "build-contract.ts");
  if (existsSync(contract)) {
    await node(contract, []);
    console.log("contract      contracts/artifacts");
  }
  const defines = Object.entries(definesOf(buildFacts())).flatMap(([name, value]) => ["--define", `${name}:${value}`]);
  let tooLarge = false;
  for (const [worker, { config }] of Object.entries(WORKERS)) {
    const outdir = join("dist", worker);
    rmSync(join(projectRoot, outdir), { recursive: true, force: true });
    await node(wrangler, ["deploy", "--dry-run", "--config", config, "--outdir", outdir, ...defines]);
    const scripts = readdirSync(join(projectRoot, outdir)).filter((name) => /\.(m?js|wasm|bin|txt|html)$/.test(name));
    const bytes = scripts.map((name) => readFileSync(join(projectRoot, outdir, name)));
    const raw = bytes.reduce((sum, content) => sum + content.length, 0);
    const compressed = bytes.reduce((sum, content) => sum + gzipSync(content).length, 0);
    console.log(`${worker.padEnd(13)} ${outdir}  ${kilobytes(raw)}, ${kilobytes(compressed)} gzip`);
    tooLarge ||= compressed > LIMIT_BYTES;
  }
  if (tooLarge) throw new Error("a worker is larger than Cloudflare takes");
}

build().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
