/** The list from 48 hours before a cutover to its go: what people sign, and what is looked at. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import * as z from "zod";
import { projectRoot } from "../bundle.ts";
import { evaluatorFault } from "../checks.ts";
import { askOf, type DeploySite } from "../deploy/site.ts";
import { messageOf } from "../fail.ts";
import type { GateName } from "../load/settings.ts";
import type { EnvironmentName } from "../platform.ts";
import { remedyIn } from "../remedy.ts";
import { type GateWanted, gateFaults } from "./gates.ts";

export type When = "T-48h" | "T-24h" | "T-12h" | "T-6h" | "T-2h" | "T-0";

export interface Item {
  readonly id: string;
  readonly when: When;
  readonly title: string;
  /** How many people sign it; 0: it is looked at instead. */
  readonly signatures: number;
}

const signed = (id: string, when: When, title: string, signatures = 1): Item => ({ id, when, title, signatures });
const looked = (id: string, when: When, title: string): Item => ({ id, when, title, signatures: 0 });

export const ITEMS: readonly Item[] = [
  looked("staging-gate", "T-48h", "The staging gate passed, no more than 7 days ago"),
  looked("load-gate", "T-48h", "The load gate passed"),
  looked("soak-gate", "T-48h", "The soak gate passed"),
  signed("results-reviewed", "T-48h", "Results of the gates reviewed"),
  signed("staging-mirrors", "T-48h", "Staging mirrors production"),
  looked("secrets-ages", "T-24h", "No secret is older than 90 days, no rotation is half done"),
  looked("tls", "T-24h", "TLS certificates hold"),
  signed("network-reviewed", "T-24h", "Firewall and access rules reviewed"),
  looked("auto-submit-off", "T-24h", "Auto-submit is off"),
  looked("core-backup", "T-12h", "Core: a good backup of the last 24 hours"),
  looked("hub-backup", "T-12h", "Hub: a good backup of the last 24 hours"),
  looked("restore-drill", "T-12h", "A restore drill was good in the last 90 days"),
  signed("off-site", "T-12h", "Backups are also where the production account can not delete them"),
  looked("evaluator", "T-6h", "Alerts are evaluated, and none critical is open"),
  looked("test-alert", "T-6h", "A test alert reached every channel"),
  signed("dashboards", "T-6h", "Dashboards looked at"),
  signed("logs", "T-6h", "Logs of all three workers seen"),
  signed("rollback-plan", "T-2h", "Rollback plan reviewed by two engineers", 2),
  signed("on-call", "T-2h", "On-call shifts of the 72 hours confirmed"),
  signed("channel", "T-2h", "Incident channel made"),
  signed("stakeholders", "T-2h", "Stakeholders told"),
  signed("present", "T-0", "On-call engineers present"),
  signed("go", "T-0", "Go"),
];

const signOffsSchema = z.object({
  contact: z.string().min(1),
  window: z.string().min(1),
  signed: z.record(z.string(), z.array(z.object({ name: z.string(), at: z.string().optional() }))),
});
export type SignOffs = z.output<typeof signOffsSchema>;

export const templateOf = (): SignOffs => ({
  contact: "",
  window: "",
  signed: Object.fromEntries(
    ITEMS.filter(({ signatures }) => signatures > 0).map(({ id, signatures }) => [
      id,
      Array.from({ length: signatures }, () => ({ name: "" })),
    ]),
  ),
});

/** Who signed an item: distinct names, and not a gap in a template. */
export const signersOf = (signOffs: SignOffs, id: string): readonly string[] => [
  ...new Set(
    (signOffs.signed[id] ?? []).map(({ name }) => name.trim()).filter((name) => name !== "" && !/^\[.*\]$/.test(name)),
  ),
];

export function readSignOffs(path: string): SignOffs | undefined {
  if (!existsSync(path)) return undefined;
  return signOffsSchema.safeParse(JSON.parse(readFileSync(path, "utf8"))).data;
}

export interface ItemResult {
  readonly id: string;
  readonly when: When;
  readonly title: string;
  readonly ok: boolean;
  readonly detail: string;
}

export interface PreflightParts extends GateWanted {
  /** Whose commands an operator is told: in a rehearsal this machine's. */
  readonly commandsOf: EnvironmentName;
  readonly site: DeploySite;
  readonly signOffs: SignOffs;
  /** Where the gates' results are. */
  readonly gates: string;
  readonly tlsDays: number;
}

const DAY_MS = 86_400_000;

const endedSchema = z.looseObject({ endedAt: z.string() });

function gate(parts: PreflightParts, of: GateName | "staging", file: string): string {
  const path = [join(parts.gates, file), join(projectRoot, ".local/load", file)].find((one) => existsSync(one));
  if (path === undefined) throw new Error(`there is no ${file}: run scripts/itrans-staging-validation.sh`);
  const result: unknown = JSON.parse(readFileSync(path, "utf8"));
  const faults = gateFaults(of, result, parts);
  if (faults.length > 0) throw new Error(`${file}: ${faults.join("; ")}`);
  return `passed, ${endedSchema.parse(result).endedAt}`;
}

const secretsSchema = z.looseObject({
  secrets: z.array(z.looseObject({ name: z.string(), ageDays: z.number().nullable() })),
  overlaps: z.array(z.looseObject({ name: z.string() })),
});
const backupsSchema = z.looseObject({
  runs: z.array(z.looseObject({ name: z.string(), state: z.string(), finishedAt: z.string().nullable() })),
  drills: z.array(z.looseObject({ state: z.string(), finishedAt: z.string().nullable() })).optional(),
});
const alertsSchema = z.looseObject({
  evaluatedAt: z.string().nullable(),
  alerts: z.array(z.looseObject({ name: z.string(), grade: z.string(), phase: z.string() })),
});
const sentSchema = z.looseObject({
  notifications: z.array(z.looseObject({ id: z.string(), state: z.string(), error: z.string().nullable() })),
});

/** What an operator adds to a command; `npm run` wants `--` before it. */
const envOf = (environment: EnvironmentName): string => (environment === "local" ? "" : ` --env ${environment}`);
const npmEnvOf = (environment: EnvironmentName): string => (environment === "local" ? "" : ` --${envOf(environment)}`);

async function newestGood({ site, now, commandsOf }: PreflightParts, of: "core" | "hub"): Promise<string> {
  const { runs } = backupsSchema.parse(
    await askOf(site, of, of === "core" ? "/operations/backups" : "/api/operations/backups"),
  );
  const good = runs.find(({ state, finishedAt }) => state === "good" && finishedAt !== null);
  if (good?.finishedAt == null)
    throw new Error(
      `there is no good backup: scripts/backupLedgerSnapshot.sh${envOf(commandsOf)}${of === "hub" ? " --hub" : ""} makes one`,
    );
  if (now - Date.parse(good.finishedAt) > DAY_MS) throw new Error(`the newest good one is of ${good.finishedAt}`);
  return `${good.name}, ${good.finishedAt}`;
}

/** Days that the certificate of an https address still holds. */
function certificateDays(url: string, now: number): Promise<number> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(
      { host: hostname, port: port === "" ? 443 : Number(port), servername: hostname, timeout: 10_000 },
      () => {
        const { valid_to: until } = socket.getPeerCertificate();
        socket.destroy();
        resolve((Date.parse(until) - now) / DAY_MS);
      },
    );
    socket.once("error", reject);
    socket.once("timeout", () => socket.destroy(new Error(`${hostname} does not answer`)));
  });
}

type Look = (parts: PreflightParts) => Promise<string> | string;

const LOOKS: Readonly<Record<string, Look>> = {
  "staging-gate": (parts) => gate(parts, "staging", "summary.json"),
  "load-gate": (parts) => gate(parts, "load", "load-gate.json"),
  "soak-gate": (parts) => gate(parts, "soak", "soak-gate.json"),
  async "secrets-ages"({ site, commandsOf }) {
    const { secrets, overlaps } = secretsSchema.parse(await askOf(site, "core", "/operations/secrets"));
    const old = secrets
      .filter(({ ageDays }) => (ageDays ?? 0) > 90)
      .map(({ name, ageDays }) => `${name} ${Math.round(ageDays ?? 0)} days`);
    if (old.length > 0) throw new Error(`${old.join(", ")}: npm run secrets:rotate${npmEnvOf(commandsOf)}`);
    if (overlaps.length > 0)
      throw new Error(`the rotation of ${overlaps.map(({ name }) => name).join(", ")} is not over`);
    return `${secrets.length} secrets, the oldest ${Math.round(Math.max(0, ...secrets.map(({ ageDays }) => ageDays ?? 0)))} days`;
  },
  async tls({ site, now, tlsDays }) {
    const hosts = [...new Set(Object.values(site.urls))].filter((url) => url.startsWith("https:"));
    const days = await Promise.all(hosts.map(async (url) => ({ url, days: await certificateDays(url, now) })));
    const short = days.filter((one) => one.days < tlsDays);
    if (short.length > 0)
      throw new Error(short.map((one) => `${one.url}: ${Math.floor(one.days)} days, wanted ${tlsDays}`).join(", "));
    return days.length === 0
      ? "every address is of this machine, without TLS"
      : days.map((one) => `${one.url}: ${Math.floor(one.days)} days`).join(", ");
  },
  async "auto-submit-off"({ site, commandsOf }) {
    const { enabled } = z
      .looseObject({ enabled: z.boolean() })
      .parse(await askOf(site, "hub", "/api/itrans/auto-submit/status"));
    if (enabled) throw new Error(remedyIn("it is on: npm run auto-submit:off", commandsOf));
    return "off";
  },
  "core-backup": (parts) => newestGood(parts, "core"),
  "hub-backup": (parts) => newestGood(parts, "hub"),
  async "restore-drill"({ site, now, commandsOf }) {
    const { drills = [] } = backupsSchema.parse(await askOf(site, "core", "/operations/backups"));
    const good = drills.find(({ state, finishedAt }) => state === "good" && finishedAt !== null);
    if (good?.finishedAt == null || now - Date.parse(good.finishedAt) > 90 * DAY_MS)
      throw new Error(`there is none: npm run restore:drill${npmEnvOf(commandsOf)}`);
    return good.finishedAt;
  },
  async evaluator({ site, now }) {
    const { evaluatedAt, alerts } = alertsSchema.parse(await askOf(site, "core", "/operations/alerts"));
    const stale = evaluatorFault(evaluatedAt, now);
    if (stale !== undefined) throw new Error(stale);
    const open = alerts.filter(({ phase, grade }) => phase === "open" && grade === "critical").map(({ name }) => name);
    if (open.length > 0) throw new Error(`open: ${open.join(", ")}`);
    return `evaluated ${evaluatedAt}`;
  },
  async "test-alert"({ site }) {
    const { notifications } = sentSchema.parse(
      await askOf(site, "core", "/operations/alerts/test", { method: "POST" }),
    );
    const bad = notifications.filter(({ state }) => state !== "sent");
    if (notifications.length === 0 || bad.length > 0)
      throw new Error(`not taken: ${bad.map(({ id, error }) => `${id} (${error ?? "?"})`).join(", ")}`);
    return `${notifications.length} messages taken`;
  },
};

/** One after another, in the order of the list. @param seen is told of each. */
export async function runPreflight(
  parts: PreflightParts,
  seen: (result: ItemResult) => void = () => {},
): Promise<readonly ItemResult[]> {
  const results: ItemResult[] = [];
  for (const { id, when, title, signatures } of ITEMS) {
    const keep = (ok: boolean, detail: string): void => {
      const result = { id, when, title, ok, detail };
      results.push(result);
      seen(result);
    };
    if (signatures > 0) {
      const names = signersOf(parts.signOffs, id);
      keep(
        names.length >= signatures,
        names.length >= signatures ? names.join(", ") : `${names.length} of ${signatures} names`,
      );
      continue;
    }
    try {
      const look = LOOKS[id];
      if (look === undefined) throw new Error(`nothing looks at ${id}`);
      keep(true, await look(parts));
    } catch (error) {
      keep(false, messageOf(error));
    }
  }
  return results;
}

export const preflightPage = (
  results: readonly ItemResult[],
  environment: string,
  commit: string,
  at: string,
  go: string | undefined,
): string =>
  [
    `# Before the cutover to ${environment}`,
    "",
    `Commit ${commit}, ${at}.`,
    "",
    "| When | Item | Result |",
    "| --- | --- | --- |",
    ...results.map(
      ({ when, title, ok, detail }) =>
        `| ${when} | ${title} | ${ok ? "ok" : "**NO**"}: ${detail.replaceAll("|", "/")} |`,
    ),
    "",
    go === undefined ? "**No-go**: what says NO above is open." : `**Go**, decided by ${go}.`,
    "",
  ].join("\n");
