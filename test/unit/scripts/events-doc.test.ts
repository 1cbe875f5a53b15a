import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { eventsPage, exampleBody, webhookSchemaOf } from "../../../scripts/lib/events-doc.ts";
import { ENTRY_TYPES } from "../../../src/ledger/entry.ts";
import { EVENT_TYPES } from "../../../src/relay/event-type.ts";

const page = readFileSync(new URL("../../../docs/events.md", import.meta.url), "utf8");

it("docs/events.md is what the schemas make it: npm run build:docs", () => {
  expect(page).toBe(eventsPage());
});

it.each(EVENT_TYPES)("a body of %s, as the relay makes it, is as its schema says", (type) => {
  expect(webhookSchemaOf(type).safeParse(JSON.parse(exampleBody(type))).error).toBeUndefined();
  expect(webhookSchemaOf(type).safeParse({ ...JSON.parse(exampleBody(type)), patient: "x" }).success).toBe(false);
  expect(page).toContain(`### ${type}`);
});

it("every type of entry is told of", () => {
  for (const type of ENTRY_TYPES) expect(page).toContain(`| \`${type}\` |`);
});
