/** Keyset pages, newest first: a page continues after the last row seen, so rows added meanwhile shift nothing. */
export interface PageKey {
  readonly createdAt: number;
  readonly id: string;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | undefined;
}

export const encodeCursor = (key: PageKey): string => `${key.createdAt.toString(36)}.${key.id}`;

/** @returns undefined when the text is no cursor. */
export function decodeCursor(text: string): PageKey | undefined {
  const match = /^([0-9a-z]{1,11})\.([A-Za-z0-9_]{1,64})$/.exec(text);
  const [, at, id] = match ?? [];
  if (at === undefined || id === undefined) return undefined;
  const createdAt = Number.parseInt(at, 36);
  return Number.isSafeInteger(createdAt) ? { createdAt, id } : undefined;
}

/** Cuts a page from rows read with one more than `limit`. */
export function cutPage<Row>(rows: readonly Row[], limit: number, keyOf: (row: Row) => PageKey): Page<Row> {
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  const more = rows.length > limit && last !== undefined;
  return { items, nextCursor: more ? encodeCursor(keyOf(last)) : undefined };
}
