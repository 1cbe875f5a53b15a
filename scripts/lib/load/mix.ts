/**
 * What virtual users do: people of a clinic at the hub, who mostly look, and programs at core, which submit, read, acknowledge,
 * decide and verify. Six of ten users are at core.
 */

export const CORE_SHARE = 0.6;

export interface Operation {
  readonly name: OperationName;
  readonly site: "core" | "hub";
  /** Of a hundred calls at its site. */
  readonly weight: number;
}

export type OperationName =
  | "submit"
  | "read"
  | "acknowledge"
  | "adjudicate"
  | "verify"
  | "relay status"
  | "file claim"
  | "list claims"
  | "show claim"
  | "timeline"
  | "dashboard";

export const MIX: readonly Operation[] = [
  { name: "submit", site: "core", weight: 18 },
  { name: "acknowledge", site: "core", weight: 16 },
  { name: "adjudicate", site: "core", weight: 16 },
  { name: "read", site: "core", weight: 34 },
  { name: "verify", site: "core", weight: 10 },
  { name: "relay status", site: "core", weight: 6 },
  { name: "file claim", site: "hub", weight: 12 },
  { name: "list claims", site: "hub", weight: 34 },
  { name: "show claim", site: "hub", weight: 34 },
  { name: "timeline", site: "hub", weight: 12 },
  { name: "dashboard", site: "hub", weight: 8 },
];

/** What there is to act on now. */
export interface Known {
  readonly requests: number;
  readonly toAcknowledge: number;
  readonly toAdjudicate: number;
  readonly claims: number;
}

function isPossible(name: OperationName, known: Known): boolean {
  switch (name) {
    case "read":
      return known.requests > 0;
    case "acknowledge":
      return known.toAcknowledge > 0;
    case "adjudicate":
      return known.toAdjudicate > 0;
    case "show claim":
    case "timeline":
      return known.claims > 0;
    case "submit":
    case "verify":
    case "relay status":
    case "file claim":
    case "list claims":
    case "dashboard":
      return true;
  }
}

/** @param draw 0 to 1. @returns by weight; where there is nothing yet to act on, what makes something. */
export function chooseOperation(site: "core" | "hub", known: Known, draw: number): OperationName {
  const own = MIX.filter((operation) => operation.site === site);
  let left = draw * own.reduce((sum, { weight }) => sum + weight, 0);
  const drawn = own.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
  const making = site === "core" ? "submit" : "file claim";
  return drawn !== undefined && isPossible(drawn.name, known) ? drawn.name : making;
}
