/** `npm run certify:receiver`: the reference receiver, on this machine, that can be told to misbehave. */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { MISBEHAVIOURS, type Misbehaviour, startReceiver } from "./lib/certify/receiver.ts";
import { Failure, messageOf } from "./lib/fail.ts";

const USAGE = `npm run certify:receiver -- [--port 4010] [--secret SECRET] [--misbehave NAME]...

${Object.entries(MISBEHAVIOURS)
  .map(([name, what]) => `  ${name.padEnd(20)} ${what}`)
  .join("\n")}

While it runs: GET /control counts calls and effects; PUT /control {"misbehave": [...], "unavailable": N} changes what it does
(unavailable: how many of the next calls are answered 503).`;

const isMisbehaviour = (name: string): name is Misbehaviour => name in MISBEHAVIOURS;

try {
  const { values } = parseArgs({
    options: {
      help: { type: "boolean" },
      port: { type: "string", default: "4010" },
      secret: { type: "string" },
      misbehave: { type: "string", multiple: true, default: [] },
    },
  });
  if (values.help === true) console.log(USAGE);
  else {
    const misbehave = values.misbehave.filter(isMisbehaviour);
    if (misbehave.length < values.misbehave.length) throw new Failure(USAGE);
    const port = Number(values.port);
    if (!Number.isInteger(port) || port < 0 || port > 65_535) throw new Failure("--port is not a port");
    const secret = values.secret ?? process.env.CERTIFY_SECRET ?? randomBytes(32).toString("base64url");
    const receiver = await startReceiver({ port, secret, misbehave });
    console.log(`receiving at ${receiver.url}, controlled at ${receiver.controlUrl}`);
    console.log(`npm run certify -- --url ${receiver.url} --control ${receiver.controlUrl} --secret ${secret}`);
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => void receiver.close());
  }
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
