/** The gates' scripts as an operator runs them, with every duration short. Whether a machine is fast enough is not asked here. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import * as z from "zod";
import { projectRoot } from "../../scripts/lib/bundle.ts";
import { startSystem } from "../../scripts/lib/system.ts";
import { temporaryDirectory } from "./support/stack.ts";

const run = promisify(execFile);
const directory = temporaryDirectory();
afterAll(() => directory.remove());

const SHORT = {
  LOAD_DURATION: "4s",
  LOAD_WARMUP: "1s",
  LOAD_TARGET_VUS: "5",
  SLO_P95_MAX_MS: "60000",
  SLO_P99_MAX_MS: "60000",
  SLO_LIFECYCLE_P95_MAX_MS: "120000",
  SLO_MIN_REQUESTS_LOAD: "1",
  SLO_ERROR_RATE_MAX: "0.5",
  SLO_CHECK_RATE_MIN: "0.5",
  SLO_CACHE_HIT_RATE_MIN: "0",
  SLO_DRAIN_MAX: "4m",
};

const read = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));

const resultSchema = z.looseObject({
  status: z.literal("pass"),
  claimId: z.string().min(1),
  requestId: z.string().min(1),
  deliveredCount: z.int().positive(),
});

const gateSchema = z.looseObject({
  pass: z.boolean(),
  figures: z.looseObject({ requests: z.int().positive(), claims: z.int().nonnegative() }),
  thresholds: z.array(z.looseObject({ name: z.string(), passed: z.boolean() })),
  failedThresholds: z.array(z.looseObject({ name: z.string() })),
});

const summarySchema = z.looseObject({
  status: z.string(),
  phases: z.array(z.looseObject({ phase: z.string(), pass: z.boolean(), findings: z.array(z.string()) })),
});

describe("scripts/itrans-staging-validation.sh", () => {
  // The functional phase is the script below; all four take some minutes, whatever their durations.
  it("goes through the phase it is told to, and leaves what it saw", async () => {
    const out = join(directory.path, "staging");
    const phases = ["--only", "load"];
    await run(join(projectRoot, "scripts", "itrans-staging-validation.sh"), [...phases, "--out", out], {
      env: { ...process.env, ...SHORT },
      maxBuffer: 10_000_000,
    }).catch(() => {
      // What failed is in the summary.
    });
    const summary = summarySchema.parse(read(join(out, "summary.json")));
    const failed = summary.phases.filter(({ pass }) => !pass).map(({ phase, findings }) => [phase, findings]);
    expect(failed).toEqual([]);
    expect(summary.status).toBe("pass");
    expect(summary.phases.map(({ phase, pass }) => [phase, pass])).toEqual([["load", true]]);
    for (const gate of ["load"]) {
      const { pass, thresholds, failedThresholds } = gateSchema.parse(read(join(out, `${gate}-gate.json`)));
      expect({ pass, failedThresholds }).toEqual({ pass: true, failedThresholds: [] });
      expect(thresholds.map(({ name }) => name)).toEqual(expect.arrayContaining(["p95", "p99", "error-rate", "drain"]));
      expect(readFileSync(join(out, `${gate}-gate.svg`), "utf8")).toContain("<polyline");
    }
  });
});

describe("./run-load-tests.sh", () => {
  it("that is interrupted says so in its result, and has not passed, however good what it saw", async () => {
    const out = join(directory.path, "interrupted");
    const environment = {
      ...SHORT,
      LOAD_DURATION: "5m",
      LOAD_WARMUP: "1ms",
      SLO_DRAIN_MAX: "1s",
      LOAD_OUTPUT_DIR: out,
    };
    const child = spawn(process.execPath, [join(projectRoot, "scripts/load.ts"), "load"], {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = once(child, "exit");
    let told = false;
    for await (const chunk of child.stdout) {
      // A second one would end it without a word.
      if (told || !/^load .* [1-9]\d* calls/m.test(String(chunk))) continue;
      told = child.kill("SIGINT");
    }
    expect(await ended).toEqual([1, null]);
    expect(read(join(out, "load-gate.json"))).toMatchObject({ interrupted: true, pass: false });
  });
});

describe("scripts/itrans-cross-repo-e2e.sh", () => {
  it("follows a claim through a system that runs already, and says in result.json what it saw", async () => {
    const system = await startSystem({
      dataDir: join(directory.path, "data"),
      secretsFile: join(directory.path, "secrets"),
      environment: { LOG_LEVEL: "error" },
      ports: { core: 0, hub: 0, relay: 0, anvil: 0, insurer: 0, operator: 0 },
    });
    try {
      const { stack, secrets, clinic } = system;
      const out = join(directory.path, "result.json");
      const script = join(projectRoot, "scripts", "itrans-cross-repo-e2e.sh");
      await run(script, ["--core", stack.urls.core, "--hub", stack.urls.hub, "--out", out], {
        env: {
          ...process.env,
          WORKFLOW_API_KEY: secrets.WORKFLOW_API_KEY,
          E2E_EMAIL: clinic?.email,
          E2E_PASSWORD: clinic?.password,
          E2E_INSURER: "real",
        },
      });
      expect(resultSchema.parse(read(out)).deliveredCount).toBe(6);
    } finally {
      await system.dispose();
    }
  });

  it("says why it fails, in result.json too", async () => {
    const out = join(directory.path, "failed.json");
    const failed = run(
      join(projectRoot, "scripts", "itrans-cross-repo-e2e.sh"),
      ["--core", "http://127.0.0.1:9", "--hub", "http://127.0.0.1:9", "--out", out],
      { env: { ...process.env, WORKFLOW_API_KEY: "k", E2E_EMAIL: "a@b.invalid", E2E_PASSWORD: "p" } },
    );
    await expect(failed).rejects.toMatchObject({ code: 1 });
    expect(existsSync(out)).toBe(true);
    expect(read(out)).toMatchObject({
      status: "fail",
      deliveredCount: 0,
      reason: expect.stringContaining("127.0.0.1:9"),
    });
  });
});
