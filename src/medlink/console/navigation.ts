/** Where each role can go. */

import { type AccountRole, ROLES } from "../accounts/user.ts";
import type { IconName } from "./components/icon.view.tsx";
import type { PlainKey } from "./i18n/catalogue.ts";

export interface NavigationItem {
  readonly href: string;
  readonly label: PlainKey;
  readonly icon: IconName;
  readonly roles: readonly AccountRole[];
}

export interface NavigationGroup {
  readonly label: PlainKey;
  readonly items: readonly NavigationItem[];
}

const CLINIC: readonly AccountRole[] = ROLES;
const ADMIN: readonly AccountRole[] = ["admin"];
const OPERATOR: readonly AccountRole[] = ["operator"];

const GROUPS: readonly NavigationGroup[] = [
  {
    label: "nav.work",
    items: [
      { href: "/", label: "nav.dashboard", icon: "dashboard", roles: CLINIC },
      { href: "/claims", label: "nav.claims", icon: "claim", roles: CLINIC },
      { href: "/patients", label: "nav.patients", icon: "people", roles: CLINIC },
      { href: "/remittances", label: "nav.remittances", icon: "money", roles: ["billing", "admin"] },
    ],
  },
  {
    label: "nav.operations",
    items: [
      { href: "/operations", label: "nav.overview", icon: "dashboard", roles: OPERATOR },
      { href: "/operations/alerts", label: "nav.alerts", icon: "alert", roles: OPERATOR },
      { href: "/operations/charts", label: "nav.charts", icon: "pulse", roles: OPERATOR },
      { href: "/operations/auto-submit", label: "nav.autoSubmit", icon: "queue", roles: OPERATOR },
      { href: "/operations/deliveries", label: "nav.deliveries", icon: "inbox", roles: OPERATOR },
      { href: "/operations/settlements", label: "nav.settlements", icon: "money", roles: OPERATOR },
      { href: "/operations/reconciliation", label: "nav.reconciliation", icon: "check", roles: OPERATOR },
      { href: "/operations/idempotency", label: "nav.idempotency", icon: "key", roles: OPERATOR },
      { href: "/operations/ledger", label: "nav.ledger", icon: "shield", roles: OPERATOR },
      { href: "/operations/anchors", label: "nav.anchors", icon: "chain", roles: OPERATOR },
    ],
  },
  {
    label: "nav.clinic",
    items: [
      { href: "/clinic", label: "nav.parties", icon: "inbox", roles: CLINIC },
      { href: "/admin/people", label: "nav.people", icon: "key", roles: ADMIN },
      { href: "/admin/flags", label: "nav.flags", icon: "flag", roles: ["admin", "operator"] },
      { href: "/admin/connectors", label: "nav.connectors", icon: "plug", roles: ["billing", "admin"] },
      { href: "/admin/secrets", label: "nav.secrets", icon: "shield", roles: ["admin", "operator"] },
      { href: "/admin/audit", label: "nav.audit", icon: "history", roles: ADMIN },
    ],
  },
];

/** Groups with at least one page for this role. */
export const navigationFor = (role: AccountRole): readonly NavigationGroup[] =>
  GROUPS.map(({ label, items }) => ({ label, items: items.filter((item) => item.roles.includes(role)) })).filter(
    ({ items }) => items.length > 0,
  );

/** Where someone of this role begins. */
export const homeOf = (role: AccountRole): string => navigationFor(role)[0]?.items[0]?.href ?? "/settings";

/** The item that a page belongs to: the longest that its path begins with. */
export const currentItem = (groups: readonly NavigationGroup[], path: string): NavigationItem | undefined =>
  groups
    .flatMap(({ items }) => items)
    .filter(({ href }) => path === href || (href !== "/" && path.startsWith(`${href}/`)))
    .sort((a, b) => b.href.length - a.href.length)[0];

/** A path of this site to go to after signing in; anything else is the start. */
export const safePath = (path: string | undefined): string =>
  path !== undefined && path.length <= 500 && /^\/(?![/\\])[\w./?&=%~-]*$/.test(path) ? path : "/";
