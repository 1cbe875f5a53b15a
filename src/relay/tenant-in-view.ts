import type { Principal } from "../tenants/principal.ts";

/** Whose deliveries this caller sees: its tenant's; undefined, an operator: everyone's. */
export const tenantInView = (principal: Principal): string | undefined =>
  principal.surface === "operator" ? undefined : principal.tenantId;
