/**
 * What an attacker with the database and the bucket can do, as seeded mutations. Each says which findings name it. The triggers
 * are dropped first, as an attacker would.
 *
 * Left out is what no verification can tell, because nothing commits to it: the notes of an acknowledgement when they are removed
 * altogether, a head's version within its bounds (a lock, not a fact), and the free-text columns nobody reads.
 */

import { EMPTY_TREE, PURE_HASHER, Tree } from "../../src/ledger/check-tree.ts";
import { encodeEntry } from "../../src/ledger/entry.ts";
import type { Finding, FindingType } from "../../src/ledger/finding.ts";
import { toHex, utf8 } from "../../src/platform/encoding.ts";
import type { MemoryChain } from "./memory-chain.ts";

export type Value = string | number | null;
export type Row = Readonly<Record<string, Value>>;

/** The database as the attacker reaches it: everything at once. */
export interface AttackedDb {
  all(sql: string, ...values: readonly Value[]): Promise<readonly Row[]>;
  /** @returns how many rows changed. */
  run(sql: string, ...values: readonly Value[]): Promise<number>;
}

export interface AttackedBucket {
  keys(): Promise<readonly string[]>;
  get(key: string): Promise<Uint8Array | undefined>;
  put(key: string, bytes: Uint8Array): Promise<void>;
  delete(key: string): Promise<void>;
}

export interface Attacked {
  readonly db: AttackedDb;
  readonly bucket: AttackedBucket;
  readonly chain: MemoryChain;
}

export type Random = () => number;

/** What a change is about: an attribute of findings, and the values of it that name this change. */
export interface About {
  readonly name: "seq" | "size" | "subject" | "place";
  readonly values: readonly (string | number)[];
}

export interface Done {
  readonly what: string;
  /** The finding that names it is one of these, about this. */
  readonly types: readonly FindingType[];
  /** Undefined: it is about the ledger as a whole. */
  readonly about?: About | undefined;
}

/** Undefined: there was nothing to change. */
type Mutation = (attacked: Attacked, random: Random) => Promise<Done | undefined>;

/** Findings that are about more than one row, and so do not say which; every other must be about the very thing that was changed. */
const ABOUT_ALL: Readonly<Record<About["name"], readonly FindingType[]>> = {
  /** The head, and what was promised of the log as a whole. */
  seq: ["head-mismatch", "root-mismatch", "truncated"],
  /** What an earlier round remembers is a digest over all rows up to a size. */
  size: ["checkpoint-missing", "anchor-missing"],
  subject: [],
  place: [],
};

/** With its key, its payload or its entries gone too, what a subject holds can not be looked into: what is named then is that. */
const MASKS: readonly FindingType[] = [
  "key-missing",
  "key-unreadable",
  "payload-missing",
  "payload-unreadable",
  "replay-failed",
];

function isAbout({ about }: Done, finding: Finding): boolean {
  if (about === undefined) return true;
  const value = finding[about.name];
  return value === undefined ? ABOUT_ALL[about.name].includes(finding.type) : about.values.includes(value);
}

const names = (done: Done, finding: Finding): boolean => done.types.includes(finding.type) && isAbout(done, finding);

const masks = ({ about }: Done, { type, subject }: Finding): boolean =>
  about?.name === "subject" && subject !== undefined && about.values.includes(subject) && MASKS.includes(type);

/** Whether the second may have undone or hidden the first: both are about the same thing. */
function overlap(one: Done, two: Done): boolean {
  if (one.about === undefined || two.about === undefined) {
    return one.about === two.about && one.types.some((type) => two.types.includes(type));
  }
  const { name, values } = two.about;
  return one.about.name === name && one.about.values.some((value) => values.includes(value));
}

/** One change, or two: the changes that no finding names. Two changes of different things need a finding each. */
export function unnamed(done: readonly Done[], findings: readonly Finding[]): readonly Done[] {
  const [one, two] = done;
  if (one === undefined) return [];
  if (two === undefined) return findings.some((finding) => names(one, finding)) ? [] : [one];
  const naming = (change: Done): readonly Finding[] =>
    findings.filter((finding) => names(change, finding) || masks(change, finding));
  const [first, second] = [naming(one), naming(two)];
  if (overlap(one, two) && first.length + second.length > 0) return [];
  if (first.length === 0 || second.length === 0) return done.filter((_, i) => (i === 0 ? first : second).length === 0);
  return new Set([...first, ...second]).size > 1 ? [] : [two];
}

export async function dropTriggers({ db }: Attacked): Promise<void> {
  for (const { name } of await db.all("SELECT name FROM sqlite_schema WHERE type = 'trigger'")) {
    await db.run(`DROP TRIGGER ${name}`);
  }
}

const pick = <Item>(items: readonly Item[], random: Random): Item | undefined =>
  items[Math.floor(random() * items.length)];
const hex = (random: Random, digits: number): string =>
  Array.from({ length: digits }, () => Math.floor(random() * 16).toString(16)).join("");

/** Another value of the same kind. */
function other(value: Value | undefined, random: Random): Value {
  if (typeof value === "number") return value + 1 + Math.floor(random() * 5);
  if (typeof value !== "string") return 7;
  if (/^0x[0-9a-f]{64}$/.test(value)) return `0x${hex(random, 64)}`;
  if (/^0x[0-9a-fA-F]{40}$/.test(value)) return `0x${hex(random, 40)}`;
  if (/^[0-9a-f]{64}$/.test(value)) return hex(random, 64);
  return flipText(value, random);
}

function flipText(text: string, random: Random): string {
  const at = Math.floor(random() * Math.max(1, text.length));
  const now = text.charAt(at);
  const replacement = now === "A" ? "B" : "A";
  return `${text.slice(0, at)}${replacement}${text.slice(at + 1)}`;
}

const ENTRY_TYPES: readonly FindingType[] = [
  "seq-gap",
  "entry-unexpected",
  "entry-unreadable",
  "entry-hash-mismatch",
  "prev-mismatch",
  "time-mismatch",
  "column-mismatch",
  "root-mismatch",
  "truncated",
  "head-mismatch",
  "projection-missing",
];
const PROJECTION: readonly FindingType[] = ["projection-missing", "projection-mismatch", "projection-unexpected"];
const CHECKPOINT: readonly FindingType[] = [
  "checkpoint-mismatch",
  "checkpoint-signature",
  "checkpoint-missing",
  "truncated",
];
const ANCHOR: readonly FindingType[] = ["anchor-mismatch", "anchor-missing", "truncated"];
const PAYLOAD: readonly FindingType[] = [
  "payload-missing",
  "payload-unreadable",
  "payload-mismatch",
  "payload-unexpected",
];
const KEY: readonly FindingType[] = ["key-missing", "key-unreadable", "key-unexpected"];
const FILE: readonly FindingType[] = [
  "tile-missing",
  "tile-mismatch",
  "file-unexpected",
  "checkpoint-signature",
  "checkpoint-mismatch",
];

interface Table {
  readonly name: string;
  readonly key: string;
  readonly columns: readonly string[];
  readonly types: readonly FindingType[];
  /** The attribute of findings that says which row, and the column it is. */
  readonly about: readonly [About["name"], string] | undefined;
  /** Columns that are given new values where a copy of a row is inserted. */
  readonly fresh: readonly string[];
}

const str = (value: Value | undefined): string => String(value ?? "");

const TABLES: readonly Table[] = [
  {
    name: "ledger_entries",
    key: "seq",
    columns: ["ledger_id", "seq", "entry_hash", "prev", "subject", "command_id", "command_index", "body"],
    types: ENTRY_TYPES,
    about: ["seq", "seq"],
    fresh: ["seq", "entry_hash", "command_id"],
  },
  {
    name: "ledger_heads",
    key: "ledger_id",
    columns: ["ledger_id", "size", "head_hash", "root_hash", "frontier", "last_at"],
    types: ["head-mismatch", "root-mismatch", "truncated", "entry-unexpected"],
    about: undefined,
    fresh: [],
  },
  {
    name: "requests",
    key: "request_id_hash",
    columns: [
      "ledger_id",
      "tenant_id",
      "request_id",
      "request_id_hash",
      "request_type",
      "insurer_address",
      "submitter",
      "payload_hash",
      "state",
      "round",
      "decision_hash",
      "submitted_seq",
      "acknowledged_seq",
      "adjudicated_seq",
      "amount_minor",
      "currency",
      "corrects",
      "incident_ticket",
      "superseded_by",
      "erased_seq",
    ],
    types: PROJECTION,
    about: ["subject", "request_id_hash"],
    fresh: ["submitted_seq", "request_id", "request_id_hash"],
  },
  {
    name: "claims",
    key: "claim_id_hash",
    columns: [
      "ledger_id",
      "tenant_id",
      "claim_id",
      "claim_id_hash",
      "submitter",
      "payload_hash",
      "state",
      "created_seq",
      "finalized_seq",
      "settlement_seq",
      "amount_minor",
      "currency",
    ],
    types: PROJECTION,
    about: ["subject", "claim_id_hash"],
    fresh: ["created_seq", "claim_id", "claim_id_hash"],
  },
  {
    name: "settlements",
    key: "ref_id",
    columns: [
      "ledger_id",
      "ref_id",
      "tenant_id",
      "subject",
      "subject_kind",
      "type",
      "amount_cents",
      "currency",
      "reverses",
      "status",
      "reason",
      "operator_transaction_id",
      "round",
      "created_seq",
      "started_seq",
      "ended_seq",
      "created_at",
      "updated_at",
    ],
    // The replay of its claim takes the kind and the amount from the row: with others the entries may not follow.
    types: [...PROJECTION, "replay-failed"],
    about: ["subject", "subject"],
    fresh: ["ref_id"],
  },
  {
    name: "checkpoints",
    key: "size",
    columns: ["ledger_id", "size", "root_hash", "note", "signed_at"],
    types: CHECKPOINT,
    about: ["size", "size"],
    fresh: ["size"],
  },
  {
    name: "anchors",
    key: "size",
    columns: [
      "ledger_id",
      "size",
      "root_hash",
      "previous_size",
      "state",
      "chain_id",
      "contract_address",
      "nonce",
      "tx_hash",
      "block_number",
      "block_hash",
      "log_index",
      "submitted_at",
      "confirmed_at",
    ],
    types: ANCHOR,
    about: ["size", "size"],
    fresh: ["size"],
  },
  {
    name: "anchor_events",
    key: "event_id",
    columns: ["ledger_id", "event_id", "size", "type", "reason", "at", "tx_hash", "root_hash"],
    types: ANCHOR,
    about: ["size", "size"],
    fresh: ["event_id", "event_key"],
  },
  {
    name: "payloads",
    key: "subject || part",
    columns: ["ledger_id", "subject_seq", "subject", "part", "ciphertext", "r2_key"],
    types: PAYLOAD,
    about: ["subject", "subject"],
    fresh: ["subject_seq"],
  },
  {
    name: "payload_keys",
    key: "subject",
    columns: ["ledger_id", "subject_seq", "subject", "master_key_id", "wrapped"],
    types: KEY,
    about: ["subject", "subject"],
    fresh: ["subject_seq"],
  },
];

const aboutRows = ({ about }: Table, rows: readonly Row[]): About | undefined => {
  if (about === undefined) return undefined;
  const [name, column] = about;
  const values = rows.flatMap((row) => row[column] ?? []);
  // An event of the signer itself is about no size.
  return values.length === 0 ? undefined : { name, values };
};

/** The notes of an acknowledgement are committed to by nothing: taking them away leaves no trace. */
const UNCOMMITTED = "part <> 'ack'";
/** With the salt of an erased subject, what commits to the amounts of its settlements is gone. */
const CHECKABLE = "subject NOT IN (SELECT subject FROM erased_ids)";
const whereOf = ({ name }: Table): string =>
  name === "payloads" ? ` WHERE ${UNCOMMITTED}` : name === "settlements" ? ` WHERE ${CHECKABLE}` : "";

async function rowsOf({ db }: Attacked, table: Table): Promise<readonly Row[]> {
  return db.all(`SELECT *, ${table.key} AS _key FROM ${table.name}${whereOf(table)} ORDER BY 1, 2, 3`);
}

const change =
  (table: Table, column: string): Mutation =>
  async (attacked, random) => {
    const row = pick(
      (await rowsOf(attacked, table)).filter((candidate) => candidate[column] !== null),
      random,
    );
    if (row === undefined) return undefined;
    const value = column === "signed_at" ? 1 : other(row[column], random);
    const done = await attacked.db.run(
      `UPDATE OR IGNORE ${table.name} SET ${column} = ? WHERE ${table.key} = ?`,
      value,
      row._key ?? null,
    );
    if (done === 0) return undefined;
    const moved = column === "ledger_id" ? "another ledger" : "another value";
    // A row that is moved to another key is missing in one place and has none in the other.
    const types: readonly FindingType[] =
      table.name === "payloads" || table.name === "payload_keys" ? [...PAYLOAD, ...KEY] : table.types;
    return {
      what: `${table.name}.${column} of ${str(row._key).slice(0, 80)} has ${moved}`,
      types,
      about: aboutRows(table, [row, { ...row, [column]: value }]),
    };
  };

const remove =
  (table: Table): Mutation =>
  async (attacked, random) => {
    const row = pick(await rowsOf(attacked, table), random);
    if (row === undefined) return undefined;
    await attacked.db.run(`DELETE FROM ${table.name} WHERE ${table.key} = ?`, row._key ?? null);
    return {
      what: `${table.name}: ${str(row._key).slice(0, 80)} is deleted`,
      types: table.types,
      about: aboutRows(table, [row]),
    };
  };

const truncate =
  (table: Table): Mutation =>
  async (attacked, random) => {
    const rows = await rowsOf(attacked, table);
    const from = Math.floor(random() * rows.length);
    if (rows.length === 0) return undefined;
    for (const row of rows.slice(from)) {
      await attacked.db.run(`DELETE FROM ${table.name} WHERE ${table.key} = ?`, row._key ?? null);
    }
    return {
      what: `${table.name} loses its last ${rows.length - from} rows`,
      types: table.types,
      about: aboutRows(table, rows.slice(from)),
    };
  };

const insertCopy =
  (table: Table): Mutation =>
  async (attacked, random) => {
    const row = pick(await rowsOf(attacked, table), random);
    if (row === undefined) return undefined;
    const names = Object.keys(row).filter((name) => name !== "_key");
    const values = names.map((name) => {
      const value = row[name] ?? null;
      if (!table.fresh.includes(name)) return value;
      return typeof value === "number" ? 1_000_000 + Math.floor(random() * 1_000) : other(value, random);
    });
    const marks = names.map(() => "?").join(", ");
    const done = await attacked.db.run(
      `INSERT OR IGNORE INTO ${table.name} (${names.join(", ")}) VALUES (${marks})`,
      ...values,
    );
    const made = Object.fromEntries(names.map((name, i) => [name, values[i] ?? null]));
    return done === 0
      ? undefined
      : { what: `${table.name} gets a row that was never made`, types: table.types, about: aboutRows(table, [made]) };
  };

/** Two rows exchange a column. */
const swap =
  (table: Table, column: string): Mutation =>
  async (attacked, random) => {
    const rows = (await rowsOf(attacked, table)).filter((row) => row[column] !== null);
    const [one, two] = [pick(rows, random), pick(rows, random)];
    if (one === undefined || two === undefined || one[column] === two[column]) return undefined;
    const set = (row: Row, value: Value) =>
      attacked.db.run(`UPDATE ${table.name} SET ${column} = ? WHERE ${table.key} = ?`, value, row._key ?? null);
    const unique = ["entry_hash", "request_id"].includes(column);
    if (unique) await set(one, hex(random, 64));
    await set(two, one[column] ?? null);
    await set(one, two[column] ?? null);
    return {
      what: `two rows of ${table.name} exchange ${column}`,
      types: table.types,
      about: aboutRows(table, [one, two]),
    };
  };

const SWAPS: readonly (readonly [string, string])[] = [
  ["ledger_entries", "body"],
  ["ledger_entries", "entry_hash"],
  ["ledger_entries", "subject"],
  ["requests", "state"],
  ["requests", "amount_minor"],
  ["requests", "payload_hash"],
  ["requests", "request_id"],
  ["claims", "state"],
  ["claims", "amount_minor"],
  ["settlements", "amount_cents"],
  ["settlements", "status"],
  ["settlements", "subject"],
  ["checkpoints", "note"],
  ["checkpoints", "root_hash"],
  ["anchors", "root_hash"],
  ["anchors", "tx_hash"],
  ["payloads", "ciphertext"],
  ["payloads", "r2_key"],
  ["payload_keys", "wrapped"],
];

const numberOf = (value: Value | undefined): number => (typeof value === "number" ? value : Number.NaN);

/** The head of the entries that are there, as an attacker computes it. */
async function rewriteHead({ db }: Attacked): Promise<void> {
  const rows = await db.all("SELECT * FROM ledger_entries ORDER BY seq");
  const tree = new Tree(PURE_HASHER, EMPTY_TREE);
  for (const row of rows) tree.add(PURE_HASHER.leaf(utf8(str(row.body))));
  const last = rows.at(-1);
  await db.run(
    "UPDATE ledger_heads SET size = ?, head_hash = ?, root_hash = ?, frontier = ?, last_at = ?",
    tree.size,
    last === undefined ? "0".repeat(64) : str(last.entry_hash),
    tree.rootHex(),
    tree.frontierJson(),
    last === undefined ? "1970-01-01T00:00:00.000Z" : JSON.parse(str(last.body)).at,
  );
}

/** Entries rewritten from one on, with hashes, chain, tree and head all right again. */
const rewriteFrom: Mutation = async (attacked, random) => {
  const rows = await attacked.db.all("SELECT * FROM ledger_entries ORDER BY seq");
  const from = Math.floor(random() * rows.length);
  let prev = from === 0 ? "0".repeat(64) : str(rows[from - 1]?.entry_hash);
  for (const row of rows.slice(from)) {
    const entry = JSON.parse(str(row.body));
    const data = numberOf(row.seq) === from ? { ...entry.data, actor: "mallory", submitter: "mallory" } : entry.data;
    const { body, hashHex } = encodeEntry({ ...entry, prev, data });
    await attacked.db.run(
      "UPDATE ledger_entries SET body = ?, entry_hash = ?, prev = ? WHERE seq = ?",
      body,
      hashHex,
      prev,
      row.seq ?? null,
    );
    prev = hashHex;
  }
  await rewriteHead(attacked);
  return {
    what: `every entry from ${from} is rewritten, chain, tree and head with it`,
    types: ["checkpoint-mismatch", "history-changed"],
  };
};

/** The newest entries go, and the head agrees. */
const cutOff: Mutation = async (attacked, random) => {
  const rows = await attacked.db.all("SELECT seq FROM ledger_entries ORDER BY seq");
  const from = Math.floor(random() * rows.length);
  await attacked.db.run("DELETE FROM ledger_entries WHERE seq >= ?", from);
  await rewriteHead(attacked);
  return {
    what: `the ledger ends before entry ${from}, and its head says so`,
    types: ["truncated"],
    about: { name: "seq", values: rows.slice(from).map(({ seq }) => numberOf(seq)) },
  };
};

/** An entry that nobody asked for, linked as it should be. */
const forge: Mutation = async (attacked, random) => {
  const [last] = await attacked.db.all("SELECT * FROM ledger_entries ORDER BY seq DESC LIMIT 1");
  if (last === undefined) return undefined;
  const before = JSON.parse(str(last.body));
  const subject = `0x${hex(random, 64)}`;
  const { entry, body, hashHex } = encodeEntry({
    v: 1,
    seq: before.seq + 1,
    prev: str(last.entry_hash),
    at: before.at,
    type: "CLAIM_CREATED",
    subject,
    commitment: `0x${hex(random, 64)}`,
    data: { tenant: "default", submitter: "claims" },
  });
  await attacked.db.run(
    "INSERT INTO ledger_entries VALUES ('main', ?, ?, ?, ?, ?, 0, ?)",
    entry.seq,
    hashHex,
    entry.prev,
    subject,
    `claim:default:${subject}`,
    body,
  );
  await rewriteHead(attacked);
  return {
    what: "an entry is forged at the end",
    types: ["projection-missing"],
    about: { name: "subject", values: [subject] },
  };
};

const publishedKeys = async ({ bucket }: Attacked, part: string): Promise<readonly string[]> =>
  (await bucket.keys()).filter((key) => key.includes(part)).toSorted();

/** The subject that a stored payload belongs to, or the place of a file of the log. */
function aboutFiles(...keys: readonly string[]): About {
  const subjects = keys.flatMap((key) => /^payloads\/[^/]+\/(0x[0-9a-f]{64})\//.exec(key)?.[1] ?? []);
  if (subjects.length > 0) return { name: "subject", values: subjects };
  const places = keys.map((key) => key.replace(/^log\/[^/]+\//, ""));
  return {
    name: "place",
    values: places.flatMap((place) => (place === "checkpoint" ? [place, "published"] : [place])),
  };
}

const flipByte =
  (part: string, types: readonly FindingType[]): Mutation =>
  async (attacked, random) => {
    const key = pick(await publishedKeys(attacked, part), random);
    const bytes = key === undefined ? undefined : (await attacked.bucket.get(key))?.slice();
    if (key === undefined || bytes === undefined || bytes.length === 0) return undefined;
    const at = Math.floor(random() * bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 + Math.floor(random() * 255));
    await attacked.bucket.put(key, bytes);
    return { what: `byte ${at} of ${key} is another`, types, about: aboutFiles(key) };
  };

const shorten =
  (part: string, types: readonly FindingType[]): Mutation =>
  async (attacked, random) => {
    const key = pick(await publishedKeys(attacked, part), random);
    const bytes = key === undefined ? undefined : await attacked.bucket.get(key);
    if (key === undefined || bytes === undefined || bytes.length === 0) return undefined;
    await attacked.bucket.put(key, bytes.slice(0, Math.floor(random() * bytes.length)));
    return { what: `${key} is cut short`, types, about: aboutFiles(key) };
  };

/** Other bytes for what a forgiving reader takes for the same text of the same base64. */
const respell =
  (part: string, types: readonly FindingType[]): Mutation =>
  async (attacked, random) => {
    const key = pick(await publishedKeys(attacked, part), random);
    const bytes = key === undefined ? undefined : await attacked.bucket.get(key);
    if (key === undefined || bytes === undefined) return undefined;
    const unpadded = bytes.findLastIndex((byte) => byte !== 0x3d) + 1;
    const forms = [
      Uint8Array.of(0xef, 0xbb, 0xbf, ...bytes),
      Uint8Array.of(...bytes, 0x0a),
      ...(unpadded < bytes.length ? [bytes.slice(0, unpadded)] : []),
    ];
    const form = pick(forms, random);
    if (form === undefined) return undefined;
    await attacked.bucket.put(key, form);
    return { what: `${key} is spelled otherwise`, types, about: aboutFiles(key) };
  };

/** Older partial tiles may go: the newest answers for them. */
const loseFile =
  (part: string, types: readonly FindingType[], keep: RegExp | undefined): Mutation =>
  async (attacked, random) => {
    const keys = (await publishedKeys(attacked, part)).filter((key) => keep === undefined || !keep.test(key));
    const key = pick(keys, random);
    if (key === undefined) return undefined;
    await attacked.bucket.delete(key);
    return { what: `${key} is gone`, types, about: aboutFiles(key) };
  };

const swapFiles =
  (part: string, types: readonly FindingType[]): Mutation =>
  async (attacked, random) => {
    const keys = await publishedKeys(attacked, part);
    const [one, two] = [pick(keys, random), pick(keys, random)];
    if (one === undefined || two === undefined || one === two) return undefined;
    const [a, b] = [await attacked.bucket.get(one), await attacked.bucket.get(two)];
    if (a === undefined || b === undefined || toHex(a) === toHex(b)) return undefined;
    await attacked.bucket.put(one, b);
    await attacked.bucket.put(two, a);
    return { what: `${one} and ${two} are exchanged`, types, about: aboutFiles(one, two) };
  };

const strangeFile: Mutation = async (attacked, random) => {
  const key = `log/main/tile/0/000.p/${1 + Math.floor(random() * 9)}`;
  if ((await attacked.bucket.get(key)) !== undefined) return undefined;
  await attacked.bucket.put(key, utf8(hex(random, 64)));
  return { what: `${key} is put beside its tile`, types: FILE, about: aboutFiles(key) };
};

const CHAIN: readonly FindingType[] = ["anchor-chain-mismatch"];

/** Another transaction in another block, by the row and by every event of it: only the chain knows better. */
const rewriteAnchor: Mutation = async ({ db }, random) => {
  const row = pick(await db.all("SELECT * FROM anchors WHERE state = 'confirmed' ORDER BY size"), random);
  if (row === undefined) return undefined;
  const { size = null, tx_hash: before = null } = row;
  const [txHash, blockHash] = [`0x${hex(random, 64)}`, `0x${hex(random, 64)}`];
  const blockNumber = numberOf(row.block_number) - 1;
  await db.run(
    "UPDATE anchors SET tx_hash = ?, block_number = ?, block_hash = ? WHERE size = ?",
    txHash,
    blockNumber,
    blockHash,
    size,
  );
  await db.run(
    `UPDATE anchor_events SET tx_hash = ?, event_key = replace(event_key, ?, ?),
       block_number = CASE WHEN block_number IS NULL THEN NULL ELSE ? END,
       block_hash = CASE WHEN block_hash IS NULL THEN NULL ELSE ? END
     WHERE size = ? AND tx_hash = ?`,
    txHash,
    before,
    txHash,
    blockNumber,
    blockHash,
    size,
    before,
  );
  const about: About = { name: "size", values: [numberOf(size ?? undefined)] };
  return { what: `the anchor of ${size} entries and its events are rewritten together`, types: CHAIN, about };
};

const chainHoldsAnother: Mutation = async ({ chain }, random) => {
  const anchor = pick(chain.anchors, random);
  if (anchor === undefined) return undefined;
  chain.anchors = chain.anchors.map((one) => (one === anchor ? { ...one, root: hex(random, 64) } : one));
  const about: About = { name: "size", values: [anchor.size] };
  return { what: `the chain holds another root for ${anchor.size} entries`, types: CHAIN, about };
};

const chainHoldsFewer: Mutation = async ({ chain }, random) => {
  const from = Math.floor(random() * chain.anchors.length);
  const gone = chain.anchors.slice(from);
  if (gone.length === 0) return undefined;
  chain.anchors = chain.anchors.slice(0, from);
  const about: About = { name: "size", values: gone.map(({ size }) => size) };
  return { what: `the chain does not hold its last ${gone.length} anchors`, types: CHAIN, about };
};

export const MUTATIONS: readonly Mutation[] = [
  ...TABLES.flatMap((table) => table.columns.map((column) => change(table, column))),
  ...TABLES.flatMap((table) => [
    remove(table),
    truncate(table),
    ...(table.fresh.length > 0 ? [insertCopy(table)] : []),
  ]),
  ...SWAPS.flatMap(([name, column]) =>
    TABLES.filter((table) => table.name === name).map((table) => swap(table, column)),
  ),
  rewriteFrom,
  cutOff,
  forge,
  flipByte("/tile/", FILE),
  flipByte("/tile/entries/", FILE),
  flipByte("/checkpoint", FILE),
  shorten("/tile/", FILE),
  loseFile("/tile/", FILE, /\.p\//),
  loseFile("/checkpoint", FILE, undefined),
  swapFiles("/tile/", FILE),
  strangeFile,
  flipByte("payloads/", PAYLOAD),
  shorten("payloads/", PAYLOAD),
  respell("payloads/", PAYLOAD),
  loseFile("payloads/", PAYLOAD, undefined),
  swapFiles("payloads/", PAYLOAD),
  rewriteAnchor,
  chainHoldsAnother,
  chainHoldsFewer,
];

/** The n-th mutation of a seed: every kind in turn. */
export async function mutate(attacked: Attacked, n: number, random: Random): Promise<Done> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const mutation = MUTATIONS[(n + attempt) % MUTATIONS.length];
    const done = await mutation?.(attacked, random);
    if (done !== undefined) return done;
  }
  throw new Error("nothing could be changed");
}
