import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "vite";
import { describe, expect, it } from "vitest";
import { CATALOGUES } from "../../../src/medlink/console/i18n/catalogue.ts";
import { preferredLocale } from "../../../src/medlink/console/i18n/locale.ts";
import { fill } from "../../../src/medlink/console/i18n/messages.ts";
import { makeUi } from "../../../src/medlink/console/i18n/ui.ts";
import { FIELD_RULES } from "../../../src/medlink/field-rule.ts";

const CONSOLE = join(import.meta.dirname, "..", "..", "..", "src", "medlink", "console");

const placeholders = (text: string): readonly string[] =>
  [...text.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name).sort();

describe("the two catalogues", () => {
  const { en, fr } = CATALOGUES;

  it("have the same keys", () => {
    expect(Object.keys(fr).sort()).toEqual(Object.keys(en).sort());
  });

  it("have the same placeholders in each message, and no message is empty", () => {
    const french = new Map<string, string>(Object.entries(fr));
    for (const [key, text] of Object.entries(en)) {
      const other = french.get(key) ?? "";
      expect(placeholders(other), key).toEqual(placeholders(text));
      expect(text.trim(), key).not.toBe("");
      expect(other.trim(), key).not.toBe("");
    }
  });

  it("have words for every rule by which a field is refused", () => {
    const ruled = Object.keys(en).filter((key) => key.startsWith("rule."));
    expect(ruled.sort()).toEqual(FIELD_RULES.map((rule) => `rule.${rule}`).sort());
  });

  it("use each message somewhere, so that none is translated for nothing", () => {
    const sources = filesUnder(CONSOLE, /\.tsx?$/)
      .filter((path) => !path.includes("/messages/"))
      .map((path) => readFileSync(path, "utf8"))
      .join("\n");
    const unused = Object.keys(en).filter((key) => {
      const plain = key.replace(/\.(one|other)$/, "");
      if (sources.includes(`"${plain}"`) || sources.includes(`"${key}"`)) return false;
      // A key whose last part is data, by template or by label(), or whose first part is.
      const parts = plain.split(".");
      const groups = parts.map((_, i) => parts.slice(0, i).join(".")).filter((group) => group !== "");
      const last = parts.at(-1) ?? "";
      return !(
        groups.some((group) => sources.includes(`\`${group}.\${`) || sources.includes(`label("${group}"`)) ||
        sources.includes(`}.${last}\``)
      );
    });
    expect(unused).toEqual([]);
  });
});

function filesUnder(folder: string, pattern: RegExp): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Attributes that people read or hear. */
const SPOKEN = /^(title|label|lead|text|hint|placeholder|alt|action|caption|blank|empty|aria-label|aria-description)$/;
const HAS_WORD = /\p{L}{2}/u;
/** Attributes of those names that are no text: an address, and what becomes of an empty field. */
const NO_TEXT = /^(\/[\w/-]*|keep|null|omit)$/;

interface Node {
  readonly type: string;
  readonly [field: string]: unknown;
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";

/** Words that a view says without the catalogue. */
function literalText(path: string, source: string): readonly string[] {
  const found: string[] = [];
  const note = (what: string): void => {
    if (HAS_WORD.test(what) && !NO_TEXT.test(what)) found.push(`${path}: ${what.trim().slice(0, 60)}`);
  };
  const text = (node: unknown): void => {
    if (!isNode(node)) return;
    if (node.type === "JSXText" || node.type === "Literal") {
      if (typeof node.value === "string") note(node.value);
    } else if (node.type === "JSXExpressionContainer") text(node.expression);
    else if (node.type === "ConditionalExpression") {
      text(node.consequent);
      text(node.alternate);
    } else if (node.type === "TemplateLiteral" && Array.isArray(node.quasis)) {
      for (const quasi of node.quasis) if (isNode(quasi) && isRaw(quasi.value)) note(quasi.value.raw);
    }
  };
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const item of value) visit(item);
      return;
    }
    if (!isNode(value)) return;
    if ((value.type === "JSXElement" || value.type === "JSXFragment") && Array.isArray(value.children)) {
      for (const child of value.children) text(child);
    }
    if (value.type === "JSXAttribute" && isNode(value.name) && SPOKEN.test(String(value.name.name))) text(value.value);
    for (const child of Object.values(value)) visit(child);
  };
  visit(parseSync(path, source).program.body);
  return found;
}

const isRaw = (value: unknown): value is { readonly raw: string } =>
  typeof value === "object" && value !== null && "raw" in value && typeof value.raw === "string";

describe("a view", () => {
  it("says nothing but what the catalogues hold", () => {
    const views = filesUnder(CONSOLE, /\.tsx$/);
    expect(views.length).toBeGreaterThan(5);
    expect(views.flatMap((path) => literalText(path, readFileSync(path, "utf8")))).toEqual([]);
  });

  it("would be found if it did", () => {
    const said = (jsx: string) => literalText("a.tsx", `const x = ${jsx};`).map((line) => line.slice("a.tsx: ".length));
    expect(said("<p>Hello {name}</p>")).toEqual(["Hello"]);
    expect(said('<p title="Close it">{t("x")}</p>')).toEqual(["Close it"]);
    expect(said('<p>{open ? "Open" : t("x")}</p>')).toEqual(["Open"]);
    expect(said(`<Card title={\`About \${x}\`} />`)).toEqual(["About"]);
    expect(said('<p class="lead" id="x">{t("a.b")} · {n}</p>')).toEqual([]);
  });
});

describe("what a viewer sees", () => {
  const at = Date.UTC(2026, 10, 22, 22, 16, 5);

  it("is in the viewer's language and zone", () => {
    const toronto = makeUi("en", "America/Toronto", at);
    expect(toronto.dateTime(at)).toBe("Nov 22, 2026, 5:16 p.m.");
    const halifax = makeUi("fr", "America/Halifax", at);
    expect(halifax.dateTime(at).replace(/\s/g, " ")).toBe("22 nov. 2026, 18 h 16");
    expect(toronto.ago(at - 180_000)).toBe("3 minutes ago");
    expect(halifax.ago(at - 180_000).replace(/\s/g, " ")).toBe("il y a 3 minutes");
    expect(toronto.day("1984-03-12")).toBe("Mar 12, 1984");
  });

  it("has money as it is written there, exact to the minor unit", () => {
    const money = (locale: "en" | "fr", minor: number, currency: string) =>
      makeUi(locale, "UTC", at).money({ minor, currency }).replace(/\s/g, " ");
    expect(money("en", 123_456_789, "CAD")).toBe("$1,234,567.89");
    expect(money("fr", 12_000, "CAD")).toBe("120,00 $");
    expect(money("en", 120, "JPY")).toBe("JP¥120");
  });

  it("counts as the language does", () => {
    expect(fill("{count} of {total}", { count: 1, total: 2 })).toBe("1 of 2");
    expect(fill("{missing}")).toBe("{missing}");
  });

  it("is in the language that the browser prefers", () => {
    expect(preferredLocale("fr-CA,fr;q=0.9,en;q=0.8")).toBe("fr");
    expect(preferredLocale("de, en;q=0.5, fr;q=0.7")).toBe("fr");
    expect(preferredLocale("en-US,en;q=0.9")).toBe("en");
    expect(preferredLocale("de")).toBe("en");
    expect(preferredLocale(undefined)).toBe("en");
  });
});
