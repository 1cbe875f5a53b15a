/** A real EVM node on this machine: anvil, started from the npm package that carries its binary. */
import { spawn } from "node:child_process";
import { existsSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as z from "zod";
import { Failure } from "./fail.ts";
import { endProcess } from "./processes.ts";

export interface AnvilOptions {
  readonly port: number;
  /** Kept over restarts; undefined: the chain is forgotten. */
  readonly stateFile?: string;
  readonly chainId?: number;
  /** Seconds between blocks. */
  readonly blockTimeS?: number;
  /**
   * Blocks stop when nothing happened for this long and start again with the next transaction: a chain left running
   * overnight would otherwise write its growing state again and again. 0: they never stop.
   */
  readonly idleAfterMs?: number;
  readonly say?: (line: string) => void;
}

export interface Anvil {
  readonly url: string;
  readonly pid: number;
  rpc(method: string, params?: readonly unknown[]): Promise<unknown>;
  /** Resolves when the node ends without having been asked to. */
  readonly died: Promise<string>;
  dispose(): Promise<void>;
}

const rpcAnswerSchema = z.object({
  result: z.unknown(),
  error: z.object({ code: z.number(), message: z.string() }).optional(),
});

/** One JSON-RPC call. @throws Error with the node's own message. */
export async function ethereumRpc(url: string, method: string, params: readonly unknown[] = []): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
    signal: AbortSignal.timeout(10_000),
  });
  const answer = rpcAnswerSchema.parse(await response.json());
  if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
  return answer.result;
}

/** The binary of the npm package, or the one that `ANVIL_PATH` names. @throws Failure when there is none. */
export function anvilBinary(named = process.env.ANVIL_PATH): string {
  if (named !== undefined && named !== "") {
    if (existsSync(named)) return named;
    throw new Failure(`there is no anvil binary at ${named}, which ANVIL_PATH names`);
  }
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  const name = `@foundry-rs/anvil-${process.platform}-${arch}`;
  try {
    const resolve = createRequire(createRequire(import.meta.url).resolve("@foundry-rs/anvil/package.json"));
    const binary = join(dirname(resolve.resolve(`${name}/package.json`)), "bin", "anvil");
    if (existsSync(binary)) return binary;
  } catch {
    // Said below.
  }
  throw new Failure(`the anvil binary is missing (${name}): run npm ci, with optional packages allowed`);
}

/** Starts the node and waits until it answers. @throws Failure when it does not within 20 s. */
export async function startAnvil(options: AnvilOptions): Promise<Anvil> {
  const { stateFile, chainId = 31_337, blockTimeS = 1, idleAfterMs = 60_000, say = () => {} } = options;
  const binary = anvilBinary();
  try {
    return await launch(binary);
  } catch (error) {
    // A state file that was being written when everything was killed stops the node from starting.
    if (stateFile === undefined || !existsSync(stateFile)) throw error;
    renameSync(stateFile, `${stateFile}.unreadable`);
    say(`the chain's saved state cannot be read; it is kept as ${stateFile}.unreadable and a new chain begins`);
    return launch(binary);
  }

  async function launch(path: string): Promise<Anvil> {
    const args = ["--host", "127.0.0.1", "--port", String(options.port), "--chain-id", String(chainId)];
    args.push("--block-time", String(blockTimeS), "--slots-in-an-epoch", "1", "--silent");
    if (stateFile !== undefined) args.push("--state", stateFile, "--state-interval", "2");
    // Its own process group: Ctrl-C must reach the runner alone, which then ends the node and waits for its state.
    const child = spawn(path, args, { stdio: ["ignore", "ignore", "pipe"], detached: true });
    let complaint = "";
    child.stderr.on("data", (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-2_000);
    });
    let disposed = false;
    let ended = false;
    const died = new Promise<string>((resolve) => {
      child.once("error", (error) => resolve(`anvil cannot be started: ${error.message}`));
      child.once("exit", (code, signal) => {
        ended = true;
        if (!disposed)
          resolve(`anvil ended (${signal ?? `exit ${code}`}) ${complaint.trim().split("\n")[0] ?? ""}`.trim());
      });
    });
    const url = `http://127.0.0.1:${options.port}`;
    const { pid } = child;
    const until = Date.now() + 20_000;
    for (;;) {
      const outcome = await Promise.race([
        died,
        ethereumRpc(url, "eth_chainId").then(
          () => "up" as const,
          () => "wait" as const,
        ),
      ]);
      if (outcome === "up" && pid !== undefined) break;
      if (outcome !== "wait" || Date.now() > until) {
        if (pid !== undefined && !ended) await endProcess(pid, 1_000);
        throw new Failure(outcome === "wait" ? "anvil did not answer within 20 s" : outcome);
      }
      await sleep(50);
    }
    const nodePid = pid;
    const stopPacing = paceBlocks(url, blockTimeS, idleAfterMs);
    return {
      url,
      pid: nodePid,
      rpc: (method, params) => ethereumRpc(url, method, params),
      died,
      async dispose() {
        disposed = true;
        stopPacing();
        if (!ended) await endProcess(nodePid, 5_000);
      },
    };
  }
}

function paceBlocks(url: string, blockTimeS: number, idleAfterMs: number): () => void {
  if (idleAfterMs === 0) return () => {};
  const poolSchema = z.object({ pending: z.string(), queued: z.string() });
  let lastWork = Date.now();
  let mining = true;
  let busy = false;
  const timer = setInterval(async () => {
    if (busy) return;
    busy = true;
    try {
      const pool = poolSchema.parse(await ethereumRpc(url, "txpool_status"));
      if (Number(pool.pending) + Number(pool.queued) > 0) lastWork = Date.now();
      const wanted = Date.now() - lastWork < idleAfterMs;
      if (wanted !== mining) await ethereumRpc(url, "evm_setIntervalMining", [wanted ? blockTimeS : 0]);
      mining = wanted;
    } catch {
      // The node is going down, or busy: the next tick asks again.
    } finally {
      busy = false;
    }
  }, 500);
  timer.unref();
  return () => clearInterval(timer);
}
