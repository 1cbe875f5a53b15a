import type { Operation } from "../operation.edge.ts";
import { acceptInvitation } from "./accept-invitation.route.ts";
import { changePassword } from "./change-password.route.ts";
import { clearSessionsRoute } from "./clear-sessions.route.ts";
import { createClinic } from "./create-clinic.route.ts";
import { createInvitation } from "./create-invitation.route.ts";
import { createPasswordReset } from "./create-password-reset.route.ts";
import { createToken } from "./create-token.route.ts";
import { disableTotp } from "./disable-totp.route.ts";
import { enableTotp } from "./enable-totp.route.ts";
import { endSession } from "./end-session.route.ts";
import { listClinicsRoute } from "./list-clinics.route.ts";
import { listInvitationsRoute } from "./list-invitations.route.ts";
import { listSessionsRoute } from "./list-sessions.route.ts";
import { listTokens } from "./list-tokens.route.ts";
import { listUsersRoute } from "./list-users.route.ts";
import { login } from "./login.route.ts";
import { logout } from "./logout.route.ts";
import { logoutEverywhere } from "./logout-everywhere.route.ts";
import { me } from "./me.route.ts";
import { readAuthConfig } from "./read-auth-config.route.ts";
import { readSecondFactors } from "./read-second-factors.route.ts";
import { removeSecondFactor } from "./remove-second-factor.route.ts";
import { renewBackupCodes } from "./renew-backup-codes.route.ts";
import { resetPassword } from "./reset-password.route.ts";
import { revokeToken } from "./revoke-token.route.ts";
import { secondFactor } from "./second-factor.route.ts";
import { setupTotp } from "./setup-totp.route.ts";
import { updateMe } from "./update-me.route.ts";
import { updateUser } from "./update-user.route.ts";
import { withdrawInvitation } from "./withdraw-invitation.route.ts";

export const ACCOUNTS: readonly Operation[] = [
  login,
  secondFactor,
  logout,
  logoutEverywhere,
  me,
  updateMe,
  changePassword,
  setupTotp,
  enableTotp,
  disableTotp,
  renewBackupCodes,
  resetPassword,
  listSessionsRoute,
  endSession,
  listUsersRoute,
  updateUser,
  removeSecondFactor,
  createPasswordReset,
  listInvitationsRoute,
  createInvitation,
  withdrawInvitation,
  acceptInvitation,
  listTokens,
  createToken,
  revokeToken,
  listClinicsRoute,
  createClinic,
  clearSessionsRoute,
  readSecondFactors,
  readAuthConfig,
];
