/** Verification of everything at once, told as it goes: a round of the scrub of its own, in bounded memory. */
import { type Finding, findingKey } from "./finding.ts";
import { scrubSlice } from "./scrub.ts";
import type { ScrubPort } from "./scrub-port.ts";
import { NEVER_SCRUBBED, type Phase, type ScrubReport, scrubReport } from "./scrub-state.ts";

export type FullVerificationLine =
  | { readonly type: "finding"; readonly finding: Finding }
  | {
      readonly type: "progress";
      readonly phase: Phase | "waiting";
      readonly position: number;
      readonly findings: number;
    };

/** Findings that are told once each; past so many of them one may be told twice. */
const MAX_REMEMBERED = 100_000;

/**
 * @param say hears every finding when it is found, and after each slice how far it is.
 * @returns the round's report, whose list of findings is bounded, and how many were told of.
 * @throws when something can not be read.
 */
export async function verifyFull(
  port: ScrubPort,
  say: (line: FullVerificationLine) => Promise<void>,
): Promise<{ readonly report: ScrubReport; readonly found: number }> {
  const told = new Set<string>();
  let found = 0;
  let untold: Finding[] = [];
  const heard: ScrubPort = {
    ...port,
    found: (findings) => {
      for (const finding of findings) {
        const key = findingKey(finding);
        if (told.has(key)) continue;
        if (told.size < MAX_REMEMBERED) told.add(key);
        untold.push(finding);
      }
    },
  };
  let state = NEVER_SCRUBBED;
  for (let over = false; !over; ) {
    const slice = await scrubSlice(heard, state);
    state = slice.state;
    over = slice.completed;
    const now = untold;
    untold = [];
    found += now.length;
    for (const finding of now) await say({ type: "finding", finding });
    const { phase, position } = scrubReport(state);
    if (!over) await say({ type: "progress", phase, position, findings: found });
  }
  return { report: scrubReport(state), found };
}
