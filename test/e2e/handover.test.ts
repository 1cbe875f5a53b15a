/** The signer of anchors is replaced while claims are filed: role and key handed over on a real chain, and nothing is left unanchored. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseEnv } from "node:util";
import { Contract, computeAddress, JsonRpcProvider, Wallet } from "ethers";
import { afterAll, expect, test } from "vitest";
import * as z from "zod";
import { deployLedgerAnchor, readArtifact } from "../../scripts/deploy-contract.ts";
import { call, summaryOf } from "../../scripts/lib/http.ts";
import { startStack } from "../../scripts/lib/stack.ts";
import { handOver } from "../../scripts/secrets.ts";
import { ANVIL_CHAIN_ID, ANVIL_KEYS, startAnvil } from "../support/anvil.ts";
import { recordingPlatform } from "../support/recording-platform.ts";
import { startReceiver } from "./support/receiver.ts";
import {
  ANY_PORT,
  bundledOnce,
  KEYS,
  plainPayload,
  post,
  secrets,
  signedSubmit,
  temporaryDirectory,
} from "./support/stack.ts";

const [OLD_KEY, OWNER_KEY, NEW_KEY] = ANVIL_KEYS;
const directory = temporaryDirectory();
const closing: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const close of closing.toReversed()) await close();
  directory.remove();
});

const anchorsSchema = z.looseObject({
  signer: z.looseObject({ address: z.string().nullish() }),
  anchors: z.array(z.looseObject({ size: z.number(), state: z.string() })),
});

test("the anchorer's role and key go to a new signer while claims are filed: no request fails, every entry is anchored, every event delivered", async () => {
  const anvil = await startAnvil(["--block-time", "1"]);
  closing.push(() => anvil.stop());
  const chain = { rpcUrl: anvil.url, chainId: ANVIL_CHAIN_ID };
  const { contractAddress } = await deployLedgerAnchor({
    ...chain,
    deployerKey: OWNER_KEY,
    anchorer: computeAddress(OLD_KEY),
  });
  const provider = new JsonRpcProvider(anvil.url, ANVIL_CHAIN_ID, { staticNetwork: true, cacheTimeout: -1 });
  closing.push(async () => provider.destroy());
  const contract = new Contract(contractAddress, readArtifact().abi, provider);

  const receiver = await startReceiver();
  closing.push(() => receiver.dispose());
  const values: Record<string, string> = { ...secrets, EVM_PRIVATE_KEY: OLD_KEY };
  const stack = await startStack({
    dataDir: join(directory.path, "data"),
    ports: ANY_PORT,
    workers: ["itrans-core", "itrans-relay"],
    secrets: values,
    cronEveryMs: 500,
    script: bundledOnce(),
    settings: () => ({
      "itrans-core": {
        EVM_RPC_URL: anvil.url,
        CHAIN_ID: String(ANVIL_CHAIN_ID),
        ANCHOR_CONTRACT_ADDRESS: contractAddress,
        ANCHOR_CONFIRMATIONS: "1",
        ANCHOR_POLL_MS: "200",
        RELAY_MEDLINK_WEBHOOK_URL: `${receiver.url}/hook`,
        RELAY_MEDLINK_REQUESTS_PER_MINUTE: "100000",
      },
    }),
  });
  closing.push(() => stack.dispose());
  const faults: string[] = [];
  let filed = 0;
  const file = async (): Promise<void> => {
    filed += 1;
    const body = signedSubmit(plainPayload(`handed-${filed}`), `handed-${filed}`);
    for (let tries = 0; ; tries++) {
      try {
        const answer = await post(`${stack.urls.core}/workflow/claims`, KEYS.workflow, body);
        // 200: it was taken before a restart broke the connection.
        if (answer.status !== 201 && answer.status !== 200) faults.push(summaryOf(answer));
        return;
      } catch (error) {
        if (tries === 100) throw error;
        await sleep(100);
      }
    }
  };
  const onChain = async (): Promise<number> => Number((await contract.getFunction("anchored")())[0]);
  const shown = async () => {
    const answer = await call(`${stack.urls.core}/ledger/anchors`, { headers: { "x-api-key": KEYS.operator } });
    return anchorsSchema.parse(answer.body);
  };
  const until = async (what: string, holds: () => Promise<boolean>): Promise<void> => {
    for (const end = performance.now() + 90_000; !(await holds()); await sleep(200)) {
      if (performance.now() > end) throw new Error(`it never came to this: ${what}`);
    }
  };

  await file();
  await until("the old signer anchors", async () => (await onChain()) > 0);

  const vars = join(directory.path, "dev.vars");
  writeFileSync(vars, `EVM_PRIVATE_KEY="${OLD_KEY}"\n`);
  let handing = true;
  const load = (async () => {
    while (handing) {
      await file();
      await sleep(50);
    }
  })();
  await handOver({
    environment: "local",
    variables: {
      NEW_SECRET: NEW_KEY,
      EVM_RPC_URL: anvil.url,
      CHAIN_ID: String(ANVIL_CHAIN_ID),
      ANCHOR_CONTRACT_ADDRESS: contractAddress,
      ANCHOR_OWNER_KEY: OWNER_KEY,
      ITRANS_CORE_URL: stack.urls.core,
      OPERATOR_API_KEY: KEYS.operator,
    },
    file: vars,
    platform: recordingPlatform(() => ""),
    say: () => {},
  });
  // For a while the old signer has the key's work and no role: what it sends reverts.
  await sleep(2_000);
  values.EVM_PRIVATE_KEY = parseEnv(readFileSync(vars, "utf8")).EVM_PRIVATE_KEY ?? "";
  expect(values.EVM_PRIVATE_KEY).toBe(NEW_KEY);
  await stack.reload();
  await file();
  handing = false;
  await load;

  const size = async (): Promise<number> => {
    const database = await stack.database("itrans-core");
    return (await database.prepare("SELECT size FROM ledger_heads").first<number>("size")) ?? 0;
  };
  const last = await size();
  await until("the new signer anchors all of it", async () => {
    const { anchors } = await shown();
    return (await onChain()) >= last && anchors.some((anchor) => anchor.size >= last && anchor.state === "confirmed");
  });
  const newSigner = computeAddress(NEW_KEY).toLowerCase();
  expect((await shown()).signer.address?.toLowerCase()).toBe(newSigner);
  expect(String(await contract.getFunction("anchorer")()).toLowerCase()).toBe(newSigner);
  const old = new Contract(contractAddress, readArtifact().abi, new Wallet(OLD_KEY, provider));
  await expect(old.getFunction("anchor").staticCall(last, last + 1, `0x${"1".repeat(64)}`)).rejects.toThrow();
  expect(faults).toEqual([]);
  const delivered = () =>
    new Set(receiver.posts.filter(({ status }) => status === 200).map(({ requestIdHash }) => requestIdHash)).size;
  await until("every request is called back", async () => delivered() === filed);
  expect((await call(`${stack.urls.core}/ledger/verify`)).body).toMatchObject({ valid: true });
});
