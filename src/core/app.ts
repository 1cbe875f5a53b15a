/** The types every route of core is written against. */
import type { Log } from "../platform/log.ts";
import type { CoreSettings } from "../platform/settings.ts";
import type { Principal } from "../tenants/principal.ts";
import type { Vault } from "../workflow/vault.ts";
import type { CoreEnv } from "./env.ts";

export interface CoreAppEnv {
  Bindings: CoreEnv;
  Variables: {
    settings: CoreSettings;
    correlationId: string;
    log: Log;
    /** Why it could not be answered, for the log. */
    failure?: string;
    /** Set behind `authenticate`. */
    principal: Principal;
    /** The body as parsed from the wire, before any schema; set behind `jsonBody`. */
    received: unknown;
    /** Accepted now: the current one and, during a rotation, the previous one. */
    providerSecrets: readonly string[];
    vault: () => Promise<Vault>;
  };
}
