/**
 * Ids and references. A FHIR id has letters, digits, `-` and `.`; ours have `_` and never `-`, so one stands for the other.
 */
export const toFhirId = (id: string): string => id.replaceAll("_", "-");

export const fromFhirId = (id: string): string => id.replaceAll("-", "_");

export type ResourceType = "Patient" | "Practitioner" | "Organization" | "Claim" | "ClaimResponse";

export const referenceTo = (type: ResourceType, id: string) => ({ reference: `${type}/${toFhirId(id)}` });

const LITERAL = /^([A-Z][A-Za-z]+)\/([A-Za-z0-9_.-]{1,64})(?:\/_history\/[A-Za-z0-9.-]{1,64})?$/;

/** Finds what a literal reference names: relative, under this server's base, or an entry of the same bundle. */
export interface References {
  /** Such as `https://hub.example/fhir`. */
  readonly base: string;
  /** `Type/id` of the bundle's entries by their fullUrl. */
  readonly entries: ReadonlyMap<string, string>;
}

/** @returns our id; undefined when the reference names no resource of this type here. */
export function idOfReference(
  reference: string,
  type: ResourceType,
  { base, entries }: References,
): string | undefined {
  const literal =
    entries.get(reference) ?? (reference.startsWith(`${base}/`) ? reference.slice(base.length + 1) : reference);
  const [, named, id] = LITERAL.exec(literal) ?? [];
  return named === type && id !== undefined ? fromFhirId(id) : undefined;
}
