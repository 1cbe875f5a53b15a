/** What was built, from which commit, when. The build defines the three constants; unbuilt code runs without them. */
declare const __VERSION__: string | undefined;
declare const __COMMIT__: string | undefined;
declare const __BUILT_AT__: string | undefined;

export const version = {
  version: typeof __VERSION__ === "string" ? __VERSION__ : "0.0.0-dev",
  commit: typeof __COMMIT__ === "string" ? __COMMIT__ : "unknown",
  builtAt: typeof __BUILT_AT__ === "string" ? __BUILT_AT__ : "unknown",
} as const;
