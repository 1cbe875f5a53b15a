import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig } from "vitest/config";
import { writeConsoleAssets } from "./scripts/lib/console-assets.ts";
import { TEST_SECRETS } from "./test/secrets.ts";

/** @param isolate false: the files run in one worker, which loads its modules once; each empties the database first. */
const workerProject = async (
  name: string,
  configPath: string,
  migrations: string | undefined,
  secrets: Record<string, string>,
  globalSetup: string[] = [],
  isolate = true,
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
  test: { name, include: [`test/worker/${name}/**/*.test.{ts,tsx}`], testTimeout: 30_000, globalSetup, isolate },
});

export default defineConfig(async () => {
  await writeConsoleAssets();
  return {
    test: {
      // Workers log every request: shown for the tests that fail.
      silent: "passed-only" as const,
      projects: [
        { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: 30_000 } },
        await workerProject("core", "./wrangler.toml", "migrations/core", TEST_SECRETS.core, [
          "./test/support/anvil-setup.ts",
        ]),
        await workerProject("relay", "./wrangler.relay.toml", undefined, TEST_SECRETS.relay),
        await workerProject("medlink", "./wrangler.medlink.toml", "migrations/medlink", TEST_SECRETS.hub, [], false),
        {
          test: {
            name: "e2e",
            include: ["test/e2e/**/*.test.ts"],
            testTimeout: 300_000,
            hookTimeout: 120_000,
            fileParallelism: false,
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
