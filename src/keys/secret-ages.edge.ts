/** Looks at the secrets that this worker holds, and notes which have changed. */
import type { CoreEnv } from "../core/env.ts";
import { systemNow } from "../platform/clock.edge.ts";
import { sightingsIn } from "../platform/secret-fingerprint.ts";
import { secretsOf } from "../platform/secrets.ts";
import { recordSightings } from "./secret-ages.store.ts";

let seenBy: CoreEnv | undefined;

/** Of core. Once for each isolate: the values of an isolate never change. */
export async function noteCoreSecrets(env: CoreEnv): Promise<void> {
  if (seenBy === env) return;
  const names = secretsOf("itrans-core").map(({ name }) => name);
  await recordSightings(env.DB, "itrans-core", sightingsIn(names, { ...env }), systemNow());
  seenBy = env;
}
