/** Lines for a person at a terminal: aligned, coloured only where they are seen in colour. */
import type { WriteStream } from "node:tty";

type Style = "bold" | "dim" | "red" | "green" | "yellow";

const CODES: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
};

export interface Printer {
  line(text?: string): void;
  /** A fact under its name. */
  fact(name: string, value: string): void;
  /** Something seen, with its time since the beginning. */
  step(subject: string, name: string, ms: number, detail: string): void;
  note(text: string): void;
  warn(text: string): void;
  paint(style: Style, text: string): string;
}

export function makePrinter(stream: WriteStream, environment: Readonly<Record<string, string | undefined>>): Printer {
  const coloured = stream.isTTY === true && (environment.NO_COLOR ?? "") === "";
  const paint = (style: Style, text: string): string => {
    const [on, off] = CODES[style];
    return coloured ? `\u001b[${on}m${text}\u001b[${off}m` : text;
  };
  const line = (text = "") => void stream.write(`${text}\n`);
  return {
    line,
    fact: (name, value) => line(`  ${paint("dim", name.padEnd(12))} ${value}`),
    step: (subject, name, ms, detail) =>
      line(
        `  ${`${(ms / 1000).toFixed(2)} s`.padStart(9)}  ${subject.padEnd(8)} ${paint("green", name.padEnd(14))} ${paint("dim", detail)}`,
      ),
    note: (text) => line(`  ${text}`),
    warn: (text) => line(paint("yellow", `  ${text}`)),
    paint,
  };
}
