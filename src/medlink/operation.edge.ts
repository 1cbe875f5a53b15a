/**
 * One operation of the hub's API: schema, access rule and handler together. `mount` puts it on the app and into its
 * OpenAPI document, and does what every operation needs the same way: session, cross-site check, body limit, validation.
 */
import type { OpenAPIHono } from "@hono/zod-openapi";
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { getCookie } from "hono/cookie";
import { type Problem, type ProblemCode, problemResponse } from "../platform/problem.ts";
import { timingSafeEqual } from "../platform/timing-safe.ts";
import { findSession, touchSession } from "./accounts/accounts.store.ts";
import { isCrossSite } from "./accounts/cross-site.ts";
import { readSessionCookie, SESSION_COOKIE, sessionAge } from "./accounts/session.ts";
import type { Role, User } from "./accounts/user.ts";
import type { HubEnv } from "./env.ts";
import type { Hub } from "./hub.edge.ts";

export const BODY_LIMIT_BYTES = 1_000_000;

export interface Vars {
  readonly Bindings: HubEnv;
  readonly Variables: { hub: Hub; correlationId: string; route: string };
}

export type HubApp = OpenAPIHono<Vars>;

export type Answer =
  | { readonly type: "ok"; readonly status: number; readonly body: unknown; readonly headers?: Record<string, string> }
  | { readonly type: "problem"; readonly problem: Problem }
  | { readonly type: "raw"; readonly response: Response };

export const ok = (status: number, body: unknown, headers: Record<string, string> = {}): Answer => ({
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

interface Spec<Params extends z.ZodType, Body extends z.ZodType> {
  readonly method: "get" | "post" | "put" | "patch";
  /** With parameters in braces, as OpenAPI writes them. */
  readonly path: string;
  readonly summary: string;
  /** Path and query parameters together: a name in the path's braces is of the path. */
  readonly params: Params;
  readonly body: Body;
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

/** Who calls: `operator` runs the whole hub, of no clinic, and proves it with the hub's operator key. */
type Caller =
  | { readonly type: "nobody" }
  | { readonly type: "user"; readonly user: User }
  | { readonly type: "operator" };

interface Access {
  /** undefined: any. */
  readonly roles: readonly Role[] | undefined;
  readonly operator: boolean;
}

/** For anyone, signed in or not. */
export function openOperation<Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body>,
  handle: (input: Input<z.output<Params>, z.output<Body>>) => Promise<Answer>,
): Operation {
  return { mount: (app) => mount(app, spec, (_, input) => handle(input)) };
}

const SIGN_IN_FIRST = refuse("unauthenticated", "Sign in first.");

/** For signed-in people; `roles` narrows it. */
export function operation<Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body> & { readonly roles?: readonly Role[] },
  handle: (input: Input<z.output<Params>, z.output<Body>> & { readonly user: User }) => Promise<Answer>,
): Operation {
  return {
    mount: (app) =>
      mount(
        app,
        spec,
        async (caller, input) => (caller.type === "user" ? handle({ ...input, user: caller.user }) : SIGN_IN_FIRST),
        { roles: spec.roles, operator: false },
      ),
  };
}

/** How far a caller's word goes, and under which name it is recorded. */
export interface Actor {
  /** undefined: all clinics. */
  readonly clinicId: string | undefined;
  /** A user id, or `operator`. */
  readonly name: string;
}

/** For a clinic's people of these roles within their clinic, and for the hub's operator across all. */
export function staffOperation<Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body> & { readonly roles: readonly Role[] },
  handle: (input: Input<z.output<Params>, z.output<Body>> & { readonly actor: Actor }) => Promise<Answer>,
): Operation {
  return {
    mount: (app) =>
      mount(
        app,
        spec,
        async (caller, input) => {
          switch (caller.type) {
            case "nobody":
              return SIGN_IN_FIRST;
            case "user":
              return handle({ ...input, actor: { clinicId: caller.user.clinicId, name: caller.user.userId } });
            case "operator":
              return handle({ ...input, actor: { clinicId: undefined, name: "operator" } });
          }
        },
        { roles: spec.roles, operator: true },
      ),
  };
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
  const answer = async (context: Context<Vars>): Promise<Answer> => {
    const hub = context.get("hub");
    const request = context.req.raw;
    const fault = spec.gate?.(hub, request) ?? faultOfOrigin(context) ?? faultOfContentType(context, takesBody(spec));
    if (fault !== undefined) return fault;
    const caller = access === undefined ? NOBODY : await callerOf(context, hub, access);
    if (access !== undefined) {
      if (caller.type === "nobody") return SIGN_IN_FIRST;
      if (caller.type === "user" && access.roles !== undefined && !access.roles.includes(caller.user.role)) {
        return refuse("forbidden", `This needs the role ${access.roles.join(" or ")}.`);
      }
    }
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
      case "ok":
        return answered.body === undefined
          ? new Response(null, { status: answered.status, headers: answered.headers ?? {} })
          : Response.json(answered.body, { status: answered.status, headers: answered.headers ?? {} });
      case "problem":
        return problemResponse(answered.problem, context.get("correlationId"));
      case "raw":
        return answered.response;
    }
  });
}

const takesBody = (spec: Spec<z.ZodType, z.ZodType>): boolean => spec.body !== none;

function describe(app: HubApp, spec: Spec<z.ZodType, z.ZodType>, access: Access | undefined): void {
  const parameters = Object.entries(spec.params instanceof z.ZodObject ? spec.params.shape : {});
  const inPath = ([name]: [string, unknown]): boolean => spec.path.includes(`{${name}}`);
  const schemaOf = (entries: [string, z.ZodType][]) => z.object(Object.fromEntries(entries));
  const responses = Object.fromEntries(
    Object.entries(spec.answers).map(([status, { description, schema }]) => [
      status,
      { description, ...(schema === undefined ? {} : { content: { "application/json": { schema } } }) },
    ]),
  );
  app.openAPIRegistry.registerPath({
    method: spec.method,
    path: spec.path,
    summary: spec.summary,
    ...(access === undefined ? {} : { security: [{ session: [] }, ...(access.operator ? [{ operatorKey: [] }] : [])] }),
    request: {
      params: schemaOf(parameters.filter(inPath)),
      query: schemaOf(parameters.filter((parameter) => !inPath(parameter))),
      ...(takesBody(spec) ? { body: { content: { "application/json": { schema: spec.body } } } } : {}),
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

function faultOfOrigin(context: Context<Vars>): Answer | undefined {
  const crossSite = isCrossSite({
    method: context.req.method,
    url: context.req.url,
    secFetchSite: context.req.header("sec-fetch-site"),
    origin: context.req.header("origin"),
  });
  return crossSite ? refuse("forbidden", "This request comes from another site's page.") : undefined;
}

/** A form on another page can send anything but JSON without asking; so JSON is all that is taken. */
function faultOfContentType(context: Context<Vars>, needsBody: boolean): Answer | undefined {
  if (context.req.method === "GET") return undefined;
  const contentType = context.req.header("content-type");
  if (contentType === undefined && !needsBody) return undefined;
  return isJsonType(contentType) ? undefined : refuse("unsupported_media_type", "Send JSON as application/json.");
}

export const isJsonType = (contentType: string | undefined): boolean =>
  /^application\/json\s*(;|$)/i.test(contentType?.trim() ?? "");

const NOBODY: Caller = { type: "nobody" };

async function callerOf(context: Context<Vars>, hub: Hub, access: Access): Promise<Caller> {
  const key = access.operator ? apiKeyOf(context) : undefined;
  if (key !== undefined) {
    return hub.operatorKeys.some((accepted) => timingSafeEqual(key, accepted)) ? { type: "operator" } : NOBODY;
  }
  const user = await currentUser(context, hub);
  return user === undefined ? NOBODY : { type: "user", user };
}

function apiKeyOf(context: Context<Vars>): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(context.req.header("authorization") ?? "")?.[1];
  return context.req.header("x-api-key") ?? bearer;
}

async function currentUser(context: Context<Vars>, hub: Hub): Promise<User | undefined> {
  const cookie = getCookie(context, SESSION_COOKIE);
  const hash = cookie === undefined ? undefined : readSessionCookie(cookie, hub.sessionSecrets);
  if (hash === undefined) return undefined;
  const session = await findSession(hub.db, hub.fields, hash);
  if (session === undefined) return undefined;
  const now = hub.now();
  switch (sessionAge(session, now)) {
    case "expired":
      return undefined;
    case "touch":
      await touchSession(hub.db, hash, now);
      return session.user;
    case "live":
      return session.user;
  }
}

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
