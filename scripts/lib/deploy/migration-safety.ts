/** Whether the version that serves now can go on over a database that was migrated: only then may code be rolled back alone. */
import { LEDGER_TABLES, lossesOf, type Migration } from "../migration-files.ts";

/** A line of a migration that says so itself: `-- rollback: unsafe` with the reason, or `-- rollback: safe`. */
const MARK = /^--\s*rollback:\s*(safe|unsafe)\b\s*(.*)$/im;

/** @returns why former code or a down migration could not cope; empty when they can. */
export function unsafeReasons({ name, up, down }: Migration): readonly string[] {
  const [, mark, why = ""] = MARK.exec(up) ?? [];
  if (mark?.toLowerCase() === "unsafe") return [`${name} is marked unsafe to roll back${why === "" ? "" : `: ${why}`}`];
  if (down === undefined) return [`${name} has no down file`];
  if (mark?.toLowerCase() === "safe") return [];
  const taken = lossesOf(up).map(({ table, column }) => (column === undefined ? table : `${table}.${column}`));
  const reasons = taken.map((what) => `${name} takes ${what} away from the version that serves now`);
  const made = new Set(
    [...up.matchAll(/CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?"?(\w+)"?/gi)].map(([, table]) => table),
  );
  for (const { table } of lossesOf(down)) {
    if (LEDGER_TABLES.has(table) && !made.has(table))
      reasons.push(`${name}: its down file refuses: it would drop what ${table} holds`);
  }
  return reasons;
}
