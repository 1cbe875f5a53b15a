/** What to do about a fault, as a command that asks the environment it is about. */
import type { EnvironmentName } from "./platform.ts";

const LOGS = /npm run (logs(?::errors|:edi)?)(?: -- ((?:--[a-z-]+(?: [\w.:*-]+)?)(?: --[a-z-]+(?: [\w.:*-]+)?)*))?/g;

/** Logs of a deployed environment are read with `--env`; without `--since` they would begin now. */
export function remedyIn(remedy: string, environment: EnvironmentName): string {
  if (environment === "local") return remedy;
  return remedy.replaceAll(LOGS, (_, command: string, given = "") => {
    const options = String(given);
    const since = options.includes("--since") ? "" : " --since 1h";
    return `npm run ${command} -- --env ${environment}${since}${options === "" ? "" : ` ${options}`}`;
  });
}
