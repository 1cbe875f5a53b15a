/** The browser's scripts: each is src/medlink/console/browser/<name>.ts, built by scripts/build-console.ts. */
export const SCRIPTS = ["app", "charts", "sign-in"] as const;
export type ScriptName = (typeof SCRIPTS)[number];
