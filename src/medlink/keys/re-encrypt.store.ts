/** A column whose values are sealed, bound to `<table>/<primary key>`. */
export interface SealedColumn {
  readonly table: string;
  readonly column: string;
  readonly key: string;
  /** Whether each change must move the row's version. */
  readonly versioned: boolean;
}

/** A sealed value names its key in its first 8 characters. */
const KEY_ID_LENGTH = 8;

/** Every column named `*_sealed` of a table with one primary key. Names come from the schema alone, never from a caller. */
export async function sealedColumns(db: D1Database): Promise<readonly SealedColumn[]> {
  const { results: tables } = await db
    .prepare(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%\\_sealed %' ESCAPE '\\' ORDER BY name",
    )
    .all<{ name: string }>();
  const columns: SealedColumn[] = [];
  for (const { name: table } of tables) {
    const { results } = await db.prepare(`PRAGMA table_info("${table}")`).all<{ name: string; pk: number }>();
    const keys = results.filter(({ pk }) => pk > 0);
    const [key] = keys;
    if (key === undefined || keys.length > 1) throw new Error(`${table} has sealed values and no single key`);
    const versioned = results.some(({ name }) => name === "version");
    for (const { name } of results) {
      if (name.endsWith("_sealed")) columns.push({ table, column: name, key: key.name, versioned });
    }
  }
  return columns;
}

/** @param table of a sealed column. */
export const countRows = async (db: D1Database, table: string): Promise<number> =>
  (await db.prepare(`SELECT COUNT(*) AS n FROM "${table}"`).first<number>("n")) ?? 0;

/** Values sealed under any other key. */
export async function countUnderOtherKeys(
  db: D1Database,
  columns: readonly SealedColumn[],
  keyId: string,
): Promise<number> {
  const counts = await Promise.all(
    columns.map(({ table, column }) =>
      db
        .prepare(`SELECT COUNT(*) AS n FROM "${table}" WHERE substr("${column}", 1, ${KEY_ID_LENGTH}) <> ?`)
        .bind(keyId)
        .first<number>("n"),
    ),
  );
  return counts.reduce<number>((sum, count) => sum + (count ?? 0), 0);
}

export interface SealedRow {
  readonly id: string;
  readonly sealed: string;
}

/** In the order of keys. */
export async function readSealed(
  db: D1Database,
  { table, column, key }: SealedColumn,
  after: string,
  limit: number,
): Promise<readonly SealedRow[]> {
  const { results } = await db
    .prepare(
      `SELECT "${key}" AS id, "${column}" AS sealed FROM "${table}" WHERE "${key}" > ? ORDER BY "${key}" LIMIT ?`,
    )
    .bind(after, limit)
    .all<SealedRow>();
  return results;
}

/** Writes values sealed anew. A row that was written meanwhile keeps what it has, which is under the current key. */
export const sealedUpdate = (
  db: D1Database,
  { table, column, key, versioned }: SealedColumn,
  rows: readonly (SealedRow & { readonly next: string })[],
): D1PreparedStatement =>
  db
    .prepare(
      `UPDATE "${table}" SET "${column}" = j.value ->> 'next'${versioned ? ", version = version + 1" : ""}
       FROM json_each(?) AS j WHERE "${key}" = j.value ->> 'id' AND "${column}" = j.value ->> 'sealed'`,
    )
    .bind(JSON.stringify(rows));
