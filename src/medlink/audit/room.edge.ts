import type { Operation } from "../operation.edge.ts";
import { listAudit } from "./list-audit.route.ts";

export const AUDIT: readonly Operation[] = [listAudit];
