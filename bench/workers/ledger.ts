/**
 * What going through a ledger costs: `/publish` builds its tiles, `/append?count=N&callers=C` appends through the sequencer, `/scrub`
 * goes through the whole log as the scrub does, `/bare` hashes the same entries and does nothing else.
 */
import { createHash } from "node:crypto";
import { LedgerPublisher as Publisher } from "../../durable-objects/ledger-publisher.ts";
import type { CoreEnv } from "../../src/core/env.ts";
import { publishLedger } from "../../src/ledger/publish.cron.ts";
import { makeScrubPort } from "../../src/ledger/scrub.edge.ts";
import { readLogSlice } from "../../src/ledger/scrub.store.ts";
import { scrubLog } from "../../src/ledger/scrub-log.ts";
import { NEVER_SCRUBBED } from "../../src/ledger/scrub-state.ts";
import { systemNow } from "../../src/platform/clock.edge.ts";
import { utf8 } from "../../src/platform/encoding.ts";
import { BENCH_LEDGER, preparedSubmit } from "./prepared.ts";

export { LedgerSequencer } from "../../durable-objects/ledger-sequencer.ts";

/**
 * Publishes when it is asked to, and at no commit's wake: here it shares a thread with the sequencer, and a round of its own would be
 * timed with whichever appends it falls on. What a round costs is timed by itself.
 */
export class LedgerPublisher extends Publisher {
  override wake(): Promise<number> {
    return Promise.resolve(Number.MAX_SAFE_INTEGER);
  }
}

const BARE_CHUNK = 16_384;

/** @param callers at once; the sequencer commits in groups what waits. */
async function appendMany(env: CoreEnv, count: number, callers: number): Promise<{ appended: number; ms: number }> {
  const sequencer = env.SEQUENCER.getByName(BENCH_LEDGER.ledgerId);
  const run = crypto.randomUUID();
  let next = 0;
  const caller = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      const answer = await sequencer.append(preparedSubmit(`${run}-${next}`));
      if (answer.type !== "done" || answer.result.type !== "committed") throw new Error("an append was refused");
    }
  };
  const began = systemNow();
  await Promise.all(Array.from({ length: callers }, caller));
  return { appended: next, ms: systemNow() - began };
}

/** @param files whether published tiles and bundles are read and compared too. */
async function scrub(env: CoreEnv, files: boolean): Promise<{ entries: number; ms: number; findings: number }> {
  const port = makeScrubPort({
    db: env.DB,
    bucket: env.LEDGER,
    ledgerId: BENCH_LEDGER.ledgerId,
    vault: () => Promise.reject(new Error("no payload is opened here")),
    logKeys: [],
    promised: async () => (files ? env.PUBLISHER.getByName(BENCH_LEDGER.ledgerId).promised() : undefined),
    chain: { readChain: async () => undefined, isOnChain: async () => undefined },
    now: systemNow,
  });
  const began = systemNow();
  const state = await scrubLog(port, NEVER_SCRUBBED);
  return { entries: state.size, ms: systemNow() - began, findings: Object.keys(state.findings).length };
}

/**
 * The same bytes as the scrub hashes, by the runtime's own SHA-256: each entry, and for each entry one node of the tree. Time is
 * that of the loop alone: what it hashes is in memory before, and the clock moves with the wait after it.
 */
async function bare(env: CoreEnv, limit: number): Promise<{ entries: number; ms: number; entriesOnlyMs: number }> {
  let [ms, entriesOnlyMs, entries] = [0, 0, 0];
  const node = new Uint8Array(65);
  while (entries < limit) {
    const bodies: Uint8Array[] = [];
    for (let from = entries; from < entries + BARE_CHUNK; from += 1_024) {
      const slice = await readLogSlice(env.DB, BENCH_LEDGER.ledgerId, from, from + 1_024);
      bodies.push(...slice.entries.map(({ body }) => utf8(body)));
    }
    if (bodies.length === 0) break;
    await scheduler.wait(1);
    const began = systemNow();
    for (const body of bodies) createHash("sha256").update(body).digest();
    await scheduler.wait(0);
    const leaves = systemNow();
    for (let i = 0; i < bodies.length; i++) createHash("sha256").update(node).digest();
    await scheduler.wait(0);
    ms += systemNow() - began;
    entriesOnlyMs += leaves - began;
    entries += bodies.length;
  }
  return { entries, ms, entriesOnlyMs };
}

export default {
  async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const count = Number(searchParams.get("count"));
    switch (pathname) {
      case "/publish": {
        const began = systemNow();
        const status = await publishLedger(env, { LEDGER_ID: BENCH_LEDGER.ledgerId });
        return Response.json({ ...status, ms: systemNow() - began });
      }
      case "/scrub":
        return Response.json(await scrub(env, searchParams.get("files") === "true"));
      case "/bare":
        return Response.json(await bare(env, count));
      case "/append":
        return Response.json(await appendMany(env, count, Number(searchParams.get("callers"))));
      default:
        return new Response(null, { status: 404 });
    }
  },
} satisfies ExportedHandler<CoreEnv>;
