/**
 * One operation of the hub's API: schema, access rule and handler together. `mount` puts it on the app and into its
 * OpenAPI document, and does what every operation needs the same way: caller, cross-site check, body limit, validation.
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { type Problem, type ProblemCode, problemResponse } from "../platform/problem.ts";
import type { SignedIn } from "./accounts/accounts.store.ts";
import { type Caller, callerOf } from "./accounts/caller.edge.ts";
import { isCrossSite } from "./accounts/cross-site.ts";
import { ROLES, type Role, type User } from "./accounts/user.ts";
import type { HubEnv } from "./env.ts";
import type { FlagName } from "./flags/flag.ts";
import { flagIsOn } from "./flags/flags.edge.ts";
import type { Hub } from "./hub.edge.ts";

export const BODY_LIMIT_BYTES = 1_000_000;

export interface Vars {
  readonly Bindings: HubEnv;
  readonly Variables: { hub: Hub; correlationId: string; route: string };
}

export type HubApp = OpenAPIHono<Vars>;

export type Answer =
  | { readonly type: "ok"; readonly status: number; readonly body: unknown; readonly headers?: HeadersInit }
  | { readonly type: "problem"; readonly problem: Problem }
  | { readonly type: "raw"; readonly response: Response };

export const ok = (status: number, body: unknown, headers: HeadersInit = {}): Answer => ({
  type: "ok",
  status,
  body,
  headers,
});

export const refuse = (code: ProblemCode, detail: string, more: Partial<Problem> = {}): Answer => ({
  type: "problem",
  problem: { ...more, code, detail },
});

export const notFound = (what: string): Answer => refuse("not_found", `There is no such ${what}.`);

/** An operation that takes no parameters, or no body, says so. */
export const none = z.unknown();

/** How an operation's bodies are written, where it is not plain JSON and problem documents. */
export interface Wire {
  readonly contentType: string;
  readonly isBody: (contentType: string | undefined) => boolean;
  readonly problem: (problem: Problem, correlationId: string) => Response;
}

const JSON_WIRE: Wire = {
  contentType: "application/json",
  isBody: (contentType) => isJsonType(contentType),
  problem: problemResponse,
};

interface Spec<Params extends z.ZodType, Body extends z.ZodType> {
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
  /** Success answers, by status. */
  readonly answers: Readonly<Record<number, { readonly description: string; readonly schema?: z.ZodType }>>;
}

interface Input<Params, Body> {
  readonly hub: Hub;
  readonly correlationId: string;
  readonly request: Request;
  readonly params: Params;
  readonly body: Body;
}

export interface Operation {
  readonly mount: (app: HubApp) => void;
}

interface Access {
  /** Roles of a clinic's people that are let in; none: not for clinics. */
  readonly roles: readonly Role[];
  /** `account`: an operator who signed in; `any`: the hub's operator key too. */
  readonly operator: "no" | "account" | "any";
  /** Whether integrations are let in, within their scopes. */
  readonly tokens: boolean;
  /** Off for a caller: as if they lacked the role. */
  readonly flag: FlagName | undefined;
}

/** An integration may do what billing may: file and chase claims, and nothing about accounts or settings. */
const TOKEN_ROLE: Role = "billing";

/** For anyone, signed in or not. */
export function openOperation<Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body>,
  handle: (input: Input<z.output<Params>, z.output<Body>>) => Promise<Answer>,
): Operation {
  return { mount: (app) => mount(app, spec, (_, input) => handle(input)) };
}

export const SIGN_IN_FIRST = refuse("unauthenticated", "Sign in first.");

interface Narrowed {
  /** Whom it is for; by default all of a clinic's people. */
  readonly roles?: readonly Role[];
  /** false: for people alone, not for their integrations. */
  readonly tokens?: boolean;
  readonly flag?: FlagName;
}

const accessOf = (spec: Narrowed, operator: Access["operator"]): Access => ({
  roles: spec.roles ?? ROLES,
  operator,
  tokens: spec.tokens ?? true,
  flag: spec.flag,
});

/** For a clinic's people and their integrations. */
export function operation<Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body> & Narrowed,
  handle: (input: Input<z.output<Params>, z.output<Body>> & { readonly user: User }) => Promise<Answer>,
): Operation {
  return {
    mount: (app) =>
      mount(
        app,
        spec,
        async (caller, input) => {
          const user = clinicUserOf(caller);
          return user === undefined ? SIGN_IN_FIRST : handle({ ...input, user });
        },
        accessOf(spec, "no"),
      ),
  };
}

/** For everyone with an account, operators among them: what concerns the account itself. Never for integrations. */
export function accountOperation<Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body>,
  handle: (input: Input<z.output<Params>, z.output<Body>> & { readonly signedIn: SignedIn }) => Promise<Answer>,
): Operation {
  return {
    mount: (app) =>
      mount(
        app,
        spec,
        async (caller, input) =>
          caller.type === "person" ? handle({ ...input, signedIn: caller.signedIn }) : SIGN_IN_FIRST,
        accessOf({ tokens: false }, "account"),
      ),
  };
}

/** How far a caller's word goes, and under which name it is recorded. */
export interface Actor {
  /** undefined: all clinics. */
  readonly clinicId: string | undefined;
  /** A user id, a token id, or `operator` for the hub's operator key. */
  readonly name: string;
}

/** For a clinic's people of these roles within their clinic, and for the hub's operators across all. */
export function staffOperation<Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body> & Narrowed & { readonly roles: readonly Role[] },
  handle: (input: Input<z.output<Params>, z.output<Body>> & { readonly actor: Actor }) => Promise<Answer>,
): Operation {
  return {
    mount: (app) =>
      mount(
        app,
        spec,
        async (caller, input) => {
          const actor = actorOf(caller);
          return actor === undefined ? SIGN_IN_FIRST : handle({ ...input, actor });
        },
        accessOf(spec, "any"),
      ),
  };
}

/** For the hub's operators alone: people of that role, and its operator key. */
export function operatorOperation<Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body>,
  handle: (input: Input<z.output<Params>, z.output<Body>> & { readonly actor: Actor }) => Promise<Answer>,
): Operation {
  return staffOperation({ ...spec, roles: [], tokens: false }, handle);
}

function clinicUserOf(caller: Caller): User | undefined {
  switch (caller.type) {
    case "person":
      return caller.signedIn.user.role === "operator" ? undefined : caller.signedIn.user;
    case "token": {
      const { tokenId: userId, clinicId, name } = caller.token;
      return { userId, clinicId, role: TOKEN_ROLE, email: "", name };
    }
    case "nobody":
    case "throttled":
    case "operator":
      return undefined;
  }
}

function actorOf(caller: Caller): Actor | undefined {
  if (caller.type === "operator") return { clinicId: undefined, name: "operator" };
  if (caller.type === "person" && caller.signedIn.user.role === "operator") {
    return { clinicId: undefined, name: caller.signedIn.user.userId };
  }
  const user = clinicUserOf(caller);
  return user === undefined ? undefined : { clinicId: user.clinicId, name: user.userId };
}

/** @returns why this caller may not, undefined when it may. */
async function refusalOf(hub: Hub, caller: Caller, access: Access, method: string): Promise<Answer | undefined> {
  switch (caller.type) {
    case "nobody":
      return SIGN_IN_FIRST;
    case "throttled": {
      const { retryAfterSeconds } = caller;
      return refuse("rate_limited", "This token asks too often. Wait as Retry-After says.", { retryAfterSeconds });
    }
    case "operator":
      return access.operator === "any" ? undefined : refuse("forbidden", "This is not for the operator's key.");
    case "token": {
      if (!access.tokens) return refuse("forbidden", "This is for people, not for integrations.");
      const { canRead, canWrite } = caller.token;
      const scope = method === "GET" ? "read" : "write";
      if (scope === "read" ? !canRead : !canWrite) return refuse("forbidden", `This needs the scope ${scope}.`);
      return refusalOfRole(TOKEN_ROLE, access) ?? refusalOfFlag(hub, caller.token.tokenId, access);
    }
    case "person": {
      const { user } = caller.signedIn;
      if (user.role === "operator") {
        return access.operator === "no"
          ? refuse("forbidden", "This is for a clinic's people; an operator belongs to none.")
          : undefined;
      }
      return refusalOfRole(user.role, access) ?? refusalOfFlag(hub, user.userId, access);
    }
  }
}

function refusalOfRole(role: Role, { roles, operator }: Access): Answer | undefined {
  if (roles.includes(role)) return undefined;
  const admitted = [...roles, ...(operator === "no" ? [] : ["operator"])].join(" or ");
  return refuse("forbidden", `This needs the role ${admitted}.`);
}

async function refusalOfFlag(hub: Hub, userId: string, { flag }: Access): Promise<Answer | undefined> {
  if (flag === undefined || (await flagIsOn(hub, { userId }, flag))) return undefined;
  return refuse("forbidden", "This is not switched on for you.");
}

/** The clinics that a call is about: the one it names, if the actor's word goes there. */
export const clinicInReach = (
  actor: Actor,
  named: string | undefined,
): { readonly ok: true; readonly clinicId: string | undefined } | { readonly ok: false; readonly answer: Answer } =>
  actor.clinicId === undefined || named === undefined || named === actor.clinicId
    ? { ok: true, clinicId: named ?? actor.clinicId }
    : { ok: false, answer: refuse("forbidden", "That is another clinic.") };

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string(),
    error: z.string(),
    message: z.string(),
    correlationId: z.string(),
    issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .openapi("Problem");

function mount<Params extends z.ZodType, Body extends z.ZodType>(
  app: HubApp,
  spec: Spec<Params, Body>,
  handle: (caller: Caller, input: Input<z.output<Params>, z.output<Body>>) => Promise<Answer>,
  access?: Access,
): void {
  describe(app, spec, access);
  const path = spec.path.replace(/\{(\w+)\}/g, ":$1");
  const { wire = JSON_WIRE } = spec;
  const answer = async (context: Context<Vars>): Promise<Answer> => {
    const hub = context.get("hub");
    const request = context.req.raw;
    const fault = spec.gate?.(hub, request) ?? faultOfOrigin(context) ?? faultOfContentType(context, spec, wire);
    if (fault !== undefined) return fault;
    const caller: Caller = access === undefined ? { type: "nobody" } : await callerOf(hub, request);
    const refused = access === undefined ? undefined : await refusalOf(hub, caller, access, request.method);
    if (refused !== undefined) return refused;
    const params = parse(spec.params, { ...context.req.query(), ...context.req.param() }, "invalid_query");
    if (!params.ok) return params.answer;
    const received = takesBody(spec) ? await readJson(request) : { ok: true as const, value: undefined };
    if (!received.ok) return received.answer;
    const body = parse(spec.body, received.value, "invalid_body");
    if (!body.ok) return body.answer;
    const correlationId = context.get("correlationId");
    return handle(caller, { hub, correlationId, request, params: params.value, body: body.value });
  };
  app.on(spec.method.toUpperCase(), path, async (context) => {
    context.set("route", spec.path);
    const answered = await answer(context);
    switch (answered.type) {
      case "ok": {
        // May be a `Headers` with several cookies, which an object's spread would lose.
        const headers = new Headers(answered.headers);
        if (answered.body === undefined) return new Response(null, { status: answered.status, headers });
        if (!headers.has("content-type")) headers.set("content-type", wire.contentType);
        return Response.json(answered.body, { status: answered.status, headers });
      }
      case "problem":
        return wire.problem(answered.problem, context.get("correlationId"));
      case "raw":
        return answered.response;
    }
  });
}

const binary = z.string().openapi({ format: "binary" });

const takesBody = (spec: Spec<z.ZodType, z.ZodType>): boolean => spec.body !== none;

function describe(app: HubApp, spec: Spec<z.ZodType, z.ZodType>, access: Access | undefined): void {
  const parameters = Object.entries(spec.params instanceof z.ZodObject ? spec.params.shape : {});
  const inPath = ([name]: [string, unknown]): boolean => spec.path.includes(`{${name}}`);
  const schemaOf = (entries: [string, z.ZodType][]) => z.object(Object.fromEntries(entries));
  const { contentType } = spec.wire ?? JSON_WIRE;
  const responses = Object.fromEntries(
    Object.entries(spec.answers).map(([status, { description, schema }]) => [
      status,
      { description, ...(schema === undefined ? {} : { content: { [contentType]: { schema } } }) },
    ]),
  );
  app.openAPIRegistry.registerPath({
    method: spec.method,
    path: spec.path,
    summary: spec.summary,
    ...(access === undefined ? {} : { security: securityOf(access) }),
    request: {
      params: schemaOf(parameters.filter(inPath)),
      query: schemaOf(parameters.filter((parameter) => !inPath(parameter))),
      ...(takesBody(spec) ? { body: { content: { [contentType]: { schema: spec.body } } } } : {}),
      ...(spec.takes === undefined
        ? {}
        : { body: { content: Object.fromEntries(spec.takes.map((type) => [type, { schema: binary }])) } }),
    },
    responses: {
      ...responses,
      default: {
        description: "What went wrong, as a problem document",
        content: { "application/problem+json": { schema: problemSchema } },
      },
    },
  });
}

function securityOf({ tokens, operator }: Access): Record<string, string[]>[] {
  return [{ session: [] }, ...(tokens ? [{ apiToken: [] }] : []), ...(operator === "any" ? [{ operatorKey: [] }] : [])];
}

function faultOfOrigin(context: Context<Vars>): Answer | undefined {
  const crossSite = isCrossSite({
    method: context.req.method,
    url: context.req.url,
    secFetchSite: context.req.header("sec-fetch-site"),
    origin: context.req.header("origin"),
  });
  return crossSite ? refuse("forbidden", "This request comes from another site's page.") : undefined;
}

/**
 * A form on another page can send a few types without asking, so none of them is taken: JSON, or what the operation names.
 */
function faultOfContentType(context: Context<Vars>, spec: Spec<z.ZodType, z.ZodType>, wire: Wire): Answer | undefined {
  if (context.req.method === "GET") return undefined;
  const contentType = context.req.header("content-type");
  if (spec.takes !== undefined) {
    const type = mediaTypeOf(contentType);
    return type !== undefined && spec.takes.includes(type)
      ? undefined
      : refuse("unsupported_media_type", `Send ${spec.takes.join(", ")}.`);
  }
  if (contentType === undefined && !takesBody(spec)) return undefined;
  return wire.isBody(contentType) ? undefined : refuse("unsupported_media_type", `Send JSON as ${wire.contentType}.`);
}

/** In lower case, without parameters. */
export const mediaTypeOf = (contentType: string | undefined): string | undefined =>
  contentType?.split(";")[0]?.trim().toLowerCase();

export const isJsonType = (contentType: string | undefined): boolean =>
  /^application\/json\s*(;|$)/i.test(contentType?.trim() ?? "");

type Parsed<Value> = { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly answer: Answer };

function parse<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  code: "invalid_query" | "invalid_body",
): Parsed<z.output<Schema>> {
  const parsed = schema.safeParse(value);
  // The message names the field and the rule; zod's own never repeats the value.
  if (!parsed.success) {
    const issues = parsed.error.issues.map((issue) => ({ path: issue.path.join("."), message: issue.message }));
    const detail = `These fields are wrong: ${issues.map((issue) => issue.path || "(whole)").join(", ")}.`;
    return { ok: false, answer: refuse(code, detail, { issues }) };
  }
  return { ok: true, value: parsed.data };
}

/** @returns the text of a body of at most 1 MB, or the problem. */
export async function readText(request: Request): Promise<Parsed<string>> {
  const tooLarge = (): Parsed<string> => ({
    ok: false,
    answer: refuse("body_too_large", `A body has at most ${BODY_LIMIT_BYTES} bytes.`),
  });
  if (Number(request.headers.get("content-length") ?? 0) > BODY_LIMIT_BYTES) return tooLarge();
  if (request.body === null) return { ok: true, value: "" };
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  let size = 0;
  try {
    for await (const chunk of request.body) {
      size += chunk.byteLength;
      if (size > BODY_LIMIT_BYTES) return tooLarge();
      text += decoder.decode(chunk, { stream: true });
    }
    text += decoder.decode();
  } catch {
    return { ok: false, answer: refuse("invalid_json", "The body is not complete UTF-8 text.") };
  }
  return { ok: true, value: text };
}

async function readJson(request: Request): Promise<Parsed<unknown>> {
  const text = await readText(request);
  if (!text.ok) return text;
  try {
    return { ok: true, value: JSON.parse(text.value) };
  } catch {
    return { ok: false, answer: refuse("invalid_json", "The body is not JSON.") };
  }
}
