/** Rounds of the scrub over a ledger that nobody tampers with, while it is appended to, published, anchored and erased from. */
import { LedgerWorld } from "./ledger-world.ts";

/** A ledger that grew all the way would be checked for hours: a new one is begun when the old one is this large. */
const MAX_SIZE = 600;

/** @returns what was found, of which there must be nothing. */
export async function checkWhileGrowing(rounds: number): Promise<readonly string[]> {
  const world = await LedgerWorld.make();
  const faults: string[] = [];
  let state: Parameters<LedgerWorld["check"]>[0];
  let growing = true;
  const grow = async (): Promise<void> => {
    for (let i = 0; growing; i++) {
      await world.addSubject(i % 4 === 3 ? "claim" : "request", i % 4);
      if (i % 3 === 2) await world.publish();
      if (i % 11 === 10) await world.anchor(i % 2 === 0 ? "confirmed" : "failed");
      if (i % 13 === 12) await world.erase();
    }
  };
  const grown = grow();
  for (let round = 0; round < rounds; round++) {
    const checked = await world.check(state);
    state = checked.state;
    for (const finding of checked.findings) faults.push(`untouched, round ${round}: ${JSON.stringify(finding)}`);
    if ((world.promised?.size ?? 0) > MAX_SIZE) break;
  }
  growing = false;
  await grown;
  const done = state?.round === undefined ? 0 : state.round - 1;
  return done < rounds && faults.length === 0 ? checkWhileGrowing(rounds - done) : faults;
}
