import type { Operation } from "../operation.edge.ts";
import { createRemittance } from "./create-remittance.route.ts";
import { listRemittancesRoute } from "./list-remittances.route.ts";
import { readRemittanceRoute } from "./read-remittance.route.ts";

export const REMITTANCES: readonly Operation[] = [listRemittancesRoute, createRemittance, readRemittanceRoute];
