/** The console: its pages and what they load. */
import type { Operation } from "../operation.edge.ts";
import { assets } from "./assets.route.ts";
import { auditPage } from "./pages/audit.page.tsx";
import { bulkPage } from "./pages/bulk.page.tsx";
import { claimPage, proofPage } from "./pages/claim.page.tsx";
import { correctClaimPage, editClaimPage, newClaimPage } from "./pages/claim-form.page.tsx";
import { claimsPage } from "./pages/claims.page.tsx";
import { connectorsPage } from "./pages/connectors.page.tsx";
import { dashboardPage } from "./pages/dashboard.page.tsx";
import { flagsPage } from "./pages/flags.page.tsx";
import { acceptInvitationPage, resetPasswordPage } from "./pages/link.page.tsx";
import { alertsPage } from "./pages/operations/alerts.page.tsx";
import { anchorPage, anchorsPage } from "./pages/operations/anchors.page.tsx";
import { autoSubmitPage } from "./pages/operations/auto-submit.page.tsx";
import { chartsHome, chartsPage } from "./pages/operations/charts.page.tsx";
import { deliveriesPage, deliveryPage } from "./pages/operations/deliveries.page.tsx";
import { idempotencyPage } from "./pages/operations/idempotency.page.tsx";
import { entryPage, ledgerPage } from "./pages/operations/ledger.page.tsx";
import { overviewPage } from "./pages/operations/overview.page.tsx";
import { reconciliationItemPage, reconciliationPage } from "./pages/operations/reconciliation.page.tsx";
import { settlementPage, settlementsPage } from "./pages/operations/settlements.page.tsx";
import { partiesPage } from "./pages/parties.page.tsx";
import { newPatientPage, patientPage, patientsPage } from "./pages/patients.page.tsx";
import { peoplePage } from "./pages/people.page.tsx";
import { newRemittancePage, remittancePage, remittancesPage } from "./pages/remittances.page.tsx";
import { secretsPage } from "./pages/secrets.page.tsx";
import { settingsPage } from "./pages/settings.page.tsx";
import { signInPage } from "./pages/sign-in.page.tsx";

/** A fixed address stands before one with a parameter in its place. */
export const CONSOLE: readonly Operation[] = [
  assets,
  signInPage,
  acceptInvitationPage,
  resetPasswordPage,
  dashboardPage,
  claimsPage,
  newClaimPage,
  bulkPage,
  claimPage,
  editClaimPage,
  correctClaimPage,
  proofPage,
  patientsPage,
  newPatientPage,
  patientPage,
  partiesPage,
  remittancesPage,
  newRemittancePage,
  remittancePage,
  settingsPage,
  peoplePage,
  flagsPage,
  connectorsPage,
  secretsPage,
  auditPage,
  overviewPage,
  chartsHome,
  chartsPage,
  autoSubmitPage,
  deliveriesPage,
  deliveryPage,
  alertsPage,
  settlementsPage,
  settlementPage,
  reconciliationPage,
  reconciliationItemPage,
  idempotencyPage,
  ledgerPage,
  entryPage,
  anchorsPage,
  anchorPage,
];
