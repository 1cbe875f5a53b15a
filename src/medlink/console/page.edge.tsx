/**
 * One page of the console: who may see it, its parameters, and what it shows. `mount` does what every page needs the same way:
 * session, sign-in with the way back, role, language, zone and theme, security headers, and a page for what went wrong.
 * A page reads through the stores that the API reads through; it changes nothing. Changes go from the browser to the API.
 */
import type { Context } from "hono";
import { getCookie } from "hono/cookie";
import { html } from "hono/html";
import type { Child } from "hono/jsx";
import type * as z from "zod";
import type { SignedIn } from "../accounts/accounts.store.ts";
import { findSignedIn } from "../accounts/caller.edge.ts";
import { isCrossSite } from "../accounts/cross-site.ts";
import {
  type Account,
  isTimeZone,
  type OperatorUser,
  type Preferences,
  ROLES,
  type Role,
  type User,
} from "../accounts/user.ts";
import { cachedClinic } from "../cache/record-cache.edge.ts";
import type { Hub } from "../hub.edge.ts";
import type { Operation, Vars } from "../operation.edge.ts";
import { ErrorPage, type ErrorStatus } from "./components/error.view.tsx";
import { type Person, PlainShell, Shell, type Theme } from "./components/shell.view.tsx";
import { DEFAULT_TIME_ZONE, isLocale, preferredLocale } from "./i18n/locale.ts";
import { makeUi, type Ui } from "./i18n/ui.ts";
import type { ScriptName } from "./scripts.ts";
import { pageHeaders } from "./security-headers.ts";

export type PageAnswer =
  | {
      readonly type: "page";
      readonly title: string;
      readonly body: Child;
      /** Beside `app`, which every page has. */
      readonly scripts?: readonly ScriptName[];
    }
  | { readonly type: "redirect"; readonly to: string }
  | { readonly type: "error"; readonly status: ErrorStatus };

interface PageSpec<Params extends z.ZodType> {
  /** With parameters in braces, as the API writes them. */
  readonly path: string;
  /** Path and query parameters together. What does not parse is a page that is not there. */
  readonly params: Params;
}

export interface PageInput<Params> {
  readonly hub: Hub;
  readonly ui: Ui;
  readonly params: Params;
  readonly request: Request;
  readonly correlationId: string;
}

/** For people who need not be signed in. */
export function openPage<Params extends z.ZodType>(
  spec: PageSpec<Params>,
  render: (input: PageInput<z.output<Params>> & { readonly signedIn: SignedIn | undefined }) => Promise<PageAnswer>,
): Operation {
  const answer = async (context: Context<Vars>): Promise<Response> => {
    context.set("route", spec.path);
    const signedIn = await findSignedIn(context.get("hub"), context.req.raw);
    const viewer = viewerOf(context, signedIn);
    const params = spec.params.safeParse({ ...context.req.query(), ...context.req.param() });
    if (!params.success) return respond(context, viewer, { type: "error", status: 404 }, undefined);
    const rendered = await render({ ...inputOf(context, viewer), signedIn, params: params.data });
    return respond(context, viewer, rendered, undefined);
  };
  return { mount: (app) => app.get(honoPath(spec.path), answer) };
}

interface Narrowed<Params extends z.ZodType> extends PageSpec<Params> {
  /**
   * The page also takes a form of its own by POST, for what must not stand in an address: it is asked for again with the form's
   * fields among the parameters.
   */
  readonly form?: boolean;
}

/** For a clinic's people of these roles; by default all of them. */
export function page<Params extends z.ZodType>(
  spec: Narrowed<Params> & { readonly roles?: readonly Role[] },
  render: (input: PageInput<z.output<Params>> & { readonly user: User }) => Promise<PageAnswer>,
): Operation {
  const { roles = ROLES } = spec;
  return signedInPage(spec, async (input) => {
    const { user } = input.signedIn;
    if (user.role === "operator" || !roles.includes(user.role)) return { type: "error", status: 403 };
    return render({ ...input, user });
  });
}

/** For everyone with an account, operators among them. */
export const accountPage = <Params extends z.ZodType>(
  spec: Narrowed<Params>,
  render: (input: PageInput<z.output<Params>> & { readonly signedIn: SignedIn }) => Promise<PageAnswer>,
): Operation => signedInPage(spec, render);

/** For the hub's operators, who belong to no clinic. */
export const operatorPage = <Params extends z.ZodType>(
  spec: Narrowed<Params>,
  render: (input: PageInput<z.output<Params>> & { readonly user: OperatorUser }) => Promise<PageAnswer>,
): Operation =>
  signedInPage(spec, async (input) => {
    const { user } = input.signedIn;
    return user.role === "operator" ? render({ ...input, user }) : { type: "error", status: 403 };
  });

function signedInPage<Params extends z.ZodType>(
  spec: Narrowed<Params>,
  render: (input: PageInput<z.output<Params>> & { readonly signedIn: SignedIn }) => Promise<PageAnswer>,
): Operation {
  const answer = async (context: Context<Vars>): Promise<Response> => {
    context.set("route", spec.path);
    const hub = context.get("hub");
    const signedIn = await findSignedIn(hub, context.req.raw);
    const viewer = viewerOf(context, signedIn);
    if (signedIn === undefined)
      return respond(context, viewer, { type: "redirect", to: signInPath(context) }, undefined);
    const form = context.req.method === "POST" ? await readForm(context) : {};
    const params = spec.params.safeParse({ ...context.req.query(), ...form, ...context.req.param() });
    const [person, rendered] = await Promise.all([
      personOf(hub, signedIn.user),
      form === undefined || !params.success
        ? ({ type: "error", status: 404 } as const)
        : render({ ...inputOf(context, viewer), signedIn, params: params.data }),
    ]);
    return respond(context, viewer, rendered, person);
  };
  return {
    mount: (app) => {
      app.get(honoPath(spec.path), answer);
      if (spec.form === true) app.post(honoPath(spec.path), answer);
    },
  };
}

const honoPath = (path: string): string => path.replace(/\{(\w+)\}/g, ":$1");

/** How someone sees the console. */
interface ViewerSettings {
  readonly ui: Ui;
  readonly theme: Theme;
}

/** The account's language and zone; before signing in the cookie's, then the browser's. */
function viewerOf(context: Context<Vars>, signedIn: SignedIn | undefined): ViewerSettings {
  const { locale, timeZone } = signedIn?.preferences ?? visitorPreferences(context);
  const theme = getCookie(context, "medlink_theme");
  return {
    ui: makeUi(locale, timeZone, Date.now()),
    theme: theme === "dark" || theme === "light" ? theme : "auto",
  };
}

function visitorPreferences(context: Context<Vars>): Preferences {
  const locale = getCookie(context, "medlink_locale");
  const zone = getCookie(context, "medlink_zone") ?? "";
  return {
    locale: isLocale(locale) ? locale : preferredLocale(context.req.header("accept-language")),
    timeZone: isTimeZone(zone) ? zone : DEFAULT_TIME_ZONE,
  };
}

const inputOf = (context: Context<Vars>, viewer: ViewerSettings) => ({
  hub: context.get("hub"),
  ui: viewer.ui,
  request: context.req.raw,
  correlationId: context.get("correlationId"),
});

async function personOf(hub: Hub, { name, role, clinicId }: Account): Promise<Person> {
  const clinic = clinicId === null ? undefined : await cachedClinic(hub, clinicId);
  return { name, role, clinicName: clinic?.name };
}

/** To the sign-in page, which knows the way back. A form is not sent again. */
function signInPath(context: Context<Vars>): string {
  const { pathname, search } = new URL(context.req.url);
  return pathname === "/" ? "/sign-in" : `/sign-in?next=${encodeURIComponent(pathname + search)}`;
}

const FORM_LIMIT_BYTES = 20_000;

async function readForm(context: Context<Vars>): Promise<Readonly<Record<string, string>> | undefined> {
  const crossSite = isCrossSite({
    method: context.req.method,
    url: context.req.url,
    secFetchSite: context.req.header("sec-fetch-site"),
    origin: context.req.header("origin"),
  });
  const length = Number(context.req.header("content-length") ?? Number.NaN);
  if (crossSite || !(length <= FORM_LIMIT_BYTES)) return undefined;
  const text = await context.req.text();
  return Object.fromEntries(new URLSearchParams(text));
}

function respond(
  context: Context<Vars>,
  { ui, theme }: ViewerSettings,
  answer: PageAnswer,
  person: Person | undefined,
): Response | Promise<Response> {
  const headers = pageHeaders(!context.get("hub").development);
  switch (answer.type) {
    case "redirect":
      return new Response(null, { status: 303, headers: { location: answer.to, "cache-control": "no-store" } });
    case "error":
      return errorResponse(context, { ui, theme }, answer.status, person);
    case "page": {
      const { title, body, scripts = [] } = answer;
      const document =
        person === undefined ? (
          <PlainShell ui={ui} theme={theme} title={title} scripts={scripts}>
            {body}
          </PlainShell>
        ) : (
          <Shell ui={ui} theme={theme} title={title} scripts={scripts} person={person} path={context.req.path}>
            {body}
          </Shell>
        );
      return documentResponse(document, 200, headers);
    }
  }
}

const documentResponse = async (document: Child, status: number, headers: Readonly<Record<string, string>>) =>
  new Response(String(await html`<!doctype html>${document}`), { status, headers });

function errorResponse(
  context: Context<Vars>,
  { ui, theme }: ViewerSettings,
  status: ErrorStatus,
  person: Person | undefined,
): Promise<Response> {
  const title = ui.t(`error.${status}.title`);
  const content = <ErrorPage ui={ui} status={status} correlationId={context.get("correlationId")} />;
  const document =
    person === undefined ? (
      <PlainShell ui={ui} theme={theme} title={title} scripts={[]}>
        {content}
      </PlainShell>
    ) : (
      <Shell ui={ui} theme={theme} title={title} scripts={[]} person={person} path={context.req.path}>
        {content}
      </Shell>
    );
  return documentResponse(document, status, pageHeaders(true));
}

/** Whether whoever asks is a person at a browser, going to a page. */
export const wantsPage = (request: Request): boolean =>
  request.method === "GET" &&
  /\btext\/html\b/i.test(request.headers.get("accept") ?? "") &&
  !/^\/(?:api|fhir|assets)\//.test(new URL(request.url).pathname);

/** The page for an address that is none, a bug, or a hub that is not ready: it asks neither session nor database. */
export const errorPage = (context: Context<Vars>, status: ErrorStatus): Promise<Response> =>
  errorResponse(context, viewerOf(context, undefined), status, undefined);
