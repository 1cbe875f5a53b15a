/** What an isolate of the hub keeps at hand, and how often that was enough: `npm run cache:stats`. */
import { parseArgs } from "node:util";
import * as z from "zod";
import { messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { typedHubAt } from "./lib/hub.ts";
import { makePrinter } from "./lib/print.ts";
import { ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `npm run cache:stats    what an isolate of the hub keeps at hand, and how often that was enough

${WHERE}`;
answerHelp(import.meta.filename, USAGE);

const statsSchema = z.object({
  hitRatio: z.number(),
  caches: z.array(
    z.object({
      name: z.string(),
      entries: z.number(),
      capacity: z.number(),
      hits: z.number(),
      misses: z.number(),
      evictions: z.number(),
      hitRatio: z.number(),
    }),
  ),
});

const printer = makePrinter(process.stdout, process.env);
const percent = (ratio: number): string => `${(100 * ratio).toFixed(1)} %`;

try {
  const { values } = parseArgs({ options: ENV_OPTION });
  const { hitRatio, caches } = await typedHubAt(values.env).ask("/api/admin/cache", statsSchema);
  printer.fact("hit ratio", `${percent(hitRatio)} (of the isolate that answered)`);
  for (const { name, entries, capacity, hits, misses, evictions, hitRatio: ratio } of caches) {
    const asked = `${percent(ratio)} of ${hits + misses}`;
    printer.fact(name, `${asked}, ${entries} of ${capacity} kept, ${evictions} evicted`);
  }
} catch (thrown) {
  process.stderr.write(`${messageOf(thrown)}\n`);
  process.exitCode = 1;
}
