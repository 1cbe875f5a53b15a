import type { Operation } from "../operation.edge.ts";
import { listClaimTransactions } from "./list-claim-transactions.route.ts";
import { listConnectors } from "./list-connectors.route.ts";
import { listEdiExchanges } from "./list-exchanges.route.ts";
import { resetSandbox } from "./reset-sandbox.route.ts";
import { sendClaimByEdi } from "./send-claim.route.ts";
import { testConnector } from "./test-connector.route.ts";

export const EDI: readonly Operation[] = [
  sendClaimByEdi,
  listClaimTransactions,
  listConnectors,
  testConnector,
  resetSandbox,
  listEdiExchanges,
];
