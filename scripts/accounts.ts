/** An operator's hand on accounts and feature flags, over the hub's API. `lib/hub.ts` says where and who. */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import * as z from "zod";
import { DEMO_INSURER_ADDRESS } from "../src/medlink/seed/demo.ts";
import { Failure, messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { type HubOperator, typedHubAt } from "./lib/hub.ts";
import { makePrinter } from "./lib/print.ts";
import { ENV_OPTION, WHERE } from "./lib/sites.ts";

const USAGE = `Usage:
  npm run sessions:clear       [-- --user ID | --clinic ID]   without either: everyone's
  npm run mfa:status           [-- --clinic ID]
  npm run auth:verify-config
  npm run seed:admin           [-- --email ADDRESS --insurer-address 0x...]
                               the password is SEED_ADMIN_PASSWORD, or made and shown
  npm run metrics:feature-flags [-- --days N]

${WHERE}`;
answerHelp(import.meta.filename, USAGE);

const printer = makePrinter(process.stdout, process.env);

async function clear(hub: HubOperator, userId: string | undefined, clinicId: string | undefined): Promise<void> {
  if (userId !== undefined && clinicId !== undefined) throw new Failure("--user or --clinic, not both");
  const scope =
    userId !== undefined
      ? { type: "user", userId }
      : clinicId !== undefined
        ? { type: "clinic", clinicId }
        : { type: "everyone" };
  const schema = z.object({ cleared: z.number() });
  const { cleared } = await hub.ask("/api/admin/sessions/clear", schema, { method: "POST", body: { scope } });
  printer.fact("sessions", `${cleared} ended, of ${userId ?? clinicId ?? "everyone"}`);
}

const groupsSchema = z.object({
  groups: z.array(
    z.object({
      clinicId: z.string().nullable(),
      role: z.string(),
      users: z.number(),
      withSecondFactor: z.number(),
      fewBackupCodes: z.number(),
    }),
  ),
});

async function secondFactors(hub: HubOperator, clinicId: string | undefined): Promise<void> {
  const query = clinicId === undefined ? "" : `?clinicId=${encodeURIComponent(clinicId)}`;
  const { groups } = await hub.ask(`/api/admin/second-factors${query}`, groupsSchema);
  const [users, safe] = groups.reduce(([u, s], group) => [u + group.users, s + group.withSecondFactor], [0, 0]);
  for (const group of groups) {
    const few = group.fewBackupCodes === 0 ? "" : `, ${group.fewBackupCodes} nearly out of backup codes`;
    printer.note(
      `${(group.clinicId ?? "no clinic").padEnd(30)} ${group.role.padEnd(9)} ${group.withSecondFactor} of ${group.users}${few}`,
    );
  }
  printer.fact("mfa", `${safe} of ${users} people have a second factor`);
}

const findingsSchema = z.object({
  ok: z.boolean(),
  findings: z.array(z.object({ name: z.string(), result: z.string(), detail: z.string() })),
});

async function verifyConfig(hub: HubOperator): Promise<void> {
  const { ok, findings } = await hub.ask("/api/admin/auth-config", findingsSchema);
  const style = { ok: "green", warning: "yellow", fault: "red" } as const;
  for (const { name, result, detail } of findings) {
    const painted = result === "ok" || result === "warning" || result === "fault" ? style[result] : "dim";
    printer.line(`  ${printer.paint(painted, result.padEnd(8))} ${name.padEnd(14)} ${detail}`);
  }
  if (!ok) throw new Failure("sign-in is not configured as it should be");
}

const seededSchema = z.object({
  clinicId: z.string(),
  users: z.array(z.object({ userId: z.string(), role: z.string(), email: z.string() })),
  created: z.array(z.string()),
  patientIds: z.array(z.string()),
  providerIds: z.array(z.string()),
  insurerIds: z.array(z.string()),
});

async function seed(hub: HubOperator, email: string | undefined, insurer: string | undefined): Promise<void> {
  const given = process.env.SEED_ADMIN_PASSWORD ?? "";
  const password = given === "" ? randomBytes(15).toString("base64url") : given;
  const body = {
    adminEmail: email ?? process.env.SEED_ADMIN_EMAIL ?? "admin@demo.invalid",
    adminPassword: password,
    insurerAddress: insurer ?? DEMO_INSURER_ADDRESS,
  };
  const seeded = await hub.ask("/api/admin/seed", seededSchema, { method: "POST", body });
  const { clinicId, users, created, patientIds, providerIds, insurerIds } = seeded;
  printer.fact("clinic", clinicId);
  for (const { userId, role, email: address } of users) {
    printer.fact(role, created.includes(userId) ? `${address}, made now` : `${userId}, was there and stays as it is`);
  }
  printer.fact(
    "records",
    `${patientIds.length} patients, ${providerIds.length} providers, ${insurerIds.length} insurers`,
  );
  if (created.length > 0 && given === "") printer.fact("password", `${password} (of those made now; shown this once)`);
}

const flagsSchema = z.object({
  flags: z.array(z.object({ name: z.string(), enabled: z.boolean(), percentage: z.number() })),
});
const exposuresSchema = z.object({
  days: z.array(z.object({ day: z.string(), on: z.number(), off: z.number() })),
});

async function featureFlags(hub: HubOperator, days: string): Promise<void> {
  const { flags } = await hub.ask("/api/admin/flags", flagsSchema);
  for (const { name, enabled, percentage } of flags) {
    printer.line(`  ${printer.paint("bold", name)}  ${enabled ? `on for ${percentage} % of the users` : "off"}`);
    const path = `/api/admin/flags/${name}/exposures?days=${encodeURIComponent(days)}`;
    const exposures = await hub.ask(path, exposuresSchema);
    if (exposures.days.length === 0) printer.note("nobody met it yet");
    for (const { day, on, off } of exposures.days) printer.fact(day, `${on} saw it on, ${off} off`);
  }
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      user: { type: "string" },
      clinic: { type: "string" },
      email: { type: "string" },
      "insurer-address": { type: "string" },
      days: { type: "string" },
      ...ENV_OPTION,
    },
  });
  const [command] = positionals;
  const hub = (): HubOperator => typedHubAt(values.env);
  switch (command) {
    case "clear-sessions":
      return clear(hub(), values.user, values.clinic);
    case "second-factors":
      return secondFactors(hub(), values.clinic);
    case "verify-config":
      return verifyConfig(hub());
    case "seed":
      return seed(hub(), values.email, values["insurer-address"]);
    case "feature-flags":
      return featureFlags(hub(), values.days ?? "14");
    default:
      throw new Failure(USAGE);
  }
}

try {
  await main();
} catch (thrown) {
  process.stderr.write(`${messageOf(thrown)}\n`);
  process.exitCode = 1;
}
