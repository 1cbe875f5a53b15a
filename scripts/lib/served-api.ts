/** docs/api.md from workers that are started for it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { apiPage, type OpenApi, openApiSchema } from "./api-doc.ts";
import { call } from "./http.ts";
import { completeSecrets } from "./secrets-file.ts";
import { startStack } from "./stack.ts";

const read = async (url: string): Promise<OpenApi> => openApiSchema.parse((await call(url)).body);

export async function servedApiPage(): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "served-api-"));
  try {
    const stack = await startStack({
      dataDir: directory,
      ports: { core: 0, relay: 0, hub: 0 },
      secrets: completeSecrets([{}]),
    });
    try {
      const [core, hub] = await Promise.all([
        read(`${stack.urls.core}/openapi.json`),
        read(`${stack.urls.hub}/api/openapi.json`),
      ]);
      return apiPage(core, hub);
    } finally {
      await stack.dispose();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
