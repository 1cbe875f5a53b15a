import type { Operation } from "../operation.edge.ts";
import { enqueueClaims } from "./enqueue-claims.route.ts";
import { readQueue } from "./read-queue.route.ts";
import { readAutoSubmitSettings } from "./read-settings.route.ts";
import { readAutoSubmitStatus } from "./read-status.route.ts";
import { requeueFailed } from "./requeue-failed.route.ts";
import { requeueJob } from "./requeue-job.route.ts";
import { updateAutoSubmitSettings } from "./update-settings.route.ts";

export const AUTO_SUBMIT: readonly Operation[] = [
  readQueue,
  readAutoSubmitSettings,
  updateAutoSubmitSettings,
  readAutoSubmitStatus,
  requeueJob,
  requeueFailed,
  enqueueClaims,
];
