import { availableParallelism } from "node:os";
import { join } from "node:path";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { writeConsoleAssets } from "./scripts/lib/console-assets.ts";
import { TEST_SECRETS } from "./test/secrets.ts";

/** Hundreds of sign-ins would spend half a minute on nothing but hashing. */
const cheapPasswords = {
  find: /^\.\/password-cost\.ts$/,
  replacement: join(import.meta.dirname, "test/worker/medlink/password-cost.ts"),
};

/** Bounds what hangs; on a machine that others use as well, the longest take their time. */
const PATIENCE = { testTimeout: 120_000, hookTimeout: 120_000 };

/** The files of a project run in one worker, or in one for each that vitest runs at once: each file empties what it finds. */
const workerProject = async (
  name: string,
  configPath: string,
  migrations: string | undefined,
  secrets: Record<string, string>,
  more: { readonly globalSetup?: string[]; readonly setupFiles?: string[] } = {},
) => ({
  plugins: [
    cloudflareTest({
      wrangler: { configPath },
      miniflare: {
        // Tests hand the worker a core of their own; this one only stands where the binding must be.
        serviceBindings: name === "core" ? {} : { CORE: () => new Response("no core here", { status: 503 }) },
        bindings: {
          // A test that counts rows must not count these; those of metrics switch it on.
          METRICS: "off",
          ...secrets,
          ...(migrations === undefined
            ? {}
            : {
                TEST_MIGRATIONS: await readD1Migrations({
                  migrationsDir: migrations,
                  migrationsPattern: `${migrations}/*.up.sql`,
                }),
              }),
        },
      },
    }),
  ],
  test: { name, include: [`test/worker/${name}/**/*.test.{ts,tsx}`], ...PATIENCE, isolate: false, ...more },
  resolve: { alias: name === "medlink" ? [cheapPasswords] : [] },
});

export default defineConfig(async () => {
  await writeConsoleAssets();
  return {
    test: {
      // Workers log every request: shown for the tests that fail.
      silent: "passed-only" as const,
      // One more than there are cores: many a file waits for another process or for time to pass.
      maxWorkers: availableParallelism() + 1,
      projects: [
        { test: { name: "unit", include: ["test/unit/**/*.test.ts"], ...PATIENCE, isolate: false } },
        await workerProject("core", "./wrangler.toml", "migrations/core", TEST_SECRETS.core, {
          globalSetup: ["./test/support/anvil-setup.ts"],
          setupFiles: ["./test/worker/core/fresh.ts"],
        }),
        await workerProject("relay", "./wrangler.relay.toml", undefined, TEST_SECRETS.relay),
        await workerProject("medlink", "./wrangler.medlink.toml", "migrations/medlink", TEST_SECRETS.hub),
        {
          test: {
            name: "e2e",
            include: ["test/e2e/**/*.test.ts"],
            testTimeout: 300_000,
            hookTimeout: 120_000,
          },
        },
        {
          test: {
            name: "browser",
            include: ["test/browser/**/*.test.ts"],
            globalSetup: ["./test/browser/support/setup.ts"],
            testTimeout: 120_000,
            hookTimeout: 120_000,
            fileParallelism: false,
          },
        },
      ],
    },
  };
});
