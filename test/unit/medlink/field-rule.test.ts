import { describe, expect, it } from "vitest";
import * as z from "zod";
import { currencyField } from "../../../src/medlink/claims/show-claim.ts";
import { issueOf } from "../../../src/medlink/field-rule.ts";

const schema = z.object({
  text: z.string().min(3).max(5),
  list: z.array(z.string()).max(1),
  number: z.number().int().min(1).max(100),
  choice: z.enum(["a", "b"]),
  email: z.email(),
  day: z.iso.date(),
  code: z.string().regex(/^\d{6}$/, "six digits"),
  currency: currencyField,
});

const GOOD = {
  text: "abcd",
  list: ["x"],
  number: 7,
  choice: "a",
  email: "a@b.ca",
  day: "2026-02-28",
  code: "123456",
  currency: "CAD",
};

const rulesOf = (over: Readonly<Record<string, unknown>>) =>
  (schema.safeParse({ ...GOOD, ...over }).error?.issues ?? [])
    .map(issueOf)
    .map(({ path, rule, limit }) => [path, rule, limit]);

describe("why a field is refused", () => {
  it.each([
    [{ text: undefined }, "text", "missing", undefined],
    [{ text: 7 }, "text", "type", undefined],
    [{ text: "ab" }, "text", "shorter", 3],
    [{ text: "abcdef" }, "text", "longer", 5],
    [{ list: ["x", "y"] }, "list", "many", 1],
    [{ number: 0 }, "number", "less", 1],
    [{ number: 101 }, "number", "more", 100],
    [{ number: 1.5 }, "number", "whole", undefined],
    [{ choice: "c" }, "choice", "choice", undefined],
    [{ email: "nobody" }, "email", "email", undefined],
    [{ day: "2026-02-30" }, "day", "date", undefined],
    [{ code: "12345" }, "code", "form", undefined],
    [{ currency: "dollars" }, "currency", "currency", undefined],
  ])("is told by a code for %j", (over, path, rule, limit) => {
    expect(rulesOf(over)).toEqual([[path, rule, limit]]);
  });

  it("asks for an empty field to be filled in rather than for one character", () => {
    expect(z.string().min(1).safeParse("").error?.issues.map(issueOf)).toMatchObject([{ rule: "missing" }]);
  });
});
