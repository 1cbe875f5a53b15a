/** `npm run rollback`: what runs is told and lets go, then everything that the newest cutover deployed goes back. */
import { Failure } from "../fail.ts";
import { type CutoverContext, isoNow } from "./context.ts";
import { beginRun, decide, endRun, otherRun } from "./decisions.ts";
import { rollBack } from "./rollback.ts";
import { backupOf, newestCutover, writeCutover } from "./run.ts";

/** Longer than any single call to the platform takes. */
const LETS_GO_WITHIN_MS = 5 * 60_000;
const LOOK_EVERY_MS = 1_000;
const SAY_EVERY_MS = 10_000;

export interface TakeBackParts {
  /** Where cutovers keep their records. */
  readonly root: string;
  readonly environment: string;
  readonly control: string;
  readonly because: string;
  /** @param directory of the cutover that goes back. */
  readonly contextIn: (directory: string) => CutoverContext;
  readonly now: () => number;
  readonly sleep: (ms: number) => Promise<void>;
  readonly say: (line: string) => void;
}

export interface TakenBack {
  /** Of the cutover. */
  readonly directory: string;
  readonly complete: boolean;
}

/** @throws Failure when there was no cutover, or another process does not let go of it: it might deploy what is taken back here. */
export async function takeBack(parts: TakeBackParts): Promise<TakenBack> {
  const { control, because, say } = parts;
  // What is not set is said before a run is told to let go.
  parts.contextIn(newestOf(parts).directory);
  const waited = await letGo(parts);
  beginRun(control);
  try {
    const { directory, cutover } = newestOf(parts);
    const { rollback } = cutover;
    if (waited && rollback?.complete === true) {
      say(`the run that was waited for took everything back: ${rollback.because}`);
      return { directory, complete: true };
    }
    const context = parts.contextIn(directory);
    // Should this end half-way, no later run goes on from where the cutover was.
    const begun = { ...cutover, rollback: { because, at: isoNow(context) } };
    writeCutover(directory, begun);
    const { at, complete } = await rollBack(context, because, cutover.startedAt, backupOf(cutover));
    writeCutover(directory, { ...begun, rollback: { because, at, complete } });
    return { directory, complete };
  } finally {
    endRun(control);
  }
}

function newestOf({ root, environment }: TakeBackParts): NonNullable<ReturnType<typeof newestCutover>> {
  const newest = newestCutover(root, environment);
  if (newest !== undefined) return newest;
  throw new Failure(
    `there was no cutover to ${environment} from here; npm run deploy:rollback -- --env ${environment} takes a deploy back`,
  );
}

/** @returns whether there was another run to wait for. */
async function letGo({ control, because, now, sleep, say }: TakeBackParts): Promise<boolean> {
  if (otherRun(control) === undefined) return false;
  decide(control, { type: "rollback", because });
  const began = now();
  let saidAt = Number.NEGATIVE_INFINITY;
  for (let other = otherRun(control); other !== undefined; other = otherRun(control)) {
    const waited = now() - began;
    if (waited > LETS_GO_WITHIN_MS)
      throw new Failure(
        `process ${other.pid} has not let go of the cutover in ${LETS_GO_WITHIN_MS / 60_000} minutes: end it (kill ${other.pid}) and run the same command again`,
      );
    if (now() - saidAt >= SAY_EVERY_MS) {
      saidAt = now();
      const left = Math.round((LETS_GO_WITHIN_MS - waited) / 1_000);
      say(`process ${other.pid} runs the cutover and was told to let go: waiting, ${left} s at most`);
    }
    await sleep(LOOK_EVERY_MS);
  }
  return true;
}
