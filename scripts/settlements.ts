/** `npm run settlements:*`: settlements of core, thin over its API. */
import { parseArgs } from "node:util";
import { Failure, messageOf } from "./lib/fail.ts";
import type { Operator } from "./lib/operator.ts";
import { coreAt, ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `npm run settlements:list [-- --status S] [--type T] [--currency C] [--from TIME] [--to TIME] [--tenant T] [--limit N]
npm run settlements:show -- <refId>       with its entries of the ledger and what is being done about it
npm run settlements:resolve -- <refId> --outcome COMPLETED|REJECTED|FAILED --reason CODE [--operator-id ID]
npm run settlements:replay -- <refId>     sends a failed or rejected one again, once the operator says that it does not have it

Times are RFC 3339; CODE is A to Z, 0 to 9 and hyphens, and goes into the ledger.
${WHERE}`;

const OPTIONS = {
  help: { type: "boolean" },
  ...ENV_OPTION,
  status: { type: "string" },
  type: { type: "string" },
  currency: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  tenant: { type: "string" },
  limit: { type: "string" },
  outcome: { type: "string" },
  reason: { type: "string" },
  "operator-id": { type: "string" },
} as const;

const parse = (args: readonly string[]) => parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });

async function run(command: string | undefined, args: ReturnType<typeof parse>, operator: Operator): Promise<unknown> {
  const { values, positionals } = args;
  const path = (): string => {
    const [refId] = positionals;
    if (refId === undefined) throw new Failure("name the refId; npm run settlements:list shows them");
    return `/settlements/${encodeURIComponent(refId)}`;
  };
  switch (command) {
    case "list": {
      const query = new URLSearchParams();
      for (const name of ["status", "type", "currency", "from", "to", "limit"] as const) {
        const value = values[name];
        if (value !== undefined) query.set(name, value);
      }
      if (values.tenant !== undefined) query.set("tenantId", values.tenant);
      return operator.ask(`/settlements?${query}`);
    }
    case "show":
      return operator.ask(path());
    case "resolve": {
      const operatorTransactionId = values["operator-id"];
      return operator.ask(`${path()}/resolve`, {
        method: "POST",
        body: {
          outcome: values.outcome ?? "",
          reason: values.reason ?? "",
          ...(operatorTransactionId === undefined ? {} : { operatorTransactionId }),
        },
      });
    }
    case "replay":
      return operator.ask(`${path()}/replay`, { method: "POST", body: {} });
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
