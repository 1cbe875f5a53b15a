import type { Operation } from "../operation.edge.ts";
import { bulkSubmit } from "./bulk-submit.route.ts";

export const BULK: readonly Operation[] = [bulkSubmit];
