/** `npm run maintenance:*`: writes are refused at core and hub, or taken again. */
import { parseArgs } from "node:util";
import * as z from "zod";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import type { Operator } from "./lib/operator.ts";
import { makePrinter } from "./lib/print.ts";
import { coreAt, ENV_OPTION, hubAt, WHERE } from "./lib/sites.ts";

const USAGE = `npm run maintenance:on -- --minutes N --reason CODE [--only core|hub]
npm run maintenance:off    [-- --only core|hub]
npm run maintenance:status

On: reads stay, writes answer 503 with Retry-After; deliveries, anchors and callbacks go on. CODE is A to Z, 0 to 9 and hyphens.
${WHERE}`;
answerHelp(import.meta.filename, USAGE);

const answerSchema = z.object({ on: z.boolean(), until: z.string().nullable(), reason: z.string().nullable() });

interface Side {
  readonly name: "core" | "hub";
  readonly path: string;
  readonly operatorAt: (env: string | undefined) => Operator;
}

const SIDES: readonly Side[] = [
  { name: "core", path: "/operations/maintenance", operatorAt: coreAt },
  { name: "hub", path: "/api/operations/maintenance", operatorAt: hubAt },
];

async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2);
  const { values } = parseArgs({
    args: rest,
    options: { minutes: { type: "string" }, reason: { type: "string" }, only: { type: "string" }, ...ENV_OPTION },
  });
  const { minutes, reason, only } = values;
  if (command !== "on" && command !== "off" && command !== "status") throw new Failure(USAGE);
  if (command === "on" && (minutes === undefined || reason === undefined)) {
    throw new Failure(
      "give --minutes N and --reason CODE: callers are told when to come back, and the record says why",
    );
  }
  const sides = SIDES.filter(({ name }) => only === undefined || only === name);
  if (sides.length === 0) throw new Failure("--only is core or hub");
  const printer = makePrinter(process.stdout, process.env);
  // The hub first when it begins, so that nothing it took is refused by core; last when it ends.
  for (const { name, path, operatorAt } of command === "on" ? sides.toReversed() : sides) {
    const body = command === "on" ? { on: true, minutes: Number(minutes), reason } : { on: false };
    const answer = await operatorAt(values.env).ask(path, command === "status" ? {} : { method: "PUT", body });
    const { on, until, reason: why } = answerSchema.parse(answer);
    printer.fact(name, on ? `maintenance until ${until ?? "it is ended"}, ${why ?? ""}` : "takes everything");
  }
}

main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
