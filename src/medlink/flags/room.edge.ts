import type { Operation } from "../operation.edge.ts";
import { listFlags } from "./list-flags.route.ts";
import { readExposures } from "./read-exposures.route.ts";
import { updateFlag } from "./update-flag.route.ts";

export const FLAGS: readonly Operation[] = [listFlags, updateFlag, readExposures];
