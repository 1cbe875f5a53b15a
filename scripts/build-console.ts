/** `node scripts/build-console.ts`: writes the console's assets where wrangler and vitest find them. */
import { writeConsoleAssets } from "./lib/console-assets.ts";
import { answerHelp } from "./lib/help.ts";

answerHelp(import.meta.filename);

await writeConsoleAssets();
