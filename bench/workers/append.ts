/**
 * Appends through the real sequencer with commands that are made for nothing: no authentication, no cryptography. Run with
 * groups of one it is one write for each append; with groups as they come it is group commit. Rows and triggers are the same.
 */
import type { CoreEnv } from "../../src/core/env.ts";
import { preparedSubmit } from "./prepared.ts";

export { LedgerPublisher } from "../../durable-objects/ledger-publisher.ts";
export { LedgerSequencer } from "../../durable-objects/ledger-sequencer.ts";

let run = "";
let count = 0;

export default {
  async fetch(_request, env) {
    run ||= crypto.randomUUID();
    count += 1;
    const sequencer = env.SEQUENCER.get(env.SEQUENCER.idFromName("main"));
    const appended = await sequencer.append(preparedSubmit(`${run}-${count}`));
    const committed = appended.type === "done" && appended.result.type === "committed";
    return Response.json({ ok: committed }, { status: committed ? 201 : 500 });
  },
} satisfies ExportedHandler<Pick<CoreEnv, "SEQUENCER">>;
