/**
 * What deployed workers logged in the past, from the platform's Workers Logs: its telemetry query API, which keeps lines for 3 days
 * (7 on the paid plan).
 */
import { join } from "node:path";
import { unstable_readConfig as readConfig } from "wrangler";
import * as z from "zod";
import type { WorkerName } from "../../src/platform/secrets.ts";
import { projectRoot } from "./bundle.ts";
import { Failure } from "./fail.ts";
import { call } from "./http.ts";
import { CONFIGS, type RemoteEnvironment } from "./platform.ts";

const API = "https://api.cloudflare.com/client/v4";
/** What one query gives at most. */
const PAGE = 2_000;
const MAX_PAGES = 10;
const TIMEOUT_MS = 60_000;

export interface TelemetryAccess {
  readonly account: string;
  readonly token: string;
  /** Of Cloudflare's API. */
  readonly base: string;
}

type Values = Readonly<Record<string, string | undefined>>;

/** @throws Failure naming what is to be set. */
export function telemetryAccess(values: Values): TelemetryAccess {
  const [account = "", token = ""] = [values.CLOUDFLARE_ACCOUNT_ID, values.CLOUDFLARE_API_TOKEN];
  const missing = Object.entries({ CLOUDFLARE_ACCOUNT_ID: account, CLOUDFLARE_API_TOKEN: token }).flatMap(
    ([name, value]) => (value === "" ? [name] : []),
  );
  if (missing.length > 0) {
    throw new Failure(
      `set ${missing.join(" and ")} (a token that may read Workers Observability), in the environment or in .env.<environment>: ` +
        "what deployed workers logged is read from the platform. Without --since this shows what happens from now on.",
    );
  }
  return { account, token, base: (values.CLOUDFLARE_API_BASE_URL ?? API).replace(/\/+$/, "") };
}

const answerSchema = z.object({
  success: z.literal(true),
  result: z.object({
    events: z
      .object({
        events: z
          .array(
            z.looseObject({
              source: z.unknown(),
              $metadata: z.looseObject({ id: z.string().optional(), message: z.string().optional() }),
            }),
          )
          .default([]),
      })
      .optional(),
  }),
});

export interface PastLines {
  /** As the worker wrote them, in no order. */
  readonly lines: readonly string[];
  /** There were more than were asked for; these are the newest. */
  readonly cut: boolean;
}

/** What the platform kept of one line: it parses those that are JSON. */
function lineOf(source: unknown, message: string | undefined): string {
  if (typeof source === "object" && source !== null && "event" in source) return JSON.stringify(source);
  return typeof source === "string" ? source : (message ?? "");
}

/** @param from epoch ms. @param to epoch ms. @param needle only lines with this text. @throws Failure with what was answered. */
export async function pastLines(
  { account, token, base }: TelemetryAccess,
  worker: WorkerName,
  environment: RemoteEnvironment,
  from: number,
  to: number,
  needle?: string,
): Promise<PastLines> {
  const service = readConfig({ config: join(projectRoot, CONFIGS[worker]), env: environment }).name ?? worker;
  const lines: string[] = [];
  let offset: string | undefined;
  for (let page = 0; page < MAX_PAGES; page++) {
    const { status, body } = await call(`${base}/accounts/${account}/workers/observability/telemetry/query`, {
      method: "POST",
      timeoutMs: TIMEOUT_MS,
      headers: { authorization: `Bearer ${token}` },
      body: {
        queryId: `itrans-logs-${from}-${to}`,
        // The query itself is not kept.
        dry: true,
        view: "events",
        limit: PAGE,
        timeframe: { from, to },
        ...(offset === undefined ? {} : { offset, offsetDirection: "next" }),
        parameters: {
          datasets: ["cloudflare-workers"],
          filterCombination: "and",
          filters: [{ key: "$metadata.service", operation: "eq", type: "string", value: service }],
          ...(needle === undefined ? {} : { needle: { value: needle, isRegex: false, matchCase: true } }),
        },
      },
    });
    const parsed = answerSchema.safeParse(body);
    if (status !== 200)
      throw new Failure(`the platform answers ${status} to a query of ${service}'s logs: may the token read them?`);
    if (!parsed.success) throw new Failure(`the platform's answer to a query of ${service}'s logs has an unknown form`);
    const events = parsed.data.result.events?.events ?? [];
    lines.push(...events.map(({ source, $metadata }) => lineOf(source, $metadata.message)));
    offset = events.at(-1)?.$metadata.id;
    if (events.length < PAGE || offset === undefined) return { lines, cut: false };
  }
  return { lines, cut: true };
}
