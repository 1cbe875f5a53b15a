import type { Operation } from "../operation.edge.ts";
import { receiveWebhook } from "./receive-webhook.route.ts";

export const INTAKE: readonly Operation[] = [receiveWebhook];
