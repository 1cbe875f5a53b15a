/** The browser's scripts: each is src/medlink/console/browser/<name>.ts, built by scripts/build-console.ts. */
export const SCRIPTS = [
  "app",
  "bulk",
  "charts",
  "claim",
  "claim-form",
  "link-token",
  "settings",
  "shown-once",
  "sign-in",
  "verify-proof",
] as const;
export type ScriptName = (typeof SCRIPTS)[number];
