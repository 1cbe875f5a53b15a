/**
 * `npm run witness`: a witness that a clinic or an insurer runs against our log. It prints its verifier key, which the log's
 * operator puts into LEDGER_WITNESSES and auditors pin.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { importSigningKey, parseSeed } from "../src/ledger/ed25519.ts";
import { formatVerifierKey, isKeyName, makeCosigner, parseVerifierKey } from "../src/ledger/note.ts";
import { readIfThere, writeAtomically } from "./lib/atomic-file.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { startWitness } from "./lib/witness-server.ts";
import { heldAlone } from "./lib/witness-state.ts";

const USAGE = `npm run witness -- --name NAME --log VKEY [options]

  --name NAME      this witness's name, a URL without scheme such as witness.clinic.example/w1
  --log VKEY       verifier key of a log to witness (its /ledger/log/key); once for each key
  --data DIR       where its key and state are kept (.data/witness); a second witness on this machine may share it
  --host HOST      address to listen on (127.0.0.1)
  --port PORT      port to listen on (3005)

The key is made once. WITNESS_KEY (32 bytes as 43 characters of base64url) in the environment stands over it.`;

function seedFrom(path: string): Uint8Array {
  const given = process.env.WITNESS_KEY ?? readIfThere(path)?.trim();
  if (given !== undefined) {
    const seed = parseSeed(given);
    if (seed === undefined) throw new Failure("the witness's key is not 43 characters of base64url");
    return seed;
  }
  const made = randomBytes(32);
  writeAtomically(path, `${made.toString("base64url")}\n`);
  return new Uint8Array(made);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      name: { type: "string" },
      log: { type: "string", multiple: true, default: [] },
      data: { type: "string", default: ".data/witness" },
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "3005" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const { name } = values;
  if (name === undefined || !isKeyName(name)) throw new Failure("--name is a name without spaces and pluses");
  const logs = values.log.map((text) => {
    const key = parseVerifierKey(text.trim());
    if (key?.type !== "ed25519") throw new Failure(`--log ${text} is not the verifier key of a log`);
    return key;
  });
  if (logs.length === 0) throw new Failure("name at least one log with --log");
  const port = Number(values.port);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Failure("--port is a number up to 65535");
  mkdirSync(values.data, { recursive: true });
  const keyFile = join(values.data, "key");
  // Two that start at once must not make two keys.
  const seed = heldAlone(keyFile, () => seedFrom(keyFile));
  const cosigner = makeCosigner(name, await importSigningKey(seed), () => Math.floor(Date.now() / 1_000));
  const stateFile = join(values.data, "state.json");
  mkdirSync(dirname(stateFile), { recursive: true });
  const witness = await startWitness({
    host: values.host,
    port,
    stateFile,
    logs,
    cosigner,
    onEvent: (event) => console.log(JSON.stringify({ at: new Date().toISOString(), ...event })),
  });
  console.log(`key      ${formatVerifierKey(cosigner.key)}`);
  console.log(`serving  ${witness.url}/add-checkpoint`);
  console.log(
    `setting  LEDGER_WITNESSES=${JSON.stringify([{ url: witness.url, key: formatVerifierKey(cosigner.key) }])}`,
  );
  const stop = () => void witness.close().then(() => process.exit(0));
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
}

main().catch((error: unknown) => {
  console.error(error instanceof Failure ? `npm run witness: ${error.message}` : messageOf(error));
  process.exitCode = 1;
});
