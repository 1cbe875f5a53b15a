import type * as z from "zod";
import { VERSION } from "../../platform/version.ts";
import { type BreakerRow, breakerSelect, readBreakerRow } from "../auto-submit/core-breaker.store.ts";
import { type Load, loadSelect } from "../auto-submit/jobs.store.ts";
import { readSwitchesRow, type SwitchesRow, switchesSelect } from "../auto-submit/settings.store.ts";
import { isOn } from "../auto-submit/switches.ts";
import type { Surface } from "../core.client.ts";
import { checkDatabase } from "../health/health.route.ts";
import type { Hub } from "../hub.edge.ts";
import { none, ok, operatorOperation } from "../operation.edge.ts";
import { iso } from "../page-query.ts";
import {
  anchorsSchema,
  coreHealthSchema,
  coreVersionSchema,
  readAnswer,
  relayStateOf,
  relayStatusSchema,
} from "./core-view.ts";
import { type Overview, overviewSchema } from "./overview.ts";

const CORE_TIMEOUT_MS = 5_000;

/** Nothing here fails because a part is down: what is not known is null. */
export const readOverview = operatorOperation(
  {
    method: "get",
    path: "/api/operations/overview",
    summary: "The whole system at a glance: the three workers, ledger, queues, relay, anchor, auto-submit",
    params: none,
    body: none,
    answers: { 200: { description: "How things stand", schema: overviewSchema } },
  },
  async ({ hub, correlationId }) => ok(200, await overviewOf(hub, correlationId)),
);

export async function overviewOf(hub: Hub, correlationId: string): Promise<Overview> {
  // With the operator's key every tenant's deliveries are seen, with the hub's own those of its tenant.
  const surface: Surface = hub.core.operates ? "operator" : "workflow";
  const ask = async <Schema extends z.ZodType>(path: string, schema: Schema, by: Surface = surface) => {
    const answer = await hub.core.call({
      method: "GET",
      path,
      surface: by,
      correlationId,
      timeoutMs: CORE_TIMEOUT_MS,
    });
    return answer.type === "answered" ? readAnswer(schema, answer.text) : undefined;
  };
  const [database, autoSubmit, health, version, relay, anchors] = await Promise.all([
    checkDatabase(hub),
    autoSubmitOf(hub).catch(() => undefined),
    ask("/health", coreHealthSchema, "open"),
    ask("/version", coreVersionSchema, "open"),
    ask("/relay/workflow/status", relayStatusSchema),
    ask("/ledger/anchors?limit=20", anchorsSchema),
  ]);
  const now = hub.now();
  const last = anchors?.anchors.find(({ state }) => state === "confirmed");
  const relayState = relayStateOf(relay);
  const core = health?.status ?? "unreachable";
  const delivers = relayState === "idle" || relayState === "delivering";
  // A dead letter holds its lane until a person decides.
  const fine = core === "ok" && delivers && (relay?.deadLetterCount ?? 0) === 0;
  return {
    timestamp: iso(now),
    status: !database.ok || core === "down" ? "down" : fine ? "ok" : "degraded",
    hub: { status: database.ok ? "ok" : "down", version: VERSION.version, commit: VERSION.commit, database },
    core: {
      status: core,
      version: version?.version ?? null,
      commit: version?.commit ?? null,
      uptimeSec: health?.uptime ?? null,
      database: health?.database ?? null,
    },
    relay: {
      status: relayState,
      destinations: (relay?.destinations ?? []).map(({ destinationId, kind, state, pending, deadLetterCount }) => ({
        destinationId,
        kind,
        state,
        pending,
        deadLetters: deadLetterCount,
      })),
    },
    ledger: { size: health?.ledger.size ?? null, lastVerifiedAt: health?.ledger.lastVerifiedAt ?? null },
    anchor: {
      state: health?.chain.state ?? "unknown",
      reason: health?.chain.reason ?? null,
      anchoredSize: health?.chain.anchoredSize ?? null,
      last:
        last === undefined
          ? null
          : { size: last.size, txHash: last.txHash, blockNumber: last.blockNumber, confirmedAt: last.confirmedAt },
    },
    queues: {
      autoSubmit:
        autoSubmit === undefined
          ? null
          : {
              depth: autoSubmit.depth,
              failed: autoSubmit.failed,
              oldestDueAgeSec:
                autoSubmit.oldestDueAt === undefined ? null : Math.max(0, now - autoSubmit.oldestDueAt) / 1_000,
            },
      outbox:
        relay === undefined
          ? null
          : {
              pending: relay.pending,
              retrying: relay.retrying,
              waiting: relay.waiting,
              deadLetters: relay.deadLetterCount,
              delivered: relay.deliveredCount,
              oldestPendingAgeSec: relay.oldestPendingAgeMs === null ? null : relay.oldestPendingAgeMs / 1_000,
            },
    },
    autoSubmit: autoSubmit?.view ?? null,
  };
}

async function autoSubmitOf(hub: Hub) {
  const [switchRows, breakerRows, loads] = await hub.db.batch<SwitchesRow & BreakerRow & Load>([
    switchesSelect(hub.db, undefined),
    breakerSelect(hub.db),
    loadSelect(hub.db),
  ]);
  const switches = readSwitchesRow(switchRows?.results[0]);
  const { breaker } = readBreakerRow(breakerRows?.results[0]);
  const load = loads?.results[0];
  return {
    depth: load?.live ?? 0,
    failed: load?.failed ?? 0,
    oldestDueAt: load?.oldestDueAt ?? undefined,
    view: {
      enabled: isOn({ ...switches, setting: hub.settings.ITRANS_AUTO_SUBMIT_ENABLED }),
      heldByOperator: switches.hub === false,
      core: breaker.type,
    },
  };
}
