/** Who calls: a key of a tenant, the API surface it is for, and what it may do there. */

export const SCOPES = ["submit", "read", "adjudicate", "audit", "operate"] as const;
export type Scope = (typeof SCOPES)[number];

/** The claims key opens `/claims*`; the workflow key `/workflow*` and `/relay*`; an operator's key both. */
export const SURFACES = ["claims", "workflow", "operator"] as const;
export type Surface = (typeof SURFACES)[number];

export interface Principal {
  /** Opaque; the only name of a person or system that enters the ledger. */
  readonly keyId: string;
  readonly tenantId: string;
  readonly surface: Surface;
  readonly scopes: ReadonlySet<Scope>;
  /** Set: adjudicates for this insurer only. */
  readonly insurerAddress: string | undefined;
  /** Undefined: the setting's default. */
  readonly requestsPerMinute: number | undefined;
}

export const DEFAULT_TENANT = "default";

export const mayUse = (principal: Principal, surface: Surface): boolean =>
  principal.surface === surface || principal.surface === "operator";

/** May acknowledge and adjudicate requests made to this insurer. */
export const mayAdjudicateFor = (principal: Principal, insurerAddress: string): boolean =>
  principal.scopes.has("adjudicate") &&
  (principal.insurerAddress === undefined || principal.insurerAddress.toLowerCase() === insurerAddress.toLowerCase());

/**
 * Payloads go to the submitting tenant and to the insurer they were sent to. A key bound to an insurer is not the tenant's, and
 * an operator stands outside any clinic.
 */
export const maySeePayload = (principal: Principal, insurerAddress: string): boolean =>
  principal.surface === "operator"
    ? false
    : principal.insurerAddress === undefined
      ? principal.scopes.has("read")
      : mayAdjudicateFor(principal, insurerAddress);
