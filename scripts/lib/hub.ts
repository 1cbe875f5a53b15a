/** The hub as its operator calls it, with the form that each answer must have. */
import type * as z from "zod";
import { Failure } from "./fail.ts";
import type { CallOptions } from "./http.ts";
import type { Operator } from "./operator.ts";
import { hubAt } from "./sites.ts";

export interface HubOperator {
  readonly url: string;
  /** @throws Failure with what the hub answered, unless it is as the schema says. */
  ask<Schema extends z.ZodType>(
    path: string,
    schema: Schema,
    options?: Pick<CallOptions, "method" | "body">,
  ): Promise<z.output<Schema>>;
}

/** @param given the command's `--env`. */
export function typedHubAt(given: string | undefined): HubOperator {
  const operator: Operator = hubAt(given);
  return {
    url: operator.url,
    async ask(path, schema, options = {}) {
      const parsed = schema.safeParse(await operator.ask(path, options));
      if (!parsed.success) throw new Failure(`the hub's answer to ${path} has another form: is it of this version?`);
      return parsed.data;
    },
  };
}
