/** What setup.ts hands to the browser tests. */
import type { Settings } from "../../../scripts/lib/stack.ts";

export interface BrowserContextFacts {
  readonly hubUrl: string;
  readonly coreUrl: string;
  readonly email: string;
  readonly password: string;
  readonly secrets: Settings;
  /** The simulated operator of the payer, whose `/control` this token opens. */
  readonly operator: { readonly url: string; readonly controlToken: string };
  /** Where the browser listens. */
  readonly browserUrl: string;
}

declare module "vitest" {
  export interface ProvidedContext {
    readonly browserFacts: BrowserContextFacts;
  }
}
