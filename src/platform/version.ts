/** What was built: the bundler replaces these names; in tests nothing does. */
declare const __VERSION__: string | undefined;
declare const __COMMIT__: string | undefined;
declare const __BUILT_AT__: string | undefined;

export interface Version {
  readonly version: string;
  readonly commit: string;
  /** RFC 3339. */
  readonly builtAt: string;
}

export const VERSION: Version = {
  version: typeof __VERSION__ === "string" ? __VERSION__ : "0.0.0-dev",
  commit: typeof __COMMIT__ === "string" ? __COMMIT__ : "unknown",
  builtAt: typeof __BUILT_AT__ === "string" ? __BUILT_AT__ : "unknown",
};
