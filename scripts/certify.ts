/** `npm run certify`: what an insurer's endpoint must do before it goes live. */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildFacts, projectRoot } from "./lib/bundle.ts";
import { writeReport } from "./lib/certify/report.ts";
import { Certification } from "./lib/certify/scenarios.ts";
import { Failure, messageOf } from "./lib/fail.ts";

const USAGE = `npm run certify -- --url URL --secret SECRET [options]

  --url URL             the endpoint that receives webhooks
  --secret SECRET       its signing secret; or CERTIFY_SECRET in the environment, which no process list shows
  --load-seconds S      how long the load lasts (600)
  --load-per-minute N   posts a minute (240: what a destination gets unless it asks for another rate)
  --timeout-ms N        how long an answer may take (8000)
  --insurer 0x...       the insurer's address, as its events carry it
  --control URL         an endpoint like the reference receiver's: it is told to answer 503, and its effects are counted
  --out DIR             where the report goes (.data/certification)

Exits 0 when all nine scenarios pass. The events are of requests that do not exist: use a test system.`;

function read() {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean" },
      url: { type: "string" },
      secret: { type: "string" },
      control: { type: "string" },
      insurer: { type: "string", default: "0x00000000000000000000000000000000000a11ce" },
      out: { type: "string", default: ".data/certification" },
      "load-seconds": { type: "string", default: "600" },
      "load-per-minute": { type: "string", default: "240" },
      "timeout-ms": { type: "string", default: "8000" },
    },
  });
  if (values.help === true) return undefined;
  const secret = values.secret ?? process.env.CERTIFY_SECRET ?? "";
  if (values.url === undefined || !URL.canParse(values.url) || !/^https?:/.test(values.url)) throw new Failure(USAGE);
  if (secret === "") throw new Failure("the secret is missing: --secret, or CERTIFY_SECRET in the environment");
  if (!/^0x[0-9a-fA-F]{40}$/.test(values.insurer)) throw new Failure("--insurer is not an address");
  const positive = (name: "load-seconds" | "load-per-minute" | "timeout-ms", most: number): number => {
    const number = Number(values[name]);
    if (!(number > 0 && number <= most)) throw new Failure(`--${name} must be a number above 0, at most ${most}`);
    return number;
  };
  return {
    url: values.url,
    secret,
    controlUrl: values.control,
    insurerAddress: values.insurer,
    out: resolve(projectRoot, values.out),
    loadMs: positive("load-seconds", 86_400) * 1_000,
    loadPerMinute: positive("load-per-minute", 60_000),
    timeoutMs: positive("timeout-ms", 60_000),
  };
}

try {
  const options = read();
  if (options === undefined) console.log(USAGE);
  else {
    const say = (line: string) => console.log(line);
    say(`certifying ${options.url}; the load lasts ${options.loadMs / 1_000} s`);
    const scenarios = await new Certification({ ...options, say }).run();
    const passed = scenarios.every((scenario) => scenario.passed);
    const { version } = buildFacts();
    const paths = writeReport(options.out, {
      url: options.url,
      at: new Date().toISOString(),
      version,
      passed,
      scenarios,
    });
    say(`${passed ? "passed" : "failed"}: ${paths.markdown}`);
    say(`        ${paths.json}`);
    process.exitCode = passed ? 0 : 1;
  }
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
