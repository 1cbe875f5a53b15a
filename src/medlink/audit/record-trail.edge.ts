/**
 * The trail of what operators do to the hub alone: each action is a row before it is done, and an entry of core's ledger as soon as
 * core takes it, which is asked at once and then every minute. An operator can work on the hub while core is away; without the row,
 * nothing is done, but for fetching a backup, which the loss of the database may be the reason for. A hub without core's operator key
 * keeps none.
 */
import { toHex } from "../../platform/encoding.ts";
import { reasonOf } from "../../platform/log.ts";
import type { Actor } from "../access.edge.ts";
import { type Answer, refuse } from "../answer.ts";
import type { Hub } from "../hub.edge.ts";
import { keepAction, markSent, pruneSentActions, waitingActions } from "./trail.store.ts";
import {
  type HubDeed,
  MAX_WAITING,
  needsNoDatabase,
  type OperatorAction,
  onceWithin,
  SENT_KEPT_MS,
  targetOf,
  verdictOf,
} from "./trail.ts";

const SALT_BYTES = 32;
const SEND_TIMEOUT_MS = 3_000;
const SENDS_A_TURN = 50;
const PRUNED_A_TURN = 1_000;

const NOT_KEPT = refuse("unavailable", "This action could not be recorded, so it was not done. Try again.", {
  retryAfterSeconds: 3,
});
const TOO_MANY_WAIT = refuse(
  "unavailable",
  "Too many actions wait for iTrans's ledger, so this one was not done. Try again when iTrans takes them.",
  { retryAfterSeconds: 60 },
);

async function send(hub: Hub, { actionId, salt, action, target, correlationId }: OperatorAction) {
  const answer = await hub.core.call({
    method: "POST",
    path: "/operations/actions",
    surface: "operator",
    body: { actionId, salt, action, target },
    correlationId,
    timeoutMs: SEND_TIMEOUT_MS,
  });
  const verdict = verdictOf(answer.type === "answered" ? answer.status : undefined);
  if (verdict === "taken") await markSent(hub.db, actionId, hub.now());
  return verdict;
}

/**
 * Right before it is done. Only what operators do is told; a clinic's own people are in its audit.
 * @param deed undefined: the call changes nothing that is to be told of.
 * @returns the answer to give instead where the action could not be kept; undefined: go on, whatever core said.
 */
export async function recordTrail(
  hub: Hub,
  actor: Actor,
  deed: HubDeed | undefined,
  correlationId: string,
): Promise<Answer | undefined> {
  if (deed === undefined || actor.clinicId !== undefined || !hub.core.operates) return undefined;
  const at = hub.now();
  const action: OperatorAction = {
    actionId: `act_${hub.newUuid()}`,
    salt: toHex(hub.random(SALT_BYTES)),
    action: deed.action,
    target: targetOf(deed, actor.name),
    actor: actor.name,
    correlationId,
    at,
  };
  const within = onceWithin(deed.action);
  let kept: Awaited<ReturnType<typeof keepAction>>;
  try {
    kept = await keepAction(hub.db, action, MAX_WAITING, within === 0 ? undefined : at - within);
  } catch (thrown) {
    hub.log("error", "operator-action.not-kept", { code: deed.action, correlationId, reason: reasonOf(thrown) });
    return needsNoDatabase(deed.action) ? undefined : NOT_KEPT;
  }
  if (kept === "full") return TOO_MANY_WAIT;
  if (kept === "kept" && (await send(hub, action)) !== "taken")
    hub.log("warn", "operator-action.waiting", { code: deed.action, correlationId });
  return undefined;
}

/** The cron's part: what waits is sent, oldest first, until core does not take one. What core has is dropped after a day. */
export async function sendWaitingActions(hub: Hub): Promise<void> {
  await pruneSentActions(hub.db, hub.now() - SENT_KEPT_MS, PRUNED_A_TURN);
  if (!hub.core.operates) return;
  for (const action of await waitingActions(hub.db, SENDS_A_TURN)) {
    const verdict = await send(hub, action);
    if (verdict === "refused") throw new Error(`iTrans refuses the action ${action.actionId}`);
    if (verdict === "away") return;
  }
}
