/**
 * What operators do to the hub alone, as core's ledger is told of it: which words are told, how long an action waits, and what core's
 * answer means.
 */
import type { HubActionCode } from "../../audit/operator-action.ts";

/** What a call asks for. */
export interface HubDeed {
  readonly action: HubActionCode;
  /** What it is done to: ids, flag names, switch values. Others than such words are not told. */
  readonly to?: readonly (string | undefined)[];
}

/** As it is kept until core has it, and sent, again under the same id and salt. */
export interface OperatorAction {
  /** act_<uuid>. */
  readonly actionId: string;
  /** 64 hex. */
  readonly salt: string;
  readonly action: HubActionCode;
  readonly target: string;
  readonly actor: string;
  readonly correlationId: string;
  /** Epoch ms. */
  readonly at: number;
}

/** More than these are not left waiting: an operator then hears 503 and nothing is done. */
export const MAX_WAITING = 1_000;

/** How long a row stays that core has. */
export const SENT_KEPT_MS = 86_400_000;

/** Files that the same operator fetches within this time are one export. */
const EXPORT_MS = 3_600_000;

/** Within how many ms the same action of the same operator is one entry; 0: each is its own. */
export const onceWithin = (action: HubActionCode): number => (action === "HUB_BACKUP_EXPORT" ? EXPORT_MS : 0);

/** Whether it is done although the row can not be written: after a loss of the database its backup is fetched. */
export const needsNoDatabase = (action: HubActionCode): boolean => action === "HUB_BACKUP_EXPORT";

const MAX_WORDS = 3;
const WORD = /^[A-Za-z0-9_-]{1,40}$/;
const OTHER = "other";

/** Ids that the hub gives: a kind and random letters, or of the demo clinic. What else stands where an id belongs may be anything. */
const ID = /^[a-z]{3}_([a-z2-7]{24}|demo(_[a-z0-9]{1,12}){0,2})$/;

/** @returns what may be told of an id that a caller sent. */
export const toldId = (id: string): string => (ID.test(id) ? id : OTHER);

/** @returns words of HUB_TARGET, at most MAX_TARGET_LENGTH long: what it is done to, and by whom of the hub. */
export function targetOf({ to = [] }: HubDeed, actor: string): string {
  const words = to.filter((word) => word !== undefined).slice(0, MAX_WORDS);
  return [...words, "by", actor].map((word) => (WORD.test(word) ? word : OTHER)).join(" ");
}

/**
 * `taken`: it is an entry of the ledger. `away`: core takes nothing now. `refused`: core never will as it is, which a person must see to.
 * @param status of core's answer; undefined: there was none.
 */
export function verdictOf(status: number | undefined): "taken" | "away" | "refused" {
  if (status === 204) return "taken";
  const isRefusal = status !== undefined && status >= 400 && status < 500 && status !== 408 && status !== 429;
  return isRefusal ? "refused" : "away";
}
