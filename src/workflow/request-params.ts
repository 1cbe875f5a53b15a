import { z } from "@hono/zod-openapi";

/** Any text is taken: an id of another form is simply not found. */
export const requestIdParam = z.object({
  requestId: z
    .string()
    .openapi({ param: { name: "requestId", in: "path" }, description: "The request's id or its requestIdHash." }),
});

export const claimIdParam = z.object({
  claimId: z.string().openapi({ param: { name: "claimId", in: "path" } }),
});
