import { getTableColumns } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";

/** A table's columns for a SELECT written by hand, named as its drizzle rows name them. @param alias of the table there. */
export const columnsOf = (table: SQLiteTable, alias: string): string =>
  Object.entries(getTableColumns(table))
    .map(([name, column]) => `${alias}.${column.name} AS ${name}`)
    .join(", ");
