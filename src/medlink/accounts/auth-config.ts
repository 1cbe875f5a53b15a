/** What `auth:verify-config` looks at, as findings. */
import { utf8 } from "../../platform/encoding.ts";
import { ACCOUNT_FAILURES, ADDRESS_FAILURES, LOCKOUT_WINDOW_MS } from "./lockout.ts";
import { PASSWORD_COST } from "./password.ts";
import { SESSION_IDLE_MS, SESSION_LIFETIME_MS } from "./session.ts";
import { totpCode } from "./totp.ts";

export interface AuthFacts {
  readonly environment: "development" | "staging" | "production";
  /** One line each, naming the secret; never a value. */
  readonly secretFaults: readonly string[];
  /** A session secret's predecessor is still accepted. */
  readonly rotating: boolean;
  readonly publicUrl: string | undefined;
  /** Whether a hash made now verifies, and a wrong password does not. */
  readonly passwordsWork: boolean;
  /** Hashes of another cost than today's; each is renewed at its owner's next sign-in. */
  readonly staleHashes: number;
  readonly operators: { readonly users: number; readonly withSecondFactor: number };
  readonly admins: { readonly users: number; readonly withSecondFactor: number };
  readonly operatorKey: boolean;
}

export interface AuthFinding {
  readonly name: string;
  readonly result: "ok" | "warning" | "fault";
  readonly detail: string;
}

const minutes = (ms: number): string => `${ms / 60_000} min`;

export function authFindings(facts: AuthFacts): readonly AuthFinding[] {
  const development = facts.environment === "development";
  const found = (name: string, result: AuthFinding["result"], detail: string): AuthFinding => ({
    name,
    result,
    detail,
  });
  const { users: operators, withSecondFactor: safeOperators } = facts.operators;
  const { users: admins, withSecondFactor: safeAdmins } = facts.admins;
  const url = facts.publicUrl;
  return [
    found(
      "secrets",
      facts.secretFaults.length === 0 ? "ok" : development ? "warning" : "fault",
      facts.secretFaults.length === 0 ? "present, strong and distinct" : facts.secretFaults.join("; "),
    ),
    facts.rotating
      ? found(
          "rotation",
          "warning",
          "SESSION_SECRET_PREVIOUS is still accepted: take it away when the rotation is over",
        )
      : found("rotation", "ok", "none under way"),
    found(
      "sessions",
      "ok",
      `${minutes(SESSION_IDLE_MS)} idle, ${minutes(SESSION_LIFETIME_MS)} in all; cookie HttpOnly, SameSite=Lax${development ? "" : ", Secure"}`,
    ),
    found(
      "passwords",
      facts.passwordsWork ? "ok" : "fault",
      `scrypt ln=${PASSWORD_COST.ln} r=${PASSWORD_COST.r} p=${PASSWORD_COST.p}; ${facts.staleHashes} of another cost`,
    ),
    found(
      "lockout",
      "ok",
      `${ACCOUNT_FAILURES} failures of an account, ${ADDRESS_FAILURES} of an address, in ${minutes(LOCKOUT_WINDOW_MS)}`,
    ),
    // RFC 6238, appendix B.
    totpCode(utf8("12345678901234567890"), 1, 8) === "94287082"
      ? found("second factor", "ok", "TOTP gives the RFC's codes")
      : found("second factor", "fault", "TOTP does not give the RFC's codes"),
    found(
      "operators",
      operators > 0 && safeOperators === operators ? "ok" : "warning",
      `${operators}, ${safeOperators} with a second factor; operator key ${facts.operatorKey ? "set" : "not set"}`,
    ),
    found(
      "admins",
      admins > 0 && safeAdmins === admins ? "ok" : "warning",
      `${admins}, ${safeAdmins} with a second factor`,
    ),
    url === undefined
      ? found(
          "links",
          development ? "ok" : "warning",
          "HUB_PUBLIC_URL is not set: links name the host they were asked at",
        )
      : found("links", development || url.startsWith("https://") ? "ok" : "fault", `begin with ${url}`),
  ];
}
