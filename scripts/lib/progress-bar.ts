/** A bar that redraws itself on a terminal, and a line now and then elsewhere. */

const WIDTH = 30;
/** Where nothing can be redrawn, a line for each tenth. */
const STEPS = 10;

export interface ProgressBar {
  /** @param share 0 to 1. */
  show(share: number, text: string): void;
  end(): void;
}

export const barOf = (share: number): string => {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * WIDTH);
  return `[${"#".repeat(filled)}${".".repeat(WIDTH - filled)}] ${String(Math.floor(share * 100)).padStart(3)} %`;
};

export function progressBar(out: { readonly isTTY?: boolean; write(text: string): unknown }): ProgressBar {
  let lastStep = -1;
  let drawn = false;
  return {
    show(share, text) {
      const line = `${barOf(share)}  ${text}`;
      if (out.isTTY === true) {
        out.write(`\r\u001b[K${line}`);
        drawn = true;
        return;
      }
      const step = Math.floor(share * STEPS);
      if (step === lastStep) return;
      lastStep = step;
      out.write(`${line}\n`);
    },
    end() {
      if (drawn) out.write("\n");
    },
  };
}
