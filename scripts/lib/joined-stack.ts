/**
 * Two stacks as one: the ledger's workers in one process and the hub in another, which reach one another over HTTP alone, as they do
 * where they are deployed.
 */
import type { WorkerName } from "../../src/platform/secrets.ts";
import type { Candidates, Stack } from "./stack.ts";

type Scripts = Parameters<Stack["reload"]>[0];

const chosen = <Value>(from: Readonly<Partial<Record<WorkerName, Value>>> | undefined, isHub: boolean) =>
  Object.fromEntries(Object.entries(from ?? {}).filter(([name]) => (name === "medlink-hub") === isHub));

export function joinStacks(ledger: Stack, hub: Stack): Stack {
  const of = (worker: WorkerName): Stack => (worker === "medlink-hub" ? hub : ledger);
  return {
    ports: { ...ledger.ports, hub: hub.ports.hub },
    urls: { ...ledger.urls, hub: hub.urls.hub },
    workerdPid: () => ledger.workerdPid(),
    workerdPids: () => [...ledger.workerdPids(), ...hub.workerdPids()],
    died: Promise.race([ledger.died, hub.died]),
    database: (worker) => of(worker).database(worker),
    bucket: (worker, binding) => of(worker).bucket(worker, binding),
    scheduled: (worker) => of(worker).scheduled(worker),
    migrated: { ...ledger.migrated, ...hub.migrated },
    async reload(scripts?: Scripts, candidates?: Candidates) {
      const part = (isHub: boolean) =>
        [chosen(scripts, isHub), candidates === undefined ? undefined : chosen(candidates, isHub)] as const;
      await Promise.all([ledger.reload(...part(false)), hub.reload(...part(true))]);
    },
    async dispose() {
      await Promise.all([ledger.dispose(), hub.dispose()]);
    },
  };
}
