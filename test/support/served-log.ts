/** A log made in memory and served over real HTTP, whose bytes a test may change. */
import { createServer } from "node:http";
import { signCheckpoint } from "../../src/ledger/checkpoint.ts";
import { importSigningKey } from "../../src/ledger/ed25519.ts";
import { type EncodedEntry, encodeEntry } from "../../src/ledger/entry.ts";
import { NO_ENTRY_HASH } from "../../src/ledger/hash.ts";
import { formatVerifierKey, makeSigner, type NoteSigner } from "../../src/ledger/note.ts";
import { rootOfEdge } from "../../src/ledger/tiles.ts";
import { utf8 } from "../../src/platform/encoding.ts";
import { logFiles } from "./tree.ts";

export const ORIGIN = "log.example/ledger/log";

export const logSigner = async (fill = 1): Promise<NoteSigner> =>
  makeSigner(ORIGIN, await importSigningKey(new Uint8Array(32).fill(fill)));

/** Linked entries; `marker` makes another history. */
export function linkedEntries(count: number, marker = "a"): readonly EncodedEntry[] {
  const entries: EncodedEntry[] = [];
  for (let seq = 0; seq < count; seq++) {
    entries.push(
      encodeEntry({
        v: 1,
        seq,
        prev: entries.at(-1)?.hashHex ?? NO_ENTRY_HASH,
        at: new Date(1_767_225_600_000 + seq).toISOString(),
        type: "CLAIM_CREATED",
        subject: `0x${"0".repeat(64)}`,
        data: { marker },
      }),
    );
  }
  return entries;
}

export async function filesOf(
  entries: readonly EncodedEntry[],
  signer: NoteSigner,
): Promise<{ readonly files: Map<string, Uint8Array>; readonly note: string; readonly root: Uint8Array }> {
  const { files, edge } = logFiles(entries.map(({ body }) => utf8(body)));
  const root = rootOfEdge(edge);
  const note = await signCheckpoint({ origin: ORIGIN, size: entries.length, root }, [signer]);
  const served = new Map(files);
  served.set("checkpoint", utf8(note));
  served.set("key", utf8(`${formatVerifierKey(signer.key)}\n`));
  return { files: served, note, root };
}

export interface ServedLog {
  readonly url: string;
  /** Served as they are now; replace or change them at will. */
  files: Map<string, Uint8Array>;
  /** How often each path was asked for. */
  readonly asked: Map<string, number>;
  /** 200 answers files; anything else is answered to everything. */
  status: number;
  close(): Promise<void>;
}

export async function serveLog(files: Map<string, Uint8Array>): Promise<ServedLog> {
  const asked = new Map<string, number>();
  const server = createServer((request, response) => {
    const path = (request.url ?? "").slice(1);
    asked.set(path, (asked.get(path) ?? 0) + 1);
    const bytes = served.files.get(path);
    if (served.status !== 200) response.writeHead(served.status).end();
    else if (bytes === undefined) response.writeHead(404).end();
    else response.writeHead(200).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const served: ServedLog = {
    url: `http://127.0.0.1:${port}`,
    files,
    asked,
    status: 200,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return served;
}
