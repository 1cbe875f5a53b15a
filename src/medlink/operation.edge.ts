/**
 * One operation of the hub's API: schema, access rule and handler together. `mount` puts it on the app and into its
 * OpenAPI document, and does what every operation needs the same way: caller, cross-site check, body limit, validation.
 */
import type { OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  type Access,
  type Actor,
  accessOf,
  actorOf,
  clinicUserOf,
  type Narrowed,
  refusalOf,
  SIGN_IN_FIRST,
} from "./access.edge.ts";
import type { SignedIn } from "./accounts/accounts.store.ts";
import { type Caller, callerOf } from "./accounts/caller.edge.ts";
import { isCrossSite } from "./accounts/cross-site.ts";
import type { Role, User } from "./accounts/user.ts";
import { type Answer, refuse } from "./answer.ts";
import { recordTrail } from "./audit/record-trail.edge.ts";
import type { HubEnv } from "./env.ts";
import type { Hub } from "./hub.edge.ts";
import { describe } from "./operation-doc.edge.ts";
import {
  type AnySpec,
  type Input,
  JSON_WIRE,
  type Spec,
  type Trailed,
  takesBody,
  type Wire,
} from "./operation-spec.edge.ts";
import { mediaTypeOf, parse, readJson } from "./request-body.edge.ts";

// What every route works with comes from one place.
export { type Actor, clinicInReach, SIGN_IN_FIRST } from "./access.edge.ts";
export { type Answer, notFound, ok, refuse } from "./answer.ts";
export { none, type Wire } from "./operation-spec.edge.ts";
export { BODY_LIMIT_BYTES, isJsonType, mediaTypeOf, readText } from "./request-body.edge.ts";

export interface Vars {
  readonly Bindings: HubEnv;
  readonly Variables: {
    hub: Hub;
    correlationId: string;
    route: string;
    /** Why it could not be answered, for the log. */
    failure?: string;
  };
}

export type HubApp = OpenAPIHono<Vars>;

export interface Operation {
  readonly mount: (app: HubApp) => void;
}

/** For anyone, signed in or not. */
export function openOperation<Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body>,
  handle: (input: Input<z.output<Params>, z.output<Body>>) => Promise<Answer>,
): Operation {
  return { mount: (app) => mount(app, spec, (_, input) => handle(input)) };
}

/** For callers in whom `who` sees whoever the handler works for. */
const restricted = <Params extends z.ZodType, Body extends z.ZodType, Who>(
  spec: Spec<Params, Body>,
  access: Access,
  who: (caller: Caller) => Who | undefined,
  handle: (input: Input<z.output<Params>, z.output<Body>> & Who) => Promise<Answer>,
): Operation => ({
  mount: (app) =>
    mount(
      app,
      spec,
      async (caller, input) => {
        const seen = who(caller);
        return seen === undefined ? SIGN_IN_FIRST : handle({ ...input, ...seen });
      },
      access,
    ),
});

/** For a clinic's people and their integrations. */
export const operation = <Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body> & Narrowed,
  handle: (input: Input<z.output<Params>, z.output<Body>> & { readonly user: User }) => Promise<Answer>,
): Operation =>
  restricted(
    spec,
    accessOf(spec, "no"),
    (caller) => {
      const user = clinicUserOf(caller);
      return user === undefined ? undefined : { user };
    },
    handle,
  );

/** For everyone with an account, operators among them: what concerns the account itself. Never for integrations. */
export const accountOperation = <Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body>,
  handle: (input: Input<z.output<Params>, z.output<Body>> & { readonly signedIn: SignedIn }) => Promise<Answer>,
): Operation =>
  restricted(
    spec,
    accessOf({ method: spec.method, tokens: false }, "account"),
    (caller) => (caller.type === "person" ? { signedIn: caller.signedIn } : undefined),
    handle,
  );

/** For a clinic's people of these roles within their clinic, and for the hub's operators across all, whose deeds are in the trail. */
export const staffOperation = <Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body> & Trailed<Params, Body> & Narrowed & { readonly roles: readonly Role[] },
  handle: (input: Input<z.output<Params>, z.output<Body>> & { readonly actor: Actor }) => Promise<Answer>,
): Operation =>
  restricted(
    spec,
    accessOf(spec, "any"),
    (caller) => {
      const actor = actorOf(caller);
      return actor === undefined ? undefined : { actor };
    },
    async (input) => {
      const { hub, actor, correlationId } = input;
      return (await recordTrail(hub, actor, spec.trail?.(input), correlationId)) ?? handle(input);
    },
  );

/** For the hub's operators alone: people of that role, and its operator key. */
export function operatorOperation<Params extends z.ZodType, Body extends z.ZodType>(
  spec: Spec<Params, Body> & Trailed<Params, Body>,
  handle: (input: Input<z.output<Params>, z.output<Body>> & { readonly actor: Actor }) => Promise<Answer>,
): Operation {
  return staffOperation({ ...spec, roles: [], tokens: false }, handle);
}

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
    const refused = access === undefined ? undefined : await refusalOf(hub, caller, access);
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
function faultOfContentType(context: Context<Vars>, spec: AnySpec, wire: Wire): Answer | undefined {
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
