/** `--env` of a command that asks a running system: where its parts answer, and the operator's keys. */
import type { Sites } from "./checks.ts";
import { valuesOf } from "./deploy/site.ts";
import { Failure } from "./fail.ts";
import { checkDeployedUrl, hubOperatorOf, type Operator, operatorOf, relayUrlOf } from "./operator.ts";
import { ENVIRONMENTS, type EnvironmentName } from "./platform.ts";

type Values = Readonly<Record<string, string | undefined>>;

export interface AskedSystem extends AskedEnvironment {
  readonly core: Operator;
  readonly hub: Operator;
  readonly sites: Sites;
}

interface AskedEnvironment {
  readonly environment: EnvironmentName;
  readonly values: Values;
}

/** @param given undefined: what the environment names, else this machine. @throws Failure for no environment's name. */
export function environmentAt(given: string | undefined, own: Values): AskedEnvironment {
  const environment = ENVIRONMENTS.find((name) => name === (given ?? "local"));
  if (environment === undefined) throw new Failure(`--env is one of ${ENVIRONMENTS.join(", ")}`);
  return { environment, values: environment === "local" ? own : valuesOf(environment, own) };
}

/** Of every command that asks a running system. */
export const ENV_OPTION = { env: { type: "string" } } as const;

/** How these commands find it, for their help. */
export const WHERE = `--env E, staging or production, asks that system: addresses and keys come from config/E.env, .env.E and the environment. Without
it ITRANS_CORE_URL and OPERATOR_API_KEY name core and its key, MEDLINK_HUB_URL and HUB_OPERATOR_API_KEY the hub; on this machine
.dev.vars does.`;

/** @param given the command's `--env`. @throws Failure naming what is not set. */
export function coreAt(given: string | undefined, own: Values = process.env): Operator {
  const { environment, values } = environmentAt(given, own);
  return operatorOf(values, environment);
}

/** The same of the hub. */
export function hubAt(given: string | undefined, own: Values = process.env): Operator {
  const { environment, values } = environmentAt(given, own);
  return hubOperatorOf(values, environment);
}

/** @throws Failure naming what is not set. */
export function systemAt(given: string | undefined, own: Values): AskedSystem {
  const { environment, values } = environmentAt(given, own);
  const [core, hub, relay] = [operatorOf(values, environment), hubOperatorOf(values, environment), relayUrlOf(values)];
  if (environment !== "local" && relay !== undefined) checkDeployedUrl(environment, "RELAY_URL", relay);
  const site = ({ url, key }: Operator) => ({ url, key });
  const sites = {
    core: site(core),
    hub: site(hub),
    relay: relay === undefined ? undefined : { url: relay, key: undefined },
  };
  return { environment, values, core, hub, sites };
}
