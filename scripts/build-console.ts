/** Writes the console's assets where wrangler and vitest find them. */
import { writeConsoleAssets } from "./lib/console-assets.ts";

await writeConsoleAssets();
