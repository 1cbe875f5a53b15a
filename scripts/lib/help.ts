/** `--help` of a command that has no other arguments to read, or reads them later. */
import { readFileSync } from "node:fs";

const HEAD = /^\/\*\*([\s\S]*?)\*\//;

/** What stands at the head of a command's file. */
export function headOf(source: string): string {
  const [, comment = ""] = HEAD.exec(source) ?? [];
  return comment.replaceAll(/^ *\* ?/gm, "").trim();
}

/**
 * Prints how a command is used and ends the process, when that was asked for.
 * @param usage undefined: the head of the file says it.
 */
export function answerHelp(file: string, usage?: string): void {
  const asked = process.argv.slice(2);
  if (!asked.includes("--help") && !asked.includes("-h")) return;
  console.log(usage ?? headOf(readFileSync(file, "utf8")));
  process.exit(0);
}
