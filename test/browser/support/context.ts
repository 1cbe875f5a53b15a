/** What setup.ts hands to the browser tests. */
import type { Settings } from "../../../scripts/lib/stack.ts";

export interface BrowserContextFacts {
  readonly hubUrl: string;
  readonly coreUrl: string;
  readonly email: string;
  readonly password: string;
  readonly secrets: Settings;
  /** Where the browser listens. */
  readonly browserUrl: string;
}

declare module "vitest" {
  export interface ProvidedContext {
    readonly browserFacts: BrowserContextFacts;
  }
}
