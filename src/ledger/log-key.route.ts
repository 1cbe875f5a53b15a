/** GET /ledger/log/key: the verifier keys that sign checkpoints now, one a line, the current one first. */
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { CoreAppEnv } from "../core/app.ts";
import { utf8 } from "../platform/encoding.ts";
import { answerFile, fileResponses, onLog, refuse } from "./log-access.edge.ts";
import { logSettings, logSigners } from "./log-settings.ts";
import { formatVerifierKey } from "./note.ts";

export function registerLogKey(app: OpenAPIHono<CoreAppEnv>): void {
  const document = {
    path: "/key",
    summary: "The log's verifier keys (c2sp.org/signed-note); pin them from somewhere else than the log",
    responses: fileResponses("text/plain; charset=utf-8", "One verifier key a line, the current one first."),
  };
  onLog(app, "/key", [document], async (c) => {
    const log = logSettings(c.get("settings"), { ...c.env });
    if (log.type === "disabled") {
      return refuse(c, {
        code: "not_found",
        detail: `This log is not published. ${log.reason}`,
        retryAfterSeconds: 3_600,
      });
    }
    const keys = (await logSigners(log)).map(({ key }) => `${formatVerifierKey(key)}\n`);
    return answerFile(c, utf8(keys.join("")), "text/plain; charset=utf-8", "newest");
  });
}
