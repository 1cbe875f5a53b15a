/** Why a field was refused, as a closed code: the API says it in English, the console in the language of the page. */
import type * as z from "zod";

export const FIELD_RULES = [
  "missing",
  "type",
  "choice",
  "form",
  "email",
  "date",
  "currency",
  "amount",
  "shorter",
  "longer",
  "less",
  "more",
  "fewer",
  "many",
  "whole",
  "unknown",
  "reused",
  "either",
  "cells",
  "code",
  "lifetime",
  "repetitive",
  "address",
  "not_an_amount",
  "named_twice",
  "unknown_claim",
  "other_insurer",
  "other_currency",
  "not_approved",
  "more_than_claimed",
  "network",
] as const;
export type FieldRule = (typeof FIELD_RULES)[number];

export interface FieldIssue {
  /** JSON path of the field; empty: the whole body. */
  readonly path: string;
  /** In English; names the rule, never the value. */
  readonly message: string;
  readonly rule: FieldRule;
  /** Of `shorter`, `longer`, `less`, `more`, `fewer` and `many`. */
  readonly limit?: number;
}

export const unknownRecord = (path: string): FieldIssue => ({
  path,
  rule: "unknown",
  message: "this clinic has no such record",
});

export const noAmount = (path: string): FieldIssue => ({
  path,
  rule: "amount",
  message: "is no amount of the currency",
});

type ZodIssue = z.core.$ZodIssue;

const sizeRule = (
  origin: string,
  rules: { readonly text: FieldRule; readonly list: FieldRule; readonly number: FieldRule },
) => (origin === "string" ? rules.text : origin === "array" || origin === "set" ? rules.list : rules.number);

function ruleOf(issue: ZodIssue): { readonly rule: FieldRule; readonly limit?: number } {
  switch (issue.code) {
    case "invalid_type":
      // The value itself is never among what zod tells; that there was none is.
      if (issue.message.endsWith("received undefined")) return { rule: "missing" };
      return { rule: issue.expected === "int" ? "whole" : "type" };
    case "too_small": {
      const limit = Number(issue.minimum);
      const rule = sizeRule(issue.origin, { text: "shorter", list: "fewer", number: "less" });
      return rule === "shorter" && limit === 1 ? { rule: "missing" } : { rule, limit };
    }
    case "too_big":
      return {
        rule: sizeRule(issue.origin, { text: "longer", list: "many", number: "more" }),
        limit: Number(issue.maximum),
      };
    case "invalid_format":
      if (issue.format === "email") return { rule: "email" };
      return { rule: issue.format === "date" || issue.format === "datetime" ? "date" : "form" };
    case "invalid_value":
      return { rule: "choice" };
    case "custom": {
      const named: unknown = issue.params?.rule;
      return { rule: FIELD_RULES.find((rule) => rule === named) ?? "form" };
    }
    default:
      return { rule: "form" };
  }
}

export const issueOf = (issue: ZodIssue): FieldIssue => ({
  path: issue.path.join("."),
  message: issue.message,
  ...ruleOf(issue),
});
