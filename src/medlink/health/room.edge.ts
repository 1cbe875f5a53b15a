import type { Operation } from "../operation.edge.ts";
import { health } from "./health.route.ts";
import { readyz } from "./readyz.route.ts";
import { readVersion } from "./version.route.ts";

export const HEALTH: readonly Operation[] = [health, readyz, readVersion];
