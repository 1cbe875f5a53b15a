/** Where the operator may be. */
import type { CoreSettings } from "../../platform/settings.ts";

/** What is wrong with the operator's base URL, said so that it follows its name; undefined when nothing is. */
export function operatorUrlFault(url: string, environment: CoreSettings["ENVIRONMENT"]): string | undefined {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    return "is not a URL";
  }
  const { protocol, username, password, search, hash } = parsed;
  if (protocol !== "https:" && !(environment === "development" && protocol === "http:")) return "is not https";
  if (username !== "" || password !== "") return "has credentials in it";
  return search !== "" || hash !== "" ? "has a query or a fragment" : undefined;
}
