import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { valuesOf } from "../../../scripts/lib/environment.ts";

test("values of an environment are those of its two files, the process's before both; empty ones count for nothing", () => {
  const root = mkdtempSync(join(tmpdir(), "itrans-environment-"));
  try {
    mkdirSync(join(root, "config"));
    writeFileSync(join(root, "config", "staging.env"), 'A="config"\nB="config"\nC="config"\n');
    writeFileSync(join(root, ".env.staging"), 'B="dot"\nC="dot"\n');
    writeFileSync(join(root, ".dev.vars"), 'A="local"\n');
    expect(valuesOf("staging", { C: "process", B: "" }, root)).toEqual({ A: "config", B: "dot", C: "process" });
    expect(valuesOf("local", {}, root)).toEqual({ A: "local" });
    expect(valuesOf("production", { D: "process" }, root)).toEqual({ D: "process" });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
