/** The operator as this deployment is configured. */
import type { CoreEnv } from "../core/env.ts";
import type { Log } from "../platform/log.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { makeOperatorGateway, operatorFault } from "./operator/gateway.client.ts";
import type { OperatorGateway } from "./operator/gateway.ts";

/** Undefined while none is configured: what is asked for stays PENDING. */
export const operatorOf = (env: CoreEnv, settings: CoreSettings, log: Log): OperatorGateway | undefined =>
  operatorFault(env, settings) === undefined ? makeOperatorGateway(env, settings, log) : undefined;
