/** What a bundle asks for: which entries are claims to file, and what its references mean. */
import type { References } from "./ids.ts";
import type { Issue } from "./outcome.ts";
import { issuesOfZod } from "./outcome.ts";
import { type BundleResource, bundleResource } from "./r4.ts";

export const MAX_BUNDLE_CLAIMS = 50;

export interface BundleEntry {
  /** Its place in the bundle. */
  readonly index: number;
  readonly fullUrl: string | undefined;
  readonly resource: unknown;
  readonly ifNoneExist: string | undefined;
}

/** A batch's entries succeed and fail by themselves; those of a transaction or collection together. */
export type ReadBundle =
  | {
      readonly ok: true;
      readonly mode: "together" | "apart";
      readonly entries: readonly BundleEntry[];
      /** By index: entries that ask for what is not done here. */
      readonly refused: ReadonlyMap<number, Issue>;
      readonly references: References;
    }
  | { readonly ok: false; readonly level: "invalid" | "unprocessable"; readonly issues: readonly Issue[] };

export function readBundle(value: unknown, base: string): ReadBundle {
  const parsed = bundleResource.safeParse(value);
  if (!parsed.success) return { ok: false, level: "invalid", issues: issuesOfZod(parsed.error, value, "Bundle") };
  const { type, entry = [] } = parsed.data;
  const unprocessable = (code: Issue["code"], text: string, expression: string): ReadBundle => ({
    ok: false,
    level: "unprocessable",
    issues: [{ code, text, expression }],
  });
  if (type !== "transaction" && type !== "batch" && type !== "collection") {
    return unprocessable("not-supported", "Send a transaction, a batch or a collection.", "Bundle.type");
  }
  const entries: BundleEntry[] = [];
  const refused = new Map<number, Issue>();
  for (const [index, each] of entry.entries()) {
    const refusal = refusalOf(each, type, `Bundle.entry[${index}]`);
    if (refusal !== undefined) refused.set(index, refusal);
    else if (each.resource?.resourceType === "Claim") {
      const { fullUrl, resource, request } = each;
      entries.push({ index, fullUrl, resource, ifNoneExist: request?.ifNoneExist });
    }
  }
  if (entries.length === 0 && refused.size === 0) {
    return unprocessable("required", "The bundle has no claim.", "Bundle.entry");
  }
  if (entries.length > MAX_BUNDLE_CLAIMS) {
    return unprocessable("too-long", `A bundle has at most ${MAX_BUNDLE_CLAIMS} claims.`, "Bundle.entry");
  }
  const mode = type === "batch" ? "apart" : "together";
  return { ok: true, mode, entries, refused, references: { base, entries: entryReferences(parsed.data) } };
}

type Entry = NonNullable<BundleResource["entry"]>[number];

/** A collection may hold what its claims refer to; a transaction or batch only what is to be done. */
function refusalOf(entry: Entry, type: "transaction" | "batch" | "collection", place: string): Issue | undefined {
  if (type === "collection") return undefined;
  if (entry.request === undefined) {
    return { code: "required", text: "An entry says what is to be done.", expression: `${place}.request` };
  }
  const isCreate = entry.request.method === "POST" && /^(?:\/?|.*\/fhir\/)Claim$/.test(entry.request.url);
  if (!isCreate || entry.resource?.resourceType !== "Claim") {
    return { code: "not-supported", text: "Only claims can be created in a bundle.", expression: `${place}.request` };
  }
  return undefined;
}

function entryReferences({ entry = [] }: BundleResource): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { fullUrl, resource } of entry) {
    if (fullUrl !== undefined && resource?.id !== undefined) {
      found.set(fullUrl, `${resource.resourceType}/${resource.id}`);
    }
  }
  return found;
}
