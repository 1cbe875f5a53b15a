/** `npm run build:docs`: writes docs/api.md from the routes, which are started for it, and docs/events.md from the schemas of events. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { apiPage, type OpenApi, openApiSchema } from "./lib/api-doc.ts";
import { projectRoot } from "./lib/bundle.ts";
import { eventsPage } from "./lib/events-doc.ts";
import { messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { call } from "./lib/http.ts";
import { completeSecrets } from "./lib/secrets-file.ts";
import { startStack } from "./lib/stack.ts";

answerHelp(import.meta.filename);

const read = async (url: string): Promise<OpenApi> => openApiSchema.parse((await call(url)).body);

async function main(): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "build-docs-"));
  const docs = join(projectRoot, "docs");
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
      writeFileSync(join(docs, "api.md"), apiPage(core, hub));
    } finally {
      await stack.dispose();
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  writeFileSync(join(docs, "events.md"), eventsPage());
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    console.error(messageOf(error));
    process.exit(1);
  },
);
