/** A log's files over HTTP. What a log does not have is told apart from a log that can not be reached. */
import { setTimeout as sleep } from "node:timers/promises";

const TIMEOUT_MS = 20_000;
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 250;
/** A bundle of 256 entries of the largest size. */
const MAX_FILE_BYTES = 20_000_000;

/** The log did not answer, or not with what it is: nothing can be said of it. */
export class LogUnavailable extends Error {
  override readonly name = "LogUnavailable";
}

export interface LogSource {
  readonly url: string;
  /** @returns undefined when the log says that it has no such file. @throws LogUnavailable */
  fetchFile(path: string): Promise<Uint8Array | undefined>;
}

export function logSource(url: string, token: string | undefined): LogSource {
  const base = url.replace(/\/+$/, "");
  return {
    url: base,
    async fetchFile(path) {
      let reason = "";
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        if (attempt > 1) await sleep(FIRST_PAUSE_MS * 2 ** (attempt - 2));
        let response: Response;
        try {
          response = await fetch(`${base}/${path}`, {
            headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
            signal: AbortSignal.timeout(TIMEOUT_MS),
          });
          if (response.status === 404 || response.status === 410) {
            await response.body?.cancel();
            return undefined;
          }
          if (response.ok) {
            const bytes = new Uint8Array(await response.arrayBuffer());
            if (bytes.length > MAX_FILE_BYTES) throw new LogUnavailable(`${path} is too large`);
            return bytes;
          }
          await response.body?.cancel();
          reason = `answers ${response.status}`;
          if (response.status === 401 || response.status === 403) break;
        } catch (error) {
          if (error instanceof LogUnavailable) throw error;
          reason = "does not answer";
        }
      }
      throw new LogUnavailable(`${base}/${path} ${reason}`);
    },
  };
}
