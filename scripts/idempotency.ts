/** `npm run idempotency:*`: Idempotency-Keys of core, thin over its API. */
import { parseArgs } from "node:util";
import { Failure, messageOf } from "./lib/fail.ts";
import type { Operator } from "./lib/operator.ts";
import { coreAt, ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `npm run idempotency:list [-- --state PROCESSING|COMPLETED] [--tenant T] [--before TIME] [--limit N]
npm run idempotency:resolve -- <keyId>    finishes a key that was left PROCESSING, as the ledger says what happened

Times are RFC 3339.
${WHERE}`;

const OPTIONS = {
  help: { type: "boolean" },
  ...ENV_OPTION,
  state: { type: "string" },
  tenant: { type: "string" },
  before: { type: "string" },
  limit: { type: "string" },
} as const;

const parse = (args: readonly string[]) => parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });

async function run(command: string | undefined, args: ReturnType<typeof parse>, operator: Operator): Promise<unknown> {
  const { values, positionals } = args;
  switch (command) {
    case "list": {
      const query = new URLSearchParams();
      for (const [name, value] of [
        ["state", values.state],
        ["tenantId", values.tenant],
        ["before", values.before],
        ["limit", values.limit],
      ] as const) {
        if (value !== undefined) query.set(name, value);
      }
      return operator.ask(`/operations/idempotency-keys?${query}`);
    }
    case "resolve": {
      const [keyId] = positionals;
      if (keyId === undefined) throw new Failure("name the keyId; npm run idempotency:list shows them");
      return operator.ask(`/operations/idempotency-keys/${encodeURIComponent(keyId)}/resolve`, {
        method: "POST",
        body: {},
      });
    }
    default:
      throw new Failure(USAGE);
  }
}

try {
  const [command, ...rest] = process.argv.slice(2);
  const args = parse(rest);
  if (args.values.help === true || command === "help") console.log(USAGE);
  else console.log(JSON.stringify(await run(command, args, coreAt(args.values.env)), null, 2));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
