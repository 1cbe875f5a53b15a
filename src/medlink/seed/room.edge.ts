import type { Operation } from "../operation.edge.ts";
import { seed } from "./seed.route.ts";
import { seedAdmin } from "./seed-admin.route.ts";

export const SEED: readonly Operation[] = [seed, seedAdmin];
