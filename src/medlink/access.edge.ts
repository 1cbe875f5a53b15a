/** Who may call an operation, and how far their word goes. */
import type { Caller } from "./accounts/caller.edge.ts";
import { ROLES, type Role, type User } from "./accounts/user.ts";
import { type Answer, refuse } from "./answer.ts";
import type { FlagName } from "./flags/flag.ts";
import { flagIsOn } from "./flags/flags.edge.ts";
import type { Hub } from "./hub.edge.ts";
import type { AnySpec, Scope } from "./operation-spec.edge.ts";

export interface Access {
  /** Roles of a clinic's people that are let in; none: not for clinics. */
  readonly roles: readonly Role[];
  /** `account`: an operator who signed in; `any`: the hub's operator key too. */
  readonly operator: "no" | "account" | "any";
  /** Whether integrations are let in, within their scopes. */
  readonly tokens: boolean;
  readonly scope: Scope;
  /** Off for a caller: as if they lacked the role. */
  readonly flag: FlagName | undefined;
}

/** An integration may do what billing may: file and chase claims, and nothing about accounts or settings. */
const TOKEN_ROLE: Role = "billing";

export const SIGN_IN_FIRST = refuse("unauthenticated", "Sign in first.");

export interface Narrowed {
  /** Whom it is for; by default all of a clinic's people. */
  readonly roles?: readonly Role[];
  /** false: for people alone, not for their integrations. */
  readonly tokens?: boolean;
  readonly flag?: FlagName;
}

export const accessOf = (spec: Narrowed & Pick<AnySpec, "method" | "scope">, operator: Access["operator"]): Access => ({
  roles: spec.roles ?? ROLES,
  operator,
  tokens: spec.tokens ?? true,
  scope: spec.scope ?? (spec.method === "get" ? "read" : "write"),
  flag: spec.flag,
});

/** How far a caller's word goes, and under which name it is recorded. */
export interface Actor {
  /** undefined: all clinics. */
  readonly clinicId: string | undefined;
  /** A user id, a token id, or `operator` for the hub's operator key. */
  readonly name: string;
}

export function clinicUserOf(caller: Caller): User | undefined {
  switch (caller.type) {
    case "person":
      return caller.signedIn.user.role === "operator" ? undefined : caller.signedIn.user;
    case "token": {
      const { tokenId: userId, clinicId, name } = caller.token;
      return { userId, clinicId, role: TOKEN_ROLE, email: "", name };
    }
    case "nobody":
    case "throttled":
    case "operator":
      return undefined;
  }
}

export function actorOf(caller: Caller): Actor | undefined {
  if (caller.type === "operator") return { clinicId: undefined, name: "operator" };
  if (caller.type === "person" && caller.signedIn.user.role === "operator") {
    return { clinicId: undefined, name: caller.signedIn.user.userId };
  }
  const user = clinicUserOf(caller);
  return user === undefined ? undefined : { clinicId: user.clinicId, name: user.userId };
}

/** @returns why this caller may not, undefined when it may. */
export async function refusalOf(hub: Hub, caller: Caller, access: Access): Promise<Answer | undefined> {
  switch (caller.type) {
    case "nobody":
      return SIGN_IN_FIRST;
    case "throttled": {
      const { retryAfterSeconds } = caller;
      return refuse("rate_limited", "This token asks too often. Wait as Retry-After says.", { retryAfterSeconds });
    }
    case "operator":
      return access.operator === "any" ? undefined : refuse("forbidden", "This is not for the operator's key.");
    case "token": {
      if (!access.tokens) return refuse("forbidden", "This is for people, not for integrations.");
      const { canRead, canWrite } = caller.token;
      const { scope } = access;
      if (scope === "read" ? !canRead : !canWrite) return refuse("forbidden", `This needs the scope ${scope}.`);
      return refusalOfRole(TOKEN_ROLE, access) ?? refusalOfFlag(hub, caller.token.tokenId, access);
    }
    case "person": {
      const { user } = caller.signedIn;
      if (user.role === "operator") {
        return access.operator === "no"
          ? refuse("forbidden", "This is for a clinic's people; an operator belongs to none.")
          : undefined;
      }
      return refusalOfRole(user.role, access) ?? refusalOfFlag(hub, user.userId, access);
    }
  }
}

function refusalOfRole(role: Role, { roles, operator }: Access): Answer | undefined {
  if (roles.includes(role)) return undefined;
  const admitted = [...roles, ...(operator === "no" ? [] : ["operator"])].join(" or ");
  return refuse("forbidden", `This needs the role ${admitted}.`);
}

async function refusalOfFlag(hub: Hub, userId: string, { flag }: Access): Promise<Answer | undefined> {
  if (flag === undefined || (await flagIsOn(hub, { userId }, flag))) return undefined;
  return refuse("forbidden", "This is not switched on for you.");
}

/** The clinics that a call is about: the one it names, if the actor's word goes there. */
export const clinicInReach = (
  actor: Actor,
  named: string | undefined,
): { readonly ok: true; readonly clinicId: string | undefined } | { readonly ok: false; readonly answer: Answer } =>
  actor.clinicId === undefined || named === undefined || named === actor.clinicId
    ? { ok: true, clinicId: named ?? actor.clinicId }
    : { ok: false, answer: refuse("forbidden", "That is another clinic.") };
