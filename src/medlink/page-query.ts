/** The query parameters of a list. */
import { z } from "@hono/zod-openapi";
import { decodeCursor } from "./page.ts";

export const cursorSchema = z
  .string()
  .max(100)
  .optional()
  .transform((text, context) => {
    if (text === undefined || text === "") return undefined;
    const key = decodeCursor(text);
    if (key === undefined) context.addIssue({ code: "custom", message: "This is no cursor of this list." });
    return key;
  });

export const pageQuery = { limit: z.coerce.number().int().min(1).max(200).default(50), cursor: cursorSchema };

export const iso = (epochMs: number): string => new Date(epochMs).toISOString();
