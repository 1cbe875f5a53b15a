/**
 * Stands in for Cloudflare where there is no account: records what would be called, answers as told, and refuses every command and
 * option that wrangler does not list in its own help. The help is kept in wrangler-help.json, since starting wrangler takes seconds;
 * it names the version it is of, and after an update `node test/support/write-wrangler-help.ts` asks again.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { projectRoot } from "../../scripts/lib/bundle.ts";
import type { Platform } from "../../scripts/lib/platform.ts";
import { commandOf, unknownFlags, wranglerVersion } from "../../scripts/lib/wrangler-help.ts";

const read = (path: string): unknown => JSON.parse(readFileSync(join(projectRoot, path), "utf8"));

const kept = z
  .object({ version: z.string(), help: z.record(z.string(), z.string()) })
  .parse(read("test/support/wrangler-help.json"));

export interface RecordedCall {
  readonly args: readonly string[];
  readonly input: string | undefined;
}

/** @throws Error naming what wrangler does not know, or that what is kept of its help is of another version. */
export function checkArguments(args: readonly string[]): void {
  const version = wranglerVersion();
  if (version !== kept.version) throw new Error(`wrangler-help.json is of ${kept.version}; ${version} is installed`);
  const command = commandOf(args);
  const help = kept.help[command];
  if (help === undefined) throw new Error(`wrangler-help.json has no command ${command}`);
  const unknown = unknownFlags(help, args.slice(command.split(" ").length));
  if (unknown.length > 0) throw new Error(`wrangler ${command} knows no ${unknown.join(", ")}`);
}

export function recordingPlatform(answer: (call: RecordedCall) => string | Promise<string>): Platform & {
  readonly calls: readonly RecordedCall[];
} {
  const calls: RecordedCall[] = [];
  return {
    calls,
    async wrangler(args, input) {
      checkArguments(args);
      const recorded = { args, input };
      calls.push(recorded);
      return answer(recorded);
    },
  };
}
