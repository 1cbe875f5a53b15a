/** Who may ask for work that costs: holders of the auditor's token, and keys with the audit scope. */
import type { Context, MiddlewareHandler } from "hono";
import type { CoreAppEnv } from "../core/app.ts";
import { acceptedValues } from "../platform/secrets.ts";
import { timingSafeEqual } from "../platform/timing-safe.ts";
import { authenticate } from "../tenants/authenticate.edge.ts";

/** @param needed whether this request asks for such work; others pass. */
export function mayAudit(needed: (c: Context<CoreAppEnv>) => boolean): MiddlewareHandler<CoreAppEnv> {
  const byKey = authenticate(["claims", "workflow", "operator"], "audit");
  return async (c, next) => {
    if (!needed(c)) return next();
    const token = c.req.header("x-api-key") ?? /^Bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
    const accepted = acceptedValues({ ...c.env }, "AUDITOR_TOKEN");
    if (token !== undefined && accepted.some((value) => timingSafeEqual(value, token))) return next();
    return byKey(c, next);
  };
}
