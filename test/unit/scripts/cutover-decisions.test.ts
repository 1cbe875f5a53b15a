/** One process at a time runs a cutover of an environment, and what is left of one that is gone stands in nobody's way. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { projectRoot } from "../../../scripts/lib/bundle.ts";
import { beginRun, decide, endRun, markRun, otherRun, takeDecision } from "../../../scripts/lib/cutover/decisions.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "run-"));
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(directory, { recursive: true });
});
const mark = (): string => join(directory, "run.json");
const marked = (run: unknown): void => writeFileSync(mark(), JSON.stringify(run));

/** Another process that marked itself as the run. */
async function another<T>(work: (pid: number) => Promise<T> | T): Promise<T> {
  const script = `
    import { beginRun } from ${JSON.stringify(join(projectRoot, "scripts/lib/cutover/decisions.ts"))};
    beginRun(${JSON.stringify(directory)});
    console.log("marked");
    setInterval(() => {}, 1_000);`;
  const child = spawn(process.execPath, ["--input-type=module-typescript", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await once(child.stdout, "data");
    return await work(child.pid ?? 0);
  } finally {
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }
}

describe("the mark of a run", () => {
  it("of this process is no other's, and goes with its end", () => {
    beginRun(directory);
    expect(otherRun(directory)).toBeUndefined();
    markRun(directory, true);
    expect(otherRun(directory)).toBeUndefined();
    beginRun(directory);
    expect(JSON.parse(readFileSync(mark(), "utf8")), "it stays what it was").toMatchObject({ waiting: true });
    endRun(directory);
    expect(existsSync(mark())).toBe(false);
  });

  it("of another that lives keeps this one from beginning, and says which file to delete; one that was killed does not", async () => {
    await another((pid) => {
      expect(otherRun(directory)).toMatchObject({ pid, waiting: false });
      expect(() => beginRun(directory)).toThrow(
        `a cutover is under way in process ${pid}; when you know that no cutover runs, delete ${mark()}`,
      );
      endRun(directory);
      expect(existsSync(mark()), "nobody else ends it").toBe(true);
    });
    expect(otherRun(directory)).toBeUndefined();
    beginRun(directory);
    expect(JSON.parse(readFileSync(mark(), "utf8"))).toMatchObject({ pid: process.pid });
  });

  it("whose pid another process has by now is nobody's", () => {
    marked({ pid: process.ppid, started: "of another time", waiting: false });
    expect(otherRun(directory)).toBeUndefined();
    beginRun(directory);
    expect(JSON.parse(readFileSync(mark(), "utf8"))).toMatchObject({ pid: process.pid });
  });

  it("that does not say when its process started is believed", () => {
    marked({ pid: process.ppid, waiting: true });
    expect(otherRun(directory)).toMatchObject({ pid: process.ppid });
    expect(() => beginRun(directory)).toThrow("under way");
  });

  it("of another user's process, which may not be asked, counts", () => {
    marked({ pid: process.ppid, waiting: false });
    vi.spyOn(process, "kill").mockImplementation(() => {
      throw Object.assign(new Error("kill EPERM"), { code: "EPERM" });
    });
    expect(otherRun(directory)).toMatchObject({ pid: process.ppid });
  });

  it("that can not be read is not taken for none", () => {
    writeFileSync(mark(), "");
    expect(() => otherRun(directory)).toThrow(`delete ${mark()}`);
    expect(() => beginRun(directory)).toThrow(`delete ${mark()}`);
  });

  it("is made by one alone of two that begin in the same moment", async () => {
    const begins = `
      import { beginRun } from ${JSON.stringify(join(projectRoot, "scripts/lib/cutover/decisions.ts"))};
      process.once("message", () => {
        try { beginRun(${JSON.stringify(directory)}); process.send("began"); } catch { process.send("refused"); }
      });
      setInterval(() => {}, 1_000);
      process.send("there");`;
    const children = [1, 2, 3].map(() =>
      spawn(process.execPath, ["--input-type=module-typescript", "-e", begins], {
        stdio: ["ignore", "ignore", "inherit", "ipc"],
      }),
    );
    try {
      await Promise.all(children.map((child) => once(child, "message")));
      const said = children.map((child) => once(child, "message"));
      for (const child of children) child.send("go");
      expect((await Promise.all(said)).flat().filter((word) => word === "began")).toHaveLength(1);
    } finally {
      for (const child of children) child.kill("SIGKILL");
    }
  });
});

it("of decisions the newest is taken, once, and none from before a run is its own", () => {
  decide(directory, { type: "again" });
  beginRun(directory);
  expect(takeDecision(directory)).toBeUndefined();
  decide(directory, { type: "again" });
  decide(directory, { type: "rollback", because: "seen" });
  expect(takeDecision(directory)).toEqual({ type: "rollback", because: "seen" });
  expect(takeDecision(directory)).toBeUndefined();
});
