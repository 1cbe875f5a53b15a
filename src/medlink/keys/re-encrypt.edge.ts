/** Everything sealed, sealed anew under the current ENCRYPTION_KEY. */

import type { Hub } from "../hub.edge.ts";
import {
  countRows,
  countUnderOtherKeys,
  readSealed,
  type SealedColumn,
  sealedColumns,
  sealedUpdate,
} from "./re-encrypt.store.ts";
import type { Place, Renewal } from "./renewal.edge.ts";

export const RE_ENCRYPT: Renewal = {
  task: "re-encrypt",
  keyId: ({ fields }) => fields.currentKeyId,
  places: async (hub) => (await sealedColumns(hub.db)).map((column) => placeOf(hub, column)),
  left: async ({ db, fields }) => countUnderOtherKeys(db, await sealedColumns(db), fields.currentKeyId),
};

const placeOf = ({ db, fields }: Hub, column: SealedColumn): Place => ({
  name: `${column.table}.${column.column}`,
  count: () => countRows(db, column.table),
  async renew(after, limit) {
    const rows = await readSealed(db, column, after, limit);
    const old = rows.filter(({ sealed }) => !sealed.startsWith(`${fields.currentKeyId}.`));
    const renewed = await Promise.all(
      old.map(async ({ id, sealed }) => {
        const place = `${column.table}/${id}`;
        return { id, sealed, next: await fields.seal(await fields.open(sealed, place), place) };
      }),
    );
    return {
      read: rows.length,
      changed: renewed.length,
      held: 0,
      lastKey: rows.at(-1)?.id,
      statements: renewed.length === 0 ? [] : [sealedUpdate(db, column, renewed)],
    };
  },
});
