/** A bar on a terminal, a line now and then elsewhere. */
import type { WriteStream } from "node:tty";
import type { Progress } from "./archive.ts";

const WIDTH = 24;
const REDRAW_MS = 100;
const LINE_MS = 5_000;

export interface Bar {
  readonly show: Progress;
  /** Ends the line, so that others may follow. */
  end(): void;
}

export function makeBar(stream: WriteStream): Bar {
  const terminal = stream.isTTY === true;
  let last = { what: "", at: Number.NEGATIVE_INFINITY };
  return {
    show(what, done, total) {
      const now = performance.now();
      const pause = terminal ? REDRAW_MS : LINE_MS;
      if (what === last.what && done < total && now - last.at < pause) return;
      if (!terminal && what === last.what && done >= total && now - last.at < pause) return;
      if (terminal && what !== last.what && last.what !== "") stream.write("\n");
      last = { what, at: now };
      const share = total === 0 ? 1 : Math.min(1, done / total);
      const filled = Math.round(WIDTH * share);
      const bar = `[${"#".repeat(filled)}${"-".repeat(WIDTH - filled)}] ${String(Math.floor(100 * share)).padStart(3)} %  ${what}  ${done.toLocaleString("en")} of ${total.toLocaleString("en")}`;
      stream.write(terminal ? `\r\u001b[K${bar}` : `${bar}\n`);
    },
    end() {
      if (terminal && last.what !== "") stream.write("\n");
      last = { what: "", at: Number.NEGATIVE_INFINITY };
    },
  };
}
