/** What the installed wrangler says that its commands take. Starting it takes seconds, so each command's help is kept by version. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import * as z from "zod";
import { writeAtomically } from "./atomic-file.ts";
import { projectRoot } from "./bundle.ts";
import { Failure, messageOf } from "./fail.ts";

export const WRANGLER = join(projectRoot, "node_modules/wrangler/bin/wrangler.js");

/** Groups whose commands have one word more. */
const GROUPS = new Set(["d1 time-travel", "d1 migrations", "versions secret"]);

export function commandOf(args: readonly string[]): string {
  const [first = "", second = "", third = ""] = args;
  if (GROUPS.has(`${first} ${second}`)) return `${first} ${second} ${third}`;
  return second === "" || second.startsWith("-") ? first : `${first} ${second}`;
}

/** Flags as a command's help lists them, its other spellings too. */
export const flagsOf = (help: string): ReadonlySet<string> =>
  new Set(
    help
      .split("\n")
      .map((line) => /^\s+((?:-{1,2}[A-Za-z][\w-]*(?:, )?)+)/.exec(line)?.[1] ?? "")
      .flatMap((names) => names.split(/,\s*/))
      .filter((name) => name !== ""),
  );

/** @returns the arguments that the help does not list. */
export function unknownFlags(help: string, args: readonly string[]): readonly string[] {
  const known = flagsOf(help);
  return args.flatMap((arg) => {
    const [flag = ""] = arg.split("=");
    return /^--?[a-zA-Z]/.test(flag) && !known.has(flag) ? [flag] : [];
  });
}

export const wranglerVersion = (): string =>
  z
    .looseObject({ version: z.string() })
    .parse(JSON.parse(readFileSync(join(projectRoot, "node_modules/wrangler/package.json"), "utf8"))).version;

const run = promisify(execFile);

/** @throws Failure when wrangler knows no such command. */
export async function askHelp(command: string): Promise<string> {
  const words = command.split(" ");
  try {
    const { stdout } = await run(process.execPath, [WRANGLER, ...words, "--help"], {
      cwd: projectRoot,
      env: { ...process.env, CI: "1", WRANGLER_SEND_METRICS: "false", NO_COLOR: "1", COLUMNS: "200" },
      timeout: 60_000,
    });
    // Of a command that is not there, wrangler shows the group's help.
    if (
      !stdout
        .trimStart()
        .replace(/^\S+ ⛅️.*\n-+\n+/, "")
        .startsWith(`wrangler ${command}`)
    )
      throw new Error("no such command");
    return stdout;
  } catch (error) {
    throw new Failure(`wrangler ${command}: ${messageOf(error).split("\n")[0]}`);
  }
}

/** @param directory where the help that was asked for is kept, a file for each version of wrangler. */
export function helpKeeper(directory: string): (command: string) => Promise<string> {
  const version = wranglerVersion();
  const path = join(directory, `${version}.json`);
  const kept = new Map<string, string>(
    existsSync(path)
      ? Object.entries(z.record(z.string(), z.string()).parse(JSON.parse(readFileSync(path, "utf8"))))
      : [],
  );
  return async (command) => {
    const known = kept.get(command);
    if (known !== undefined) return known;
    const help = await askHelp(command);
    kept.set(command, help);
    mkdirSync(directory, { recursive: true });
    writeAtomically(path, JSON.stringify(Object.fromEntries(kept)));
    return help;
  };
}
