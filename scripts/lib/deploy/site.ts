/** Where the three workers of an environment are, and the keys for them. */
import type { WorkerName } from "../../../src/platform/secrets.ts";
import { type Values, valuesOf } from "../environment.ts";
import { Failure } from "../fail.ts";
import { type CallOptions, call, summaryOf } from "../http.ts";
import { checkDeployedUrl, isLoopback } from "../operator.ts";
import type { EnvironmentName } from "../platform.ts";

export { type Values, valuesOf };

export interface DeploySite {
  /** Base URLs without a slash at the end. */
  readonly urls: Readonly<Record<WorkerName, string>>;
  readonly keys: { readonly core: string; readonly hub: string; readonly workflow: string };
  readonly scrapeToken: string;
  readonly values: Values;
}

const NAMES = [
  "ITRANS_CORE_URL",
  "RELAY_URL",
  "MEDLINK_HUB_URL",
  "OPERATOR_API_KEY",
  "HUB_OPERATOR_API_KEY",
  "WORKFLOW_API_KEY",
  "METRICS_SCRAPE_TOKEN",
] as const;

/** @throws Failure naming what is not set. */
export function siteOf(environment: EnvironmentName, given: Values): DeploySite {
  const local: Values =
    environment === "local"
      ? {
          ITRANS_CORE_URL: "http://127.0.0.1:3002",
          RELAY_URL: "http://127.0.0.1:3003",
          MEDLINK_HUB_URL: "http://127.0.0.1:5000",
        }
      : {};
  const values = { ...local, ...valuesOf(environment, given) };
  const missing = NAMES.filter((name) => (values[name] ?? "") === "");
  if (missing.length > 0) throw new Failure(`set ${missing.join(", ")} in .env.${environment} or the environment`);
  const urlOf = (name: string): string => {
    const url = (values[name] ?? "").replace(/\/+$/, "");
    if (environment !== "local") checkDeployedUrl(environment, name, url);
    else if (!isLoopback(url) && !(URL.canParse(url) && new URL(url).protocol === "https:"))
      throw new Failure(`${name} is not an https address`);
    return url;
  };
  return {
    urls: {
      "itrans-core": urlOf("ITRANS_CORE_URL"),
      "itrans-relay": urlOf("RELAY_URL"),
      "medlink-hub": urlOf("MEDLINK_HUB_URL"),
    },
    keys: {
      core: values.OPERATOR_API_KEY ?? "",
      hub: values.HUB_OPERATOR_API_KEY ?? "",
      workflow: values.WORKFLOW_API_KEY ?? "",
    },
    scrapeToken: values.METRICS_SCRAPE_TOKEN ?? "",
    values,
  };
}

/** An operator's call. @throws Failure with what was answered, unless it is 2xx. */
export async function askOf(
  site: DeploySite,
  of: "core" | "hub",
  path: string,
  options: CallOptions = {},
): Promise<unknown> {
  const url = site.urls[of === "core" ? "itrans-core" : "medlink-hub"];
  const answer = await call(`${url}${path}`, {
    timeoutMs: 30_000,
    ...options,
    headers: { "x-api-key": site.keys[of], ...options.headers },
  });
  if (answer.status < 200 || answer.status > 299) throw new Failure(`${path} answers ${summaryOf(answer)}`);
  return answer.body;
}
