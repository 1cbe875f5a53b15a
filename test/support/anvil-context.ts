/** What anvil-setup.ts hands to the worker tests of core. */
declare module "vitest" {
  export interface ProvidedContext {
    readonly anvilUrl: string;
    readonly anvilContract: string;
  }
}

export type AnvilContext = "anvilUrl" | "anvilContract";
