/** `npm run tenants:*`, `keys:*`, `actions`: who may call core, and what operators did, thin over core's API. */
import { parseArgs } from "node:util";
import { Failure, messageOf } from "./lib/fail.ts";
import type { Operator } from "./lib/operator.ts";
import { coreAt, ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `npm run tenants:list
npm run tenants:create -- <id> --name NAME
npm run tenants:close -- <id>                   its keys open nothing any more; for good
npm run keys:list [-- --tenant T]               without the keys: only their hashes are kept
npm run keys:create -- --surface claims|workflow|operator --scopes read,submit [--tenant T] [--insurer 0x...]
                       [--per-minute N] [--label TEXT]          the key is shown once
npm run keys:revoke -- <key id> [--tenant T]    felt within a second; for good
npm run actions [-- --action CODE] [--actor KEY] [--limit N]    what operators did, newest first

Scopes are submit, read, adjudicate, audit and operate (an operator's alone). The tenant is "default" without --tenant.
${WHERE}`;

const OPTIONS = {
  help: { type: "boolean" },
  ...ENV_OPTION,
  tenant: { type: "string" },
  name: { type: "string" },
  surface: { type: "string" },
  scopes: { type: "string" },
  insurer: { type: "string" },
  "per-minute": { type: "string" },
  label: { type: "string" },
  action: { type: "string" },
  actor: { type: "string" },
  limit: { type: "string" },
} as const;

const parse = (args: readonly string[]) => parseArgs({ args: [...args], allowPositionals: true, options: OPTIONS });
type Values = ReturnType<typeof parse>["values"];

const segment = (value: string | undefined, what: string): string => {
  if (value === undefined || value === "") throw new Failure(`name the ${what}`);
  return encodeURIComponent(value);
};

function numberOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value)) throw new Failure("--per-minute is not a whole number");
  return Number(value);
}

async function run(command: string, subject: string | undefined, values: Values, operator: Operator): Promise<unknown> {
  const tenant = segment(values.tenant ?? "default", "tenant");
  switch (command) {
    case "tenants list":
      return operator.ask("/tenants?limit=500");
    case "tenants create":
      return operator.ask("/tenants", { method: "POST", body: { tenantId: subject ?? "", name: values.name ?? "" } });
    case "tenants close":
      await operator.ask(`/tenants/${segment(subject, "tenant")}`, { method: "DELETE" });
      return { tenantId: subject, closed: true };
    case "keys list":
      return operator.ask(`/tenants/${tenant}/keys`);
    case "keys create": {
      const perMinute = numberOf(values["per-minute"]);
      return operator.ask(`/tenants/${tenant}/keys`, {
        method: "POST",
        body: {
          surface: values.surface ?? "",
          scopes: (values.scopes ?? "").split(",").filter((scope) => scope !== ""),
          ...(values.insurer === undefined ? {} : { insurerAddress: values.insurer }),
          ...(perMinute === undefined ? {} : { requestsPerMinute: perMinute }),
          ...(values.label === undefined ? {} : { label: values.label }),
        },
      });
    }
    case "keys revoke":
      await operator.ask(`/tenants/${tenant}/keys/${segment(subject, "key's id")}`, { method: "DELETE" });
      return { keyId: subject, revoked: true };
    case "actions": {
      const query = Object.entries({ action: values.action, actor: values.actor, limit: values.limit });
      const given = query.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]));
      return operator.ask(`/operations/actions?${new URLSearchParams(given)}`);
    }
    default:
      throw new Failure(USAGE);
  }
}

try {
  const { values, positionals } = parse(process.argv.slice(2));
  const words = positionals[0] === "actions" ? 1 : 2;
  const command = positionals.slice(0, words).join(" ");
  if (values.help === true) console.log(USAGE);
  else console.log(JSON.stringify(await run(command, positionals[words], values, coreAt(values.env)), null, 2));
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
