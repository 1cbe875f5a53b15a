/** GET /ledger/log/checkpoint: the newest signed checkpoint. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { utf8 } from "../platform/encoding.ts";
import { readCheckpointFile } from "./log.store.ts";
import { answerFile, fileResponses, onLog, refuse } from "./log-access.edge.ts";
import { NOTHING_PUBLISHED } from "./published.edge.ts";

export function registerLogCheckpoint(app: OpenAPIHono<CoreAppEnv>): void {
  const document = {
    path: "/checkpoint",
    summary: "The newest signed checkpoint (c2sp.org/tlog-checkpoint)",
    responses: fileResponses("text/plain; charset=utf-8", "A signed note."),
  };
  onLog(app, "/checkpoint", [document], async (c) => {
    const note = await readCheckpointFile(c.env.LEDGER, c.get("settings").LEDGER_ID);
    if (note === undefined) return refuse(c, NOTHING_PUBLISHED);
    return answerFile(c, utf8(note), "text/plain; charset=utf-8", "newest");
  });
}
