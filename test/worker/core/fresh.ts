/**
 * Files share a worker: each begins with an empty database, bucket and Durable Objects, and with modules that hold nothing yet.
 * The runtime's reset passes over what it has put aside for being idle, so everything is touched first.
 */
import { listDurableObjectIds, reset, runInDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import { testEnv } from "./test-env.ts";

const { DB, LEDGER } = testEnv;

const isNamespace = (binding: unknown): binding is DurableObjectNamespace =>
  typeof binding === "object" && binding !== null && binding.constructor.name === "DurableObjectNamespace";

async function whatIsLeft(): Promise<number> {
  const tables = "SELECT COUNT(*) AS n FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'";
  const [inDatabase, inBucket] = await Promise.all([DB.prepare(tables).first<number>("n"), LEDGER.list({ limit: 1 })]);
  return (inDatabase ?? 0) + inBucket.objects.length;
}

for (const objects of Object.values(testEnv).filter(isNamespace)) {
  for (const id of await listDurableObjectIds(objects)) await runInDurableObject(objects.get(id), () => undefined);
}
await whatIsLeft();
await reset();
if ((await whatIsLeft()) > 0) throw new Error("the file before this one left something behind");
vi.resetModules();
