/** Where money is shown, and where it is decided about. */
export const SETTLEMENTS_PATH = "/operations/settlements";
export const RECONCILIATION_PATH = "/operations/reconciliation";
export const IDEMPOTENCY_PATH = "/operations/idempotency";
export const SETTLEMENTS_API = "/api/operations/settlements";
export const RECONCILIATION_API = "/api/operations/reconciliation";
export const IDEMPOTENCY_API = "/api/operations/idempotency-keys";
