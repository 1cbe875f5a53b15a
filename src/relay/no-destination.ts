import type { Problem } from "../platform/problem.ts";

export const NO_DESTINATION: Problem = { code: "not_found", detail: "There is no destination of this id." };

export const NO_DELIVERY: Problem = { code: "not_found", detail: "There is no delivery of this id." };
