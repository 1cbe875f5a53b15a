/** `--env` of a command that asks a running system: where its parts answer, and the operator's keys. */
import type { Sites } from "./checks.ts";
import { valuesOf } from "./deploy/site.ts";
import { Failure } from "./fail.ts";
import { hubOperatorOf, type Operator, operatorOf, relayUrlOf } from "./operator.ts";
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

/** @throws Failure naming what is not set. */
export function systemAt(given: string | undefined, own: Values): AskedSystem {
  const { environment, values } = environmentAt(given, own);
  const [core, hub, relay] = [operatorOf(values), hubOperatorOf(values), relayUrlOf(values)];
  const site = ({ url, key }: Operator) => ({ url, key });
  const sites = {
    core: site(core),
    hub: site(hub),
    relay: relay === undefined ? undefined : { url: relay, key: undefined },
  };
  return { environment, values, core, hub, sites };
}
