/** `npm run build:docs`: writes docs/api.md from the routes, which are started for it, and docs/events.md from the schemas of events. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "./lib/bundle.ts";
import { eventsPage } from "./lib/events-doc.ts";
import { messageOf } from "./lib/fail.ts";
import { answerHelp } from "./lib/help.ts";
import { servedApiPage } from "./lib/served-api.ts";

answerHelp(import.meta.filename);

async function main(): Promise<void> {
  const docs = join(projectRoot, "docs");
  writeFileSync(join(docs, "api.md"), await servedApiPage());
  writeFileSync(join(docs, "events.md"), eventsPage());
}

main().then(
  () => process.exit(),
  (error: unknown) => {
    console.error(messageOf(error));
    process.exit(1);
  },
);
