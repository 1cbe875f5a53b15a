/** Live reload: each worker is bundled again when one of its sources changes, and the workers restart over the same data. */
import * as esbuild from "esbuild";
import type { WorkerName } from "../../src/platform/secrets.ts";
import { buildFacts, scriptOf, workerBuildOptions } from "./bundle.ts";
import { messageOf } from "./fail.ts";
import { type Stack, workerSite } from "./stack.ts";

const SETTLE_MS = 50;

/** @returns stops watching. */
export async function watchWorkers(
  stack: Stack,
  workers: readonly WorkerName[],
  say: (line: string) => void,
): Promise<() => Promise<void>> {
  const changed = new Map<WorkerName, string>();
  let timer: NodeJS.Timeout | undefined;
  let reloading = Promise.resolve();

  const reload = async () => {
    const scripts = Object.fromEntries(changed);
    changed.clear();
    const startedAt = performance.now();
    try {
      await stack.reload(scripts);
      say(`reloaded ${Object.keys(scripts).join(", ")} in ${Math.round(performance.now() - startedAt)} ms`);
    } catch (error) {
      say(`reload failed: ${messageOf(error)}`);
    }
  };
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      reloading = reloading.then(reload);
    }, SETTLE_MS);
  };

  const contexts = await Promise.all(
    workers.map(async (worker) => {
      let first = true;
      const options = workerBuildOptions(workerSite(worker).entry, buildFacts());
      const context = await esbuild.context({
        ...options,
        plugins: [
          ...options.plugins,
          {
            name: "reload",
            setup(build) {
              build.onEnd((result) => {
                // The first build is what runs already.
                if (first) {
                  first = false;
                  return;
                }
                const [error] = result.errors;
                if (error !== undefined) {
                  const { file = "?", line = 0 } = error.location ?? {};
                  say(`${worker} does not build: ${file}:${line}: ${error.text}; the last one runs on`);
                  return;
                }
                changed.set(worker, scriptOf(result));
                later();
              });
            },
          },
        ],
      });
      await context.watch();
      return context;
    }),
  );
  return async () => {
    clearTimeout(timer);
    await Promise.all(contexts.map((context) => context.dispose()));
    await reloading;
  };
}
