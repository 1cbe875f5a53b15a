/**
 * One system and one Chromium for all browser tests: the three workers, a node with the contract, the demo clinic and its insurer,
 * as `npm start` runs them. Chromium is the one that npm brings; CHROMIUM_PATH names another.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import chromium from "@sparticuz/chromium";
import { chromium as playwright } from "playwright-core";
import type { TestProject } from "vitest/node";
import { startSystem } from "../../../scripts/lib/system.ts";
import type {} from "./context.ts";

/** Opens the simulated operator's books to the tests, which make mismatches there. */
const OPERATOR_CONTROL_TOKEN = "browser-tests-change-the-books";

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const directory = mkdtempSync(join(tmpdir(), "itrans-browser-"));
  const logs: string[] = [];
  const browser = playwright.launchServer({
    executablePath: process.env.CHROMIUM_PATH ?? (await chromium.executablePath()),
    // Containers often forbid what the sandbox is made of, and only this machine's pages are visited.
    args: ["--no-sandbox", "--force-color-profile=srgb", "--font-render-hinting=none"],
  });
  const system = startSystem({
    dataDir: join(directory, "data"),
    secretsFile: join(directory, "secrets"),
    environment: { LOG_LEVEL: "error", OPERATOR_CONTROL_TOKEN, ALERT_INTERVAL_MS: "2000" },
    ports: { core: 0, hub: 0, relay: 0, anvil: 0, insurer: 0, operator: 0 },
    cronEveryMs: 1_500,
    onLog: (line) => {
      logs.push(line);
      if (logs.length > 1_000) logs.shift();
    },
  });
  const dispose = async () => {
    await Promise.allSettled([browser.then((server) => server.close()), system.then((running) => running.dispose())]);
    if (process.env.BROWSER_TEST_LOGS === "true") console.log(logs.join("\n"));
    rmSync(directory, { recursive: true, force: true });
  };
  try {
    const [server, running] = await Promise.all([browser, system]);
    if (running.clinic === undefined) throw new Error("the demo clinic was not seeded");
    project.provide("browserFacts", {
      hubUrl: running.stack.urls.hub,
      coreUrl: running.stack.urls.core,
      email: running.clinic.email,
      password: running.clinic.password,
      secrets: running.secrets,
      operator: { url: running.operatorUrl ?? "", controlToken: OPERATOR_CONTROL_TOKEN },
      browserUrl: server.wsEndpoint(),
    });
  } catch (error) {
    await dispose();
    throw error;
  }
  return dispose;
}
