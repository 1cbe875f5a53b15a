/** A person at a browser of their own: pages, sign-in, what axe finds, pictures. */
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Browser, type BrowserContext, chromium, type Page } from "playwright-core";
import { inject } from "vitest";
import * as z from "zod";

export const facts = inject("browserFacts");

const SCREENSHOTS = join(import.meta.dirname, "..", "screenshots");
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let connection: Promise<Browser> | undefined;

const browserNow = (): Promise<Browser> => {
  connection ??= chromium.connect(facts.browserUrl);
  return connection;
};

export const disconnect = async (): Promise<void> => (await connection)?.close();

export interface VisitorOptions {
  readonly locale?: "en-CA" | "fr-CA";
  readonly timeZone?: string;
}

export class Visitor {
  readonly context: BrowserContext;
  readonly page: Page;
  /** What the page complained of: refused by the content security policy, thrown by a script, not found. */
  readonly complaints: string[] = [];

  private constructor(context: BrowserContext, page: Page) {
    this.context = context;
    this.page = page;
    page.on("console", (message) => {
      if (message.type() === "error") this.complaints.push(message.text());
    });
    page.on("pageerror", (error) => this.complaints.push(error.message));
  }

  static async arrive(options: VisitorOptions = {}): Promise<Visitor> {
    const context = await (await browserNow()).newContext({
      baseURL: facts.hubUrl,
      locale: options.locale ?? "en-CA",
      timezoneId: options.timeZone ?? "America/Toronto",
      viewport: DESKTOP,
    });
    context.setDefaultTimeout(30_000);
    return new Visitor(context, await context.newPage());
  }

  /** Through the form, as a person does. */
  async signIn(email: string = facts.email, password: string = facts.password): Promise<void> {
    await this.page.goto("/sign-in");
    await this.page.fill("#sign-in [name=email]", email);
    await this.page.fill("#sign-in [name=password]", password);
    await this.page.click("#sign-in button[type=submit]");
  }

  /** Through the API, with the cookie in this browser. */
  async signInQuickly(email: string = facts.email, password: string = facts.password): Promise<void> {
    await this.api("POST", "/api/auth/login", { email, password }, 200);
  }

  /** @throws when the answer has another status. */
  async api(method: string, path: string, data: unknown, status: number): Promise<unknown> {
    const answer = await this.context.request.fetch(path, {
      method,
      // A connection of its own: one that is kept may be closed by the worker just as it is used again.
      headers: { connection: "close", ...(data === undefined ? {} : { "content-type": "application/json" }) },
      ...(data === undefined ? {} : { data }),
    });
    const text = await answer.text();
    if (answer.status() !== status) throw new Error(`${method} ${path}: ${answer.status()} ${text.slice(0, 300)}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  /** Until the insurer has decided and everything is anchored. */
  async waitForPaid(claimId: string): Promise<void> {
    const schema = z.object({
      events: z.array(
        z.object({ status: z.string(), ledger: z.object({ anchored: z.boolean().nullable() }).nullable() }),
      ),
    });
    for (let i = 0; i < 300; i++) {
      const { events } = schema.parse(await this.api("GET", `/api/claims/${claimId}/timeline`, undefined, 200));
      const last = events.at(-1);
      if (last?.status === "paid" && events.every(({ ledger }) => ledger === null || ledger.anchored === true)) return;
      await sleep(100);
    }
    throw new Error("the claim was not paid and anchored in time");
  }

  async leave(): Promise<void> {
    await this.context.close();
  }
}

export const DESKTOP = { width: 1280, height: 860 } as const;
export const PHONE = { width: 390, height: 844 } as const;

const axeSchema = z.object({
  violations: z.array(
    z.object({
      id: z.string(),
      impact: z.string().nullable(),
      help: z.string(),
      nodes: z.array(z.object({ html: z.string(), failureSummary: z.string().optional() })),
    }),
  ),
});

const RULES = {
  /** WCAG 2.2 A and AA, and axe's own best practices. */
  all: { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] },
  /** What differs between widths and themes. */
  looks: { runOnly: { type: "rule", values: ["color-contrast", "target-size", "scrollable-region-focusable"] } },
} as const;

/** What axe finds on the page as it is. */
export async function axeFindings(page: Page, rules: keyof typeof RULES = "all"): Promise<readonly string[]> {
  await page.evaluate(AXE);
  // Options of a select are drawn by the browser, and there are hundreds of time zones.
  const result: unknown = await page.evaluate(
    `axe.run({ exclude: ['option'] }, ${JSON.stringify({ ...RULES[rules], resultTypes: ["violations"] })})`,
  );
  return axeSchema
    .parse(result)
    .violations.flatMap(({ id, impact, help, nodes }) =>
      nodes.map((node) => `${impact} ${id}: ${help}: ${node.html.slice(0, 200)} ${node.failureSummary ?? ""}`),
    );
}

/** Each width and each theme once; `PICTURES=all` draws the other two as well, which are only there to be looked at. */
const CHECKED = [
  { width: "desktop", viewport: DESKTOP, theme: "light", rules: "all" },
  { width: "phone", viewport: PHONE, theme: "dark", rules: "looks" },
] as const;
const ONLY_DRAWN = [
  { width: "desktop", viewport: DESKTOP, theme: "dark", rules: undefined },
  { width: "phone", viewport: PHONE, theme: "light", rules: undefined },
] as const;
const VARIANTS = process.env.PICTURES === "all" ? [...CHECKED, ...ONLY_DRAWN] : CHECKED;

const TOO_WIDE = `document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll("body *")]
  .filter((element) => element.getBoundingClientRect().right > innerWidth)
  .map((element) => element.tagName + "." + element.className).slice(0, 5)`;

/** What makes a page wider than its window: up to five elements. */
export const tooWide = (page: Page): Promise<readonly string[]> => page.evaluate<string[]>(TOO_WIDE);

/** A picture of the whole page in both widths. @returns what axe finds there, and what the browser complained of. */
export async function lookAtPage(visitor: Visitor, name: string): Promise<readonly string[]> {
  const { page } = visitor;
  mkdirSync(SCREENSHOTS, { recursive: true });
  const found: string[] = [];
  for (const { width, viewport, theme, rules } of VARIANTS) {
    await page.setViewportSize(viewport);
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    await page.evaluate("scrollTo(0, 0)");
    await page.screenshot({ path: join(SCREENSHOTS, `${name}-${width}-${theme}.png`), fullPage: true });
    if (rules === undefined) continue;
    for (const finding of await axeFindings(page, rules)) found.push(`${width} ${theme}: ${finding}`);
    const wide = await tooWide(page);
    if (wide.length > 0) found.push(`${width}: the page is too wide, because of ${wide.join(" ")}`);
  }
  await page.setViewportSize(DESKTOP);
  await page.emulateMedia({ colorScheme: null });
  return [...found, ...visitor.complaints];
}
