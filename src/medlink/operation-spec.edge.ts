/** What an operation says of itself. */
import { z } from "@hono/zod-openapi";
import { type Problem, problemResponse } from "../platform/problem.ts";
import type { Answer } from "./answer.ts";
import type { HubDeed } from "./audit/trail.ts";
import type { Hub } from "./hub.edge.ts";
import { isJsonType } from "./request-body.edge.ts";

/** An operation that takes no parameters, or no body, says so. */
export const none = z.unknown();

/** How an operation's bodies are written, where it is not plain JSON and problem documents. */
export interface Wire {
  readonly contentType: string;
  readonly isBody: (contentType: string | undefined) => boolean;
  readonly problem: (problem: Problem, correlationId: string) => Response;
}

export const JSON_WIRE: Wire = {
  contentType: "application/json",
  isBody: (contentType) => isJsonType(contentType),
  problem: problemResponse,
};

export type Scope = "read" | "write";

export interface Spec<Params extends z.ZodType, Body extends z.ZodType> {
  readonly method: "get" | "post" | "put" | "patch" | "delete";
  /** With parameters in braces, as OpenAPI writes them. */
  readonly path: string;
  readonly summary: string;
  /** Path and query parameters together: a name in the path's braces is of the path. */
  readonly params: Params;
  readonly body: Body;
  /** Media types of a body that is not JSON: the handler reads it from the request itself. */
  readonly takes?: readonly string[];
  readonly wire?: Wire;
  /** Asked before anything of the request is looked at; an answer ends it there. */
  readonly gate?: (hub: Hub, request: Request) => Answer | undefined;
  /** What a token needs for it; by default reading for GET, writing for all else. A search is posted and changes nothing. */
  readonly scope?: Scope;
  /** Success answers, by status. */
  readonly answers: Readonly<Record<number, { readonly description: string; readonly schema?: z.ZodType }>>;
}

export interface Input<Params, Body> {
  readonly hub: Hub;
  readonly correlationId: string;
  readonly request: Request;
  readonly params: Params;
  readonly body: Body;
}

export interface Trailed<Params extends z.ZodType, Body extends z.ZodType> {
  /**
   * What an operator's call does to the hub alone, for the ledger's trail; undefined for one that changes nothing. Left out where core
   * records what is done, or there is nothing to record.
   */
  readonly trail?: (input: Pick<Input<z.output<Params>, z.output<Body>>, "params" | "body">) => HubDeed | undefined;
}

/** Of any parameters and body. */
export type AnySpec = Spec<z.ZodType, z.ZodType>;

export const takesBody = (spec: AnySpec): boolean => spec.body !== none;
