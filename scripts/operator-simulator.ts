/**
 * The payer's operator of docs/operator-api.md, for development and tests: a process of its own with its own books. What it does is
 * printed as one JSON object a line.
 */
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { messageOf } from "./lib/fail.ts";
import { startSimulator } from "./lib/operator-simulator/server.ts";

const USAGE = `node scripts/operator-simulator.ts [--port N] [--store FILE] [--behaviour JSON]

  --port N          0 takes a free one (3005)
  --store FILE      its books (.data/operator/books.db)
  --behaviour JSON  how it misbehaves; scripts/lib/operator-simulator/behaviour.ts has the fields

OPERATOR_HMAC_SECRET is the shared secret, OPERATOR_HMAC_SECRET_PREVIOUS the one before it during a rotation.
OPERATOR_CONTROL_TOKEN, when set, opens GET /control/status, PUT /control/behaviour, and POST, PATCH and DELETE
/control/transactions[/<id>], with the token as X-Control-Token: they make each kind of mismatch.`;

const say = (event: string, fields: Readonly<Record<string, unknown>> = {}) =>
  console.log(JSON.stringify({ at: new Date().toISOString(), event, ...fields }));

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: "string", default: "3005" },
      store: { type: "string", default: ".data/operator/books.db" },
      behaviour: { type: "string", default: "{}" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(USAGE);
  const { OPERATOR_HMAC_SECRET, OPERATOR_HMAC_SECRET_PREVIOUS, OPERATOR_CONTROL_TOKEN = "" } = process.env;
  const secrets = [OPERATOR_HMAC_SECRET, OPERATOR_HMAC_SECRET_PREVIOUS].filter(
    (secret): secret is string => secret !== undefined && secret !== "",
  );
  if (secrets.length === 0) throw new Error("OPERATOR_HMAC_SECRET is not set");
  const simulator = await startSimulator({
    port: Number(values.port),
    secrets,
    store: values.store === ":memory:" ? values.store : resolve(values.store),
    behaviour: JSON.parse(values.behaviour),
    ...(OPERATOR_CONTROL_TOKEN === "" ? {} : { controlToken: OPERATOR_CONTROL_TOKEN }),
  });
  say("listening", { url: simulator.url });
  let ending = false;
  const end = () => {
    if (ending) return;
    ending = true;
    simulator.close().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  // Started by a runner that may be killed: without it this process has no work.
  process.on("disconnect", end);
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, end);
}

main().catch((error: unknown) => {
  console.error(messageOf(error));
  process.exit(1);
});
