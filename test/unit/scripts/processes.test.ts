import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { claimPorts } from "../../../scripts/lib/ports.ts";
import { claimDataDirectory, commandOf, isAlive } from "../../../scripts/lib/processes.ts";

const directory = () => mkdtempSync(join(tmpdir(), "run-"));

const sleeper = () =>
  new Promise<number>((resolve) => {
    const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"], { stdio: "ignore" });
    child.once("spawn", () => resolve(child.pid ?? 0));
  });

test("a directory that a live run owns is refused, naming the process", async () => {
  const dir = directory();
  const owner = await sleeper();
  const run = await claimDataDirectory(dir, () => {}, owner);
  await expect(claimDataDirectory(dir, () => {})).rejects.toThrow(String(owner));
  process.kill(owner, "SIGKILL");
  run.remove();
});

test("what a killed run left behind is ended, and nothing else", async () => {
  const dir = directory();
  const [owner, child, stranger] = await Promise.all([sleeper(), sleeper(), sleeper()]);
  const run = await claimDataDirectory(dir, () => {}, owner);
  run.record([child]);
  const text = JSON.stringify({
    runner: { pid: owner, command: commandOf(owner) },
    children: [
      { pid: child, command: commandOf(child) },
      { pid: stranger, command: "what had this pid before" },
    ],
  });
  writeFileSync(join(dir, "run.json"), text);
  process.kill(owner, "SIGKILL");
  while (isAlive(owner)) await new Promise((resolve) => setTimeout(resolve, 10));
  const said: string[] = [];
  await claimDataDirectory(dir, (line) => said.push(line));
  expect(isAlive(child)).toBe(false);
  expect(isAlive(stranger)).toBe(true);
  expect(said).toHaveLength(1);
  process.kill(stranger, "SIGKILL");
});

test("a taken port is named with its service, and free ones differ", async () => {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : 0);
    });
  });
  await expect(claimPorts({ core: port })).rejects.toThrow(`port ${port} (core) is taken`);
  server.close();
  const free = await claimPorts({ core: 0, hub: 0, relay: 0 });
  expect(new Set(Object.values(free)).size).toBe(3);
  const many = await Promise.all(Array.from({ length: 300 }, () => claimPorts({ core: 0 })));
  expect(new Set([...many, free].flatMap((claimed) => Object.values(claimed))).size).toBe(303);
});
