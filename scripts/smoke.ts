/** `scripts/smoke.sh <base-url>...`: what anyone can see of a core or a hub. Which of the two it is, it finds out by asking. */

import { printResult } from "./lib/check-lines.ts";
import { runChecks, type Sites, SMOKE_CHECKS } from "./lib/checks.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { call } from "./lib/http.ts";
import { makePrinter } from "./lib/print.ts";

const USAGE = "usage: scripts/smoke.sh <base-url of a core or a hub> [more]";
answerHelp(import.meta.filename, USAGE);

async function kindOf(url: string): Promise<"core" | "hub"> {
  const { status, body } = await call(`${url}/healthz`, { timeoutMs: 10_000 });
  if (status === 200 && typeof body === "object" && body !== null && "status" in body) return "hub";
  const health = await call(`${url}/health`, { timeoutMs: 10_000 });
  if (health.status === 200 || health.status === 503) return "core";
  throw new Failure(`${url} is neither a core nor a hub: /healthz answers ${status}, /health ${health.status}`);
}

async function main(): Promise<void> {
  const urls = process.argv.slice(2);
  const printer = makePrinter(process.stdout, process.env);
  if (urls.length === 0 || urls.some((url) => url.startsWith("-"))) throw new Failure(USAGE);
  let failed = 0;
  for (const url of urls.map((each) => each.replace(/\/+$/, ""))) {
    if (!URL.canParse(url)) throw new Failure(`${url} is not a URL`);
    const site = { url, key: undefined };
    const kind = await kindOf(url);
    const sites: Sites = kind === "core" ? { core: site, hub: undefined } : { core: undefined, hub: site };
    printer.line(printer.paint("bold", `${kind} at ${url}`));
    const results = await runChecks(SMOKE_CHECKS, sites, (result) => printResult(printer, result));
    failed += results.filter(({ ok }) => !ok).length;
  }
  if (failed > 0) throw new Failure(`${failed} of the checks failed`);
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
