import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
import { headOf } from "../../../scripts/lib/help.ts";

const run = promisify(execFile);
const directory = join(import.meta.dirname, "../../../scripts");
const scripts = readdirSync(directory).filter((name) => name.endsWith(".ts"));
/** It hands its arguments to vitest, whose help it answers. */
const HANDS_ON = ["test.ts"];

describe("--help", () => {
  it.each(scripts.filter((name) => !HANDS_ON.includes(name)))("is known to %s", (name) => {
    const source = readFileSync(join(directory, name), "utf8");
    expect(source).toMatch(/^answerHelp\(import\.meta\.filename|values\.help|help: \{ type: "boolean"|"--help"/m);
    if (source.includes("answerHelp(import.meta.filename);"))
      expect(headOf(source)).toMatch(/`(npm run|node scripts)|npm run /);
  });

  it("of the anchors' commands says how each is used, before anything is asked of core", async () => {
    const { stdout } = await run(process.execPath, [join(directory, "anchors.ts"), "status", "--help"]);
    expect(stdout).toContain("npm run anchors:status");
    expect(stdout).toContain("npm run anchors:supersede -- --reason");
  });
});
