import type { Hub } from "../hub.edge.ts";

/** Scheme and host of links that people are handed. */
export const publicOrigin = (hub: Hub, request: Request): string =>
  new URL(hub.settings.HUB_PUBLIC_URL ?? request.url).origin;
