import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  deployTriggers,
  deployWhole,
  listVersions,
  objectMigrationOf,
  setShares,
  sharesNow,
  uploadVersion,
} from "../../../scripts/lib/platform.ts";
import { commandOf, flagsOf, helpKeeper, unknownFlags } from "../../../scripts/lib/wrangler-help.ts";
import { recordingPlatform } from "../../support/recording-platform.ts";

it("reads every spelling of a flag from a command's help", () => {
  const flags = flagsOf(
    "  -c, --config     Path\n      --compatibility-flags, --compatibility-flag  Flags\nSee --not-a-flag of something",
  );
  expect([...flags]).toEqual(["-c", "--config", "--compatibility-flags", "--compatibility-flag"]);
});

it("tells commands from their arguments", () => {
  expect(commandOf(["versions", "deploy", "x@5%", "--yes"])).toBe("versions deploy");
  expect(commandOf(["d1", "time-travel", "info", "db"])).toBe("d1 time-travel info");
  expect(commandOf(["deploy", "--tag", "x"])).toBe("deploy");
});

it("asks the installed wrangler once for each command, and finds a flag that it does not list", async () => {
  const directory = mkdtempSync(join(tmpdir(), "help-"));
  try {
    const help = await helpKeeper(directory)("triggers deploy");
    expect(unknownFlags(help, ["--config", "wrangler.toml", "--env", "staging"])).toEqual([]);
    expect(unknownFlags(help, ["--percentages", "5"])).toEqual(["--percentages"]);
    const [file = ""] = readdirSync(directory);
    expect(Object.keys(JSON.parse(readFileSync(join(directory, file), "utf8")))).toEqual(["triggers deploy"]);
    await expect(helpKeeper(directory)("triggers no-such-command")).rejects.toThrow("triggers no-such-command");
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

it("says all of a deploy in wrangler's own words, and reads its answers", async () => {
  const id = "11111111-2222-4333-8444-555555555555";
  const platform = recordingPlatform(({ args }) => {
    switch (args.slice(0, 2).join(" ")) {
      case "versions list":
        return JSON.stringify([{ id, annotations: { "workers/tag": "abc" } }]);
      case "deployments status":
        return `banner\n${JSON.stringify({ versions: [{ version_id: id, percentage: 100 }] })}`;
      case "versions view":
        return JSON.stringify({ resources: { script_runtime: { migration_tag: "v5" } } });
      default:
        return `Uploaded\nWorker Version ID: ${id}\n`;
    }
  });
  const facts = { version: "1.0.0", commit: "c".repeat(40), builtAt: "2026-11-22T10:00:00.000Z" };
  expect(await uploadVersion(platform, "itrans-core", "production", facts)).toBe(id);
  expect(await deployWhole(platform, "itrans-core", "production", facts)).toBe(id);
  expect(await listVersions(platform, "itrans-core", "production")).toEqual([{ versionId: id, tag: "abc" }]);
  expect(await sharesNow(platform, "itrans-core", "production")).toEqual([{ versionId: id, percentage: 100 }]);
  expect(await objectMigrationOf(platform, "itrans-core", "production", id)).toBe("v5");
  await setShares(
    platform,
    "medlink-hub",
    "staging",
    [
      { versionId: id, percentage: 5 },
      { versionId: "old", percentage: 95 },
    ],
    "5 %",
  );
  await deployTriggers(platform, "medlink-hub", "staging");
  expect(platform.calls[0]?.args).toContain(`__COMMIT__:"${facts.commit}"`);
  expect(platform.calls.at(-2)?.args.slice(0, 4)).toEqual(["versions", "deploy", `${id}@5%`, "old@95%"]);
  for (const { args } of platform.calls)
    expect(args.slice(-4)).toEqual(["--config", expect.any(String), "--env", expect.any(String)]);
});
