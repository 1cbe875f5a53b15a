/**
 * `npm run verify`: checks a proof bundle, or a whole log over HTTP, without trusting whoever runs the log. It imports the
 * hashes and formats of src/ledger and nothing that reads or writes the ledger.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { parseVerifierKey } from "../src/ledger/note.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { makePrinter, type Printer } from "./lib/print.ts";
import { verifyBundle } from "./lib/verify-bundle.ts";
import { verifyLog } from "./lib/verify-log.ts";
import type { Pins } from "./lib/verify-pins.ts";
import { EXIT_CODES, type Report } from "./lib/verify-report.ts";

const USAGE = `npm run verify -- BUNDLE-FILE | LOG-URL [options]

  --key VKEY         the log's verifier key, from somewhere else than the log; once for each key during a rotation
  --chain-id ID      the chain that holds the anchors
  --contract ADDR    the anchor contract
  --rpc URL          a node of that chain, best your own; without it the chain is not asked, and the report says so
  --no-chain         for a log that no chain anchors: the key alone is enough, and the report says that you asked for it
  --state FILE       remembers what was checked and the newest checkpoint seen, and goes on from there; a bundle is compared
                     with that checkpoint, and only the first one is remembered
  --token TOKEN      the auditor's token, for a log that is not public (or AUDITOR_TOKEN)
  --entry FILE       the entry's bytes, for a bundle in text form
  --fetches N        fetches under way at once (8)
  --json             the report as one JSON object

Exit codes: 0 valid, 1 invalid, 2 unverified (key, chain id or contract not pinned, something could not be reached, or an
anchor seen before is no longer on the chain), 3 wrong use.`;

const WRONG_USE = 3;

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        key: { type: "string", multiple: true, default: [] },
        "chain-id": { type: "string" },
        contract: { type: "string" },
        rpc: { type: "string" },
        "no-chain": { type: "boolean", default: false },
        state: { type: "string" },
        token: { type: "string" },
        entry: { type: "string" },
        fetches: { type: "string", default: "8" },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
  } catch (error) {
    throw new Failure(messageOf(error));
  }
}

async function main(): Promise<number> {
  const { values, positionals } = readArguments();
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const [subject] = positionals;
  if (subject === undefined || positionals.length > 1) throw new Failure("name one bundle file or log URL (--help)");
  const keys = values.key.map((text) => {
    const key = parseVerifierKey(text.trim());
    if (key?.type !== "ed25519") throw new Failure("--key is not the verifier key of a log");
    return key;
  });
  const chainId = values["chain-id"] === undefined ? undefined : Number(values["chain-id"]);
  if (chainId !== undefined && !Number.isSafeInteger(chainId)) throw new Failure("--chain-id is a number");
  const { contract, rpc: rpcUrl } = values;
  if (contract !== undefined && !/^0x[0-9a-fA-F]{40}$/.test(contract)) throw new Failure("--contract is an address");
  const fetchesAtOnce = Number(values.fetches);
  if (!Number.isInteger(fetchesAtOnce) || fetchesAtOnce < 2 || fetchesAtOnce > 64) {
    throw new Failure("--fetches is a number from 2 to 64");
  }
  const printer = makePrinter(process.stdout, process.env);
  const pins: Pins = { keys, chainId, contract, rpcUrl, withoutChain: values["no-chain"] };
  const stateFile = values.state;
  const report = /^https?:\/\//i.test(subject)
    ? await verifyLog(subject, pins, {
        token: values.token ?? process.env.AUDITOR_TOKEN,
        stateFile,
        fetchesAtOnce,
        ...(process.stderr.isTTY ? { onProgress: progressBar() } : {}),
      })
    : await verifyBundle(subject, readText(subject), pins, {
        entry: values.entry === undefined ? undefined : new Uint8Array(readBytes(values.entry)),
        stateFile,
      });
  if (process.stderr.isTTY) process.stderr.write("\r\u001b[K");
  if (values.json) console.log(JSON.stringify(report, null, 2));
  else print(report, printer);
  return EXIT_CODES[report.status];
}

function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch {
    throw new Failure(`${path} can not be read`);
  }
}

const readText = (path: string): string => readBytes(path).toString("utf8");

const BAR_WIDTH = 24;

function progressBar(): (done: number, total: number) => void {
  const began = performance.now();
  let first: number | undefined;
  let shown = 0;
  return (done, total) => {
    first ??= done;
    const now = performance.now();
    if (now - shown < 100 && done < total) return;
    shown = now;
    const filled = Math.round((BAR_WIDTH * done) / total);
    const perSecond = Math.round((1_000 * (done - first)) / Math.max(1, now - began));
    const bar = `${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}`;
    const percent = Math.floor((100 * done) / total);
    process.stderr.write(
      `\r\u001b[K[${bar}] ${percent} %  ${done.toLocaleString("en")} of ${total.toLocaleString("en")} entries  ${perSecond.toLocaleString("en")}/s`,
    );
  };
}

function print(report: Report, printer: Printer): void {
  const colours = { valid: "green", invalid: "red", unverified: "yellow" } as const;
  const words = { ok: "ok", failed: "FAILED", "not-checked": "not checked" } as const;
  printer.line(`${printer.paint(colours[report.status], report.status)}  ${report.subject}`);
  for (const { name, status, detail } of report.checks) printer.fact(name, `${words[status]}: ${detail}`);
  if (report.rootHash !== undefined) printer.fact("root", report.rootHash);
  for (const { type, detail } of report.findings) printer.warn(`${type}: ${detail}`);
  for (const [type, count] of Object.entries(report.omitted)) printer.warn(`${type}: ${count} more, not listed`);
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(error instanceof Failure ? `npm run verify: ${error.message}` : error);
    process.exitCode = WRONG_USE;
  },
);
