import type { Operation } from "../operation.edge.ts";
import { readCache } from "./read-cache.route.ts";

export const CACHE: readonly Operation[] = [readCache];
