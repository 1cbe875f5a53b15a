/** The anchor of an entry, as callers see it. */
import type { CoreEnv } from "../core/env.ts";
import { systemNow } from "../platform/clock.edge.ts";
import type { CoreSettings } from "../platform/settings.ts";
import { anchorOf } from "./anchor.cron.ts";
import { anchorFor } from "./anchor.store.ts";
import { type AnchorView, anchorView, type EntryAnchor } from "./anchor-view.ts";

/** How long the newest block may be remembered: confirmations are a courtesy, not a promise. */
const LATEST_BLOCK_MS = 2_000;

let latest: { readonly env: CoreEnv; readonly until: number; readonly block: number | undefined } | undefined;

async function latestBlock(env: CoreEnv, settings: CoreSettings): Promise<number | undefined> {
  if (latest?.env === env && latest.until > systemNow()) return latest.block;
  const status = await anchorOf(env, settings).status();
  const block = status.state === "disabled" ? undefined : (status.latestBlock ?? undefined);
  latest = { env, until: systemNow() + LATEST_BLOCK_MS, block };
  return block;
}

/** A node and a contract are configured, so anchors come by themselves. */
export const anchoringEnabled = (settings: CoreSettings): boolean =>
  settings.EVM_RPC_URL !== undefined && settings.ANCHOR_CONTRACT_ADDRESS !== undefined;

/** @param seq of the newest entry that must be covered. */
export async function entryAnchor(env: CoreEnv, settings: CoreSettings, seq: number): Promise<AnchorView> {
  return showAnchor(env, settings, await anchorFor(env.DB, settings.LEDGER_ID, seq));
}

export async function showAnchor(env: CoreEnv, settings: CoreSettings, anchor: EntryAnchor): Promise<AnchorView> {
  return anchorView(anchor, {
    enabled: anchoringEnabled(settings),
    pollMs: settings.ANCHOR_POLL_MS,
    latestBlock: anchor.state === "confirmed" ? await latestBlock(env, settings) : undefined,
  });
}
