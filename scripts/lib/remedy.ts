/** What to do about a fault, as a command that asks the environment it is about. */
import type { EnvironmentName } from "./platform.ts";

const LOGS = /npm run (logs(?::errors|:edi)?)(?: -- ((?:--[a-z-]+(?: [\w.:*-]+)?)(?: --[a-z-]+(?: [\w.:*-]+)?)*))?/g;
const SHELL = /scripts\/(\w+\.sh)(?! --env)/g;
const OTHERS = /npm run (?!logs\b)([a-z-]+(?::[a-z-]+)*)( --(?= ))?/g;

/** They are about this copy, whatever is asked. */
export const OF_NO_ENVIRONMENT: readonly string[] = ["build", "audit:dependencies", "start", "deploy:contract"];

/** Logs of a deployed environment are read with `--env`; without `--since` they would begin now. */
export function remedyIn(remedy: string, environment: EnvironmentName): string {
  if (environment === "local") return remedy;
  return remedy
    .replaceAll(LOGS, (_, command: string, given = "") => {
      const options = String(given);
      const since = options.includes("--since") ? "" : " --since 1h";
      return `npm run ${command} -- --env ${environment}${since}${options === "" ? "" : ` ${options}`}`;
    })
    .replaceAll(SHELL, (text) => `${text} --env ${environment}`)
    .replaceAll(OTHERS, (text, command: string, _dashes: string | undefined, at: number, whole: string) => {
      const isNamed = whole.startsWith(" --env", at + text.length);
      return isNamed || OF_NO_ENVIRONMENT.includes(command) ? text : `npm run ${command} -- --env ${environment}`;
    });
}
