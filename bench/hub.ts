/**
 * `npm run bench -- --only hub`: lists, filters and single claims of the hub at 100,000 claims of one clinic, while 50 people
 * use it, each asking again a moment after the answer. `--claims N` seeds another number.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log, LogLevel, Miniflare } from "miniflare";
import * as z from "zod";
import { bundleWorker, projectRoot } from "../scripts/lib/bundle.ts";
import { type Answer, call, summaryOf } from "../scripts/lib/http.ts";
import { applyMigrations, type Database } from "../scripts/lib/migrate.ts";
import { claimPorts } from "../scripts/lib/ports.ts";
import { workerSite } from "../scripts/lib/stack.ts";
import { type Fields, makeFields } from "../src/medlink/fields.ts";
import { DEMO } from "../src/medlink/seed/demo.ts";
import { SEED_TOKEN_HEADER, seedToken } from "../src/medlink/seed/seed-token.ts";
import { systemRandomBytes } from "../src/platform/clock.edge.ts";
import { makeKeyring } from "../src/platform/keyring.ts";

export const HUB_MUST = { p95Ms: 400 };

const USERS = 50;
const SESSIONS = 5;
/** Between an answer and the same person's next question, on average; people read what they asked for. */
const THINK_MS = 500;
const WARM_MS = 3_000;
const PATIENTS = 5_000;
const PROVIDERS = 25;
const INSURERS = 12;
const SEED_STEP = 2_000;
const DAY_MS = 86_400_000;
const PASSWORD = "a password for this measurement";

export interface HubRow {
  readonly name: string;
  readonly calls: number;
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

export interface HubFigures {
  readonly claims: number;
  readonly users: number;
  readonly perSecond: number;
  readonly rows: readonly HubRow[];
  readonly cacheHitRatio: number;
  readonly held: boolean;
}

/** The same numbers each run (mulberry32). */
function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const idOf = (prefix: string, n: number): string => `${prefix}_${n.toString(32).padStart(24, "z")}`;
const hashOf = (n: number): string => `0x${(n * 2_654_435_761).toString(16).padStart(16, "0").padEnd(64, "0")}`;

/** Most are paid, some are under way, few are drafts or denied; of a clinic's years. */
function claimAt(n: number, claims: number, now: number) {
  const random = seededRandom(n);
  const roll = random();
  const status =
    roll < 0.62 ? "paid" : roll < 0.8 ? "submitted" : roll < 0.9 ? "pending" : roll < 0.95 ? "denied" : "draft";
  return {
    claimId: idOf("clm", n),
    patientId: idOf("pat", Math.floor(random() * PATIENTS)),
    providerId: idOf("prv", Math.floor(random() * PROVIDERS)),
    insurerId: idOf("ins", Math.floor(random() * INSURERS)),
    type: random() < 0.9 ? "claim" : "preauth",
    status,
    minor: Math.floor(random() * 100_000),
    hash: status === "draft" ? null : hashOf(n),
    createdAt: now - Math.floor(((claims - n) / claims) * 3 * 365 * DAY_MS),
  };
}

async function seed(
  db: Database,
  fields: Fields,
  claims: number,
  now: number,
  progress: (text: string) => void,
): Promise<void> {
  const { clinicId } = DEMO;
  const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);
  const people = await Promise.all(
    numbers(PATIENTS).map(async (n) => {
      const id = idOf("pat", n);
      return { id, sealed: await fields.seal({ firstName: "Given", lastName: `Family${n}` }, `patients/${id}`) };
    }),
  );
  await db.batch([
    db
      .prepare(
        `INSERT INTO patients (patient_id, clinic_id, personal_sealed, name_hash, created_at, updated_at)
         SELECT value ->> 'id', ?1, value ->> 'sealed', '', ?2, ?2 FROM json_each(?3)`,
      )
      .bind(clinicId, now, JSON.stringify(people)),
    db
      .prepare(
        `INSERT INTO providers (provider_id, clinic_id, name, created_at, updated_at)
         SELECT value, ?1, 'Dr. ' || key, ?2, ?2 FROM json_each(?3)`,
      )
      .bind(clinicId, now, JSON.stringify(numbers(PROVIDERS).map((n) => idOf("prv", n)))),
    db
      .prepare(
        `INSERT INTO insurers (insurer_id, clinic_id, name, insurer_address, created_at, updated_at)
         SELECT value, ?1, 'Mutual ' || key, '0x00000000000000000000000000000000000000aa', ?2, ?2 FROM json_each(?3)`,
      )
      .bind(clinicId, now, JSON.stringify(numbers(INSURERS).map((n) => idOf("ins", n)))),
  ]);
  for (let from = 0; from < claims; from += SEED_STEP) {
    const rows = await Promise.all(
      numbers(Math.min(SEED_STEP, claims - from)).map(async (n) => {
        const claim = claimAt(from + n, claims, now);
        const details = { codes: ["01202", "11101"], notes: "Recall examination and scaling." };
        return { ...claim, sealed: await fields.seal(details, `claims/${claim.claimId}`) };
      }),
    );
    await db.batch([
      db
        .prepare(
          `INSERT INTO claims (claim_id, clinic_id, patient_id, provider_id, insurer_id, type, status, amount_minor, currency,
             details_sealed, request_id, request_id_hash, created_by, version, created_at, updated_at)
           SELECT value ->> 'claimId', ?1, value ->> 'patientId', value ->> 'providerId', value ->> 'insurerId',
             value ->> 'type', value ->> 'status', value ->> 'minor', 'CAD', value ->> 'sealed',
             iif(value ->> 'hash' IS NULL, NULL, value ->> 'claimId'), value ->> 'hash', ?2, 0, value ->> 'createdAt',
             value ->> 'createdAt' FROM json_each(?3)`,
        )
        .bind(clinicId, DEMO.adminId, JSON.stringify(rows)),
      db
        .prepare(
          `INSERT INTO claim_events (claim_id, clinic_id, kind, status, actor, at)
           SELECT r.value ->> 'claimId', ?1, k.value, r.value ->> 'status', ?2, r.value ->> 'createdAt'
           FROM json_each(?3) AS r CROSS JOIN json_each('["created","queued","submissionAccepted"]') AS k`,
        )
        .bind(
          clinicId,
          DEMO.adminId,
          JSON.stringify(rows.map(({ claimId, status, createdAt }) => ({ claimId, status, createdAt }))),
        ),
    ]);
    progress(`seeding: ${from + rows.length} of ${claims} claims`);
  }
}

interface Question {
  readonly name: string;
  /** Of ten questions, how many are this one. */
  readonly weight: number;
  readonly path: (random: () => number) => string;
}

function questions(claims: number): readonly Question[] {
  const pick = (random: () => number, of: number): number => Math.floor(random() * of);
  const statuses = ["paid", "submitted", "pending", "denied", "draft"];
  return [
    { name: "list, newest", weight: 2, path: () => "/api/claims" },
    {
      name: "list, deep page",
      weight: 1,
      path: (random) => {
        const claim = claimAt(pick(random, claims), claims, SEEDED_AT);
        return `/api/claims?cursor=${claim.createdAt.toString(36)}.${claim.claimId}`;
      },
    },
    { name: "list, status", weight: 1, path: (random) => `/api/claims?status=${statuses[pick(random, 5)]}` },
    {
      name: "list, sparse filters",
      weight: 1,
      path: (random) =>
        `/api/claims?status=draft&type=preauth&providerId=${idOf("prv", pick(random, PROVIDERS))}&insurerId=${idOf("ins", pick(random, INSURERS))}`,
    },
    {
      name: "list, patient",
      weight: 1,
      path: (random) => `/api/claims?patientId=${idOf("pat", pick(random, PATIENTS))}`,
    },
    {
      name: "list, hash prefix",
      weight: 1,
      path: (random) => `/api/claims?q=${hashOf(pick(random, claims)).slice(0, 14)}`,
    },
    { name: "detail", weight: 2, path: (random) => `/api/claims/${idOf("clm", pick(random, claims))}` },
    { name: "timeline", weight: 1, path: (random) => `/api/claims/${idOf("clm", pick(random, claims))}/timeline` },
  ];
}

const SEEDED_AT = Date.UTC(2026, 10, 1);

/** What core says of any request, without a core. */
const CORE_STUB = `const entryHash = "ab".repeat(32);
export default { fetch: () => Response.json({
  state: "ACKNOWLEDGED",
  events: [{ type: "REQUEST_SUBMITTED", at: "2026-11-01T00:00:00.000Z", seq: 1, entryHash, data: {} }],
  ledger: { id: "main", seq: 1, entryHash },
  anchor: { anchored: true, txHash: "0x01", size: 2 },
}) };`;

export async function benchHub(
  secrets: Readonly<Record<string, string>>,
  options: { readonly claims: number; readonly seconds: number },
  progress: (text: string) => void,
): Promise<HubFigures> {
  const site = workerSite("medlink-hub");
  const dataDir = mkdtempSync(join(tmpdir(), "bench-hub-"));
  const ports = await claimPorts({ hub: 0 });
  progress("bundling");
  const script = await bundleWorker(site.entry);
  const bindings = { ...site.vars, ...secrets, ENVIRONMENT: "development", LOG_LEVEL: "error" };
  const miniflare = new Miniflare({
    workers: [
      {
        ...site.options,
        name: "medlink-hub",
        modules: [{ type: "ESModule", path: "hub.js", contents: script }],
        bindings,
        serviceBindings: { CORE: "core-stub" },
        unsafeDirectSockets: [{ host: "127.0.0.1", port: ports.hub ?? 0 }],
      },
      {
        name: "core-stub",
        compatibilityDate: site.options.compatibilityDate,
        modules: [{ type: "ESModule", path: "core.js", contents: CORE_STUB }],
      },
    ],
    host: "127.0.0.1",
    port: 0,
    cf: false,
    log: new Log(LogLevel.NONE),
    d1Persist: join(dataDir, "d1"),
    r2Persist: join(dataDir, "r2"),
    durableObjectsPersist: join(dataDir, "do"),
    cachePersist: false,
  });
  try {
    await miniflare.ready;
    const db = await miniflare.getD1Database("DB", "medlink-hub");
    await applyMigrations(db, join(projectRoot, "migrations", "medlink"));
    const url = `http://127.0.0.1:${ports.hub}`;
    const cookies = await signIn(url, secrets);
    const keyring = await makeKeyring([secrets.ENCRYPTION_KEY ?? ""], "field");
    const fields = makeFields(keyring, [secrets.HASH_KEY ?? ""], systemRandomBytes);
    await seed(db, fields, options.claims, SEEDED_AT, progress);
    progress("warming");
    await load(url, cookies, options.claims, WARM_MS);
    progress("measuring");
    const measured = await load(url, cookies, options.claims, 1_000 * options.seconds);
    const cache = await call(`${url}/api/admin/cache`, {
      headers: { "x-api-key": secrets.HUB_OPERATOR_API_KEY ?? "" },
    });
    const { hitRatio } = z.object({ hitRatio: z.number() }).parse(cache.body);
    return figures(options, measured, hitRatio);
  } finally {
    await miniflare.dispose();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function signIn(url: string, secrets: Readonly<Record<string, string>>): Promise<readonly string[]> {
  const admin = { adminEmail: "admin@bench.invalid", adminPassword: PASSWORD };
  const seeded = await call(`${url}/api/dev/seed`, {
    method: "POST",
    headers: { [SEED_TOKEN_HEADER]: seedToken(secrets.SESSION_SECRET ?? "") },
    body: { ...admin, insurerAddress: "0x00000000000000000000000000000000000000aa" },
  });
  if (seeded.status !== 200) throw new Error(summaryOf(seeded));
  const cookies: string[] = [];
  for (let i = 0; i < SESSIONS; i++) {
    const body = { email: admin.adminEmail, password: PASSWORD };
    const answer = await call(`${url}/api/auth/login`, { method: "POST", body });
    const cookie = answer.headers.get("set-cookie")?.split(";")[0];
    if (answer.status !== 200 || cookie === undefined) throw new Error(summaryOf(answer));
    cookies.push(cookie);
  }
  return cookies;
}

const ask = (url: string, cookie: string): Promise<Answer> => call(url, { headers: { cookie } });

/** Milliseconds of each call, by question. @throws at the first answer that is not 200. */
async function load(
  url: string,
  cookies: readonly string[],
  claims: number,
  forMs: number,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const asked = questions(claims).flatMap((question) => Array.from({ length: question.weight }, () => question));
  const times = new Map<string, number[]>();
  const until = performance.now() + forMs;
  const user = async (n: number): Promise<void> => {
    const random = seededRandom(n + 1);
    const cookie = cookies[n % cookies.length] ?? "";
    await new Promise((resolve) => setTimeout(resolve, random() * THINK_MS));
    while (performance.now() < until) {
      const question = asked[Math.floor(random() * asked.length)];
      if (question === undefined) throw new Error("nothing is asked");
      const path = question.path(random);
      let began = performance.now();
      const answer = await ask(url + path, cookie).catch(() => {
        // An idle connection that the server was just closing: asked again on another.
        began = performance.now();
        return ask(url + path, cookie);
      });
      if (answer.status !== 200) throw new Error(`${question.name}: ${summaryOf(answer)}`);
      const kept = times.get(question.name) ?? [];
      kept.push(performance.now() - began);
      times.set(question.name, kept);
      await new Promise((resolve) => setTimeout(resolve, 2 * THINK_MS * random()));
    }
  };
  await Promise.all(Array.from({ length: USERS }, (_, n) => user(n)));
  return times;
}

function figures(
  { claims, seconds }: { readonly claims: number; readonly seconds: number },
  measured: ReadonlyMap<string, readonly number[]>,
  cacheHitRatio: number,
): HubFigures {
  const rowOf = (name: string, times: readonly number[]): HubRow => {
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number): number =>
      sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? 0;
    return { name, calls: sorted.length, p50Ms: at(0.5), p95Ms: at(0.95), p99Ms: at(0.99) };
  };
  const all = [...measured.values()].flat();
  const rows = [...questions(claims).map(({ name }) => rowOf(name, measured.get(name) ?? [])), rowOf("all", all)];
  const held = rows.every(({ calls, p95Ms }) => calls > 0 && p95Ms <= HUB_MUST.p95Ms);
  return { claims, users: USERS, perSecond: all.length / seconds, rows, cacheHitRatio, held };
}

export function hubReport(measured: HubFigures): string {
  const cell = (text: string) => text.padStart(9);
  return [
    `${measured.claims.toLocaleString("en")} claims of one clinic, ${measured.users} users, ${measured.perSecond.toFixed(0)} calls a second`,
    `${"".padEnd(24)}${cell("calls")}${cell("p50 ms")}${cell("p95 ms")}${cell("p99 ms")}`,
    ...measured.rows.map(
      ({ name, calls, p50Ms, p95Ms, p99Ms }) =>
        `${name.padEnd(24)}${cell(String(calls))}${cell(p50Ms.toFixed(1))}${cell(p95Ms.toFixed(1))}${cell(p99Ms.toFixed(1))}`,
    ),
    `cache: ${(100 * measured.cacheHitRatio).toFixed(1)} % hits; p95 must be at most ${HUB_MUST.p95Ms} ms`,
  ].join("\n");
}
