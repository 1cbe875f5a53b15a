import canonicalize from "canonicalize";

/**
 * Canonical JSON (RFC 8785).
 * @throws TypeError for what has no canonical form: a number that is not finite, a lone surrogate, undefined.
 */
export function canonicalJson(value: unknown): string {
  assertWellFormed(value, 0);
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("the value has no JSON form");
  return text;
}

/** Whether `canonicalJson` takes it. */
export function hasCanonicalForm(value: unknown): boolean {
  try {
    assertWellFormed(value, 0);
    return value !== undefined;
  } catch {
    return false;
  }
}

const MAX_DEPTH = 64;

function assertWellFormed(value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw new TypeError(`nested deeper than ${MAX_DEPTH}`);
  if (typeof value === "string") {
    if (!value.isWellFormed()) throw new TypeError("a string holds a lone surrogate");
  } else if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new TypeError("a number is not finite");
  } else if (Array.isArray(value)) {
    for (const item of value) assertWellFormed(item, depth + 1);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      assertWellFormed(key, depth + 1);
      assertWellFormed(item, depth + 1);
    }
  }
}
