/**
 * `npm run audit:dependencies`: known vulnerabilities of what is installed, as the registry tells them. Where the registry can not be
 * asked, that is said and nothing fails: an answer that nobody gave is no finding, and no all-clear either.
 */
import { spawnSync } from "node:child_process";
import * as z from "zod";
import { projectRoot } from "./lib/bundle.ts";
import { answerHelp } from "./lib/help.ts";

answerHelp(import.meta.filename);

const LEVELS = ["info", "low", "moderate", "high", "critical"] as const;
/** From here on the step fails. */
const FAILS_FROM: readonly string[] = ["high", "critical"];

const auditSchema = z.looseObject({
  vulnerabilities: z.record(
    z.string(),
    z.looseObject({ name: z.string(), severity: z.enum(LEVELS), range: z.string().optional() }),
  ),
});

const asked = spawnSync("npm", ["audit", "--json"], {
  cwd: projectRoot,
  encoding: "utf8",
  maxBuffer: 64_000_000,
  timeout: 120_000,
});

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const audit = auditSchema.safeParse(parsed(asked.stdout ?? ""));
if (audit.success) {
  const found = Object.values(audit.data.vulnerabilities);
  for (const { name, severity, range } of found) console.log(`${severity.padEnd(9)} ${name} ${range ?? ""}`);
  console.log(`${found.length} packages with known vulnerabilities`);
  if (found.some(({ severity }) => FAILS_FROM.includes(severity))) process.exitCode = 1;
} else {
  const why = asked.error === undefined ? "it gave no audit" : asked.error.message;
  console.log(`SKIPPED: the registry could not be asked for vulnerabilities (${why}). Nothing was audited.`);
}
