/** What must be so before a version is uploaded: settings, secrets, migrations, databases. */
import { execFileSync } from "node:child_process";
import { databaseFaults } from "../../db.ts";
import { deployedFaults, environmentFaults, settingFaults } from "../../env-check.ts";
import { projectRoot } from "../bundle.ts";
import { type ManagedDatabase, pendingMigrations } from "../databases.ts";
import { Failure } from "../fail.ts";
import { DATABASES, type DatabaseName } from "../migration-files.ts";
import type { EnvironmentName, Platform, RemoteEnvironment } from "../platform.ts";
import { remedyIn } from "../remedy.ts";
import { unsafeReasons } from "./migration-safety.ts";
import type { Values } from "./site.ts";

const FAULTS_SHOWN = 8;

export interface BeforeParts {
  readonly platform: Platform;
  /** Whose rules the settings are held to. */
  readonly rules: EnvironmentName;
  readonly environment: RemoteEnvironment;
  readonly values: Values;
  readonly database: (name: DatabaseName) => ManagedDatabase;
  readonly snapshots: string;
  readonly tag: string;
  readonly say: (line: string) => void;
}

/**
 * Settings and secrets are checked, what is pending is applied after a snapshot, and the databases are held against their migrations.
 * @throws Failure when something is not so. A migration that former code could not live with is never applied along with a deploy.
 */
export async function prepare(parts: BeforeParts): Promise<void> {
  const { platform, rules, environment, values, say } = parts;
  const faults = [
    ...environmentFaults(rules, values),
    // A rehearsal's system has settings of its own.
    ...(rules === "local" ? [] : settingFaults(environment, values)),
    ...(await deployedFaults(platform, environment)),
  ];
  if (faults.length > 0) {
    const more =
      faults.length > FAULTS_SHOWN
        ? `; and ${faults.length - FAULTS_SHOWN} more: ${remedyIn("npm run env:check", rules)}`
        : "";
    throw new Failure(`settings and secrets are not fit: ${faults.slice(0, FAULTS_SHOWN).join("; ")}${more}`);
  }
  say("settings and secrets are there, strong, distinct, as configured and deployed");
  const opened: ManagedDatabase[] = [];
  try {
    for (const name of DATABASES) opened.push(parts.database(name));
    await migrate(parts, opened);
  } finally {
    for (const database of opened) database.close();
  }
}

async function migrate(
  { snapshots, tag, rules, say }: BeforeParts,
  databases: readonly ManagedDatabase[],
): Promise<void> {
  const pendingOf = await Promise.all(
    databases.map(async (database) => ({ database, ...(await pendingMigrations(database)) })),
  );
  const unsafe = pendingOf.flatMap(({ pending }) => pending.flatMap(unsafeReasons));
  if (unsafe.length > 0) {
    throw new Failure(
      `${unsafe.join("; ")}. Deploy it on its own before: ${remedyIn("npm run db:dry-run, npm run db:deploy", rules)}, and watch it; then deploy the code.`,
    );
  }
  for (const { database, pending, unknown } of pendingOf) {
    if (unknown.length > 0)
      throw new Failure(`${database.name} was migrated by a newer version: ${unknown.join(", ")}`);
    if (pending.length > 0) {
      for (const line of (await database.snapshot(snapshots, tag)).lines) say(`${database.name}: snapshot ${line}`);
      for (const name of await database.migrate()) say(`${database.name}: applied ${name}`);
    }
    const faults = await databaseFaults(database);
    if (faults.length > 0) throw new Failure(`${database.name}: ${faults.slice(0, 5).join("; ")}`);
    say(`${database.name}: schema, migrations and code agree`);
  }
}

/** @throws Failure when what would be built is not what the commit has: a version answers by its commit. */
export function requireCommitted(commit: string): void {
  if (commit === "unknown") throw new Failure("there is no repository here: what is deployed must have a commit");
  const changed = execFileSync("git", ["status", "--porcelain", "--untracked-files=no"], {
    cwd: projectRoot,
    encoding: "utf8",
  });
  if (changed.trim() !== "") throw new Failure(`these changes are in no commit:\n${changed.trimEnd()}`);
}
