/** In place of src/medlink/accounts/password-cost.ts: the unit tests and the tests of the running system have the real one. */
import type { ScryptCost } from "../../../src/medlink/accounts/password-cost.ts";

export const PASSWORD_COST: ScryptCost = { ln: 8, r: 8, p: 5 };
