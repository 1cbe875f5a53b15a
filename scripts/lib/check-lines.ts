/** A check's result as a line, and its remedy under it when it is bad. */
import type { CheckResult } from "./checks.ts";
import type { Printer } from "./print.ts";

export function printResult(printer: Printer, { name, ok, ms, detail, remedy }: CheckResult): void {
  const mark = ok ? printer.paint("green", "ok    ") : printer.paint("red", "failed");
  printer.line(`  ${mark} ${`${Math.round(ms)} ms`.padStart(8)}  ${name}: ${printer.paint("dim", detail)}`);
  if (!ok) printer.line(`${" ".repeat(18)}${printer.paint("yellow", remedy)}`);
}
