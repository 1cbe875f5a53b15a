/** How FHIR operations are written: application/fhir+json, and what goes wrong as an OperationOutcome. */
import { FHIR_JSON, problemAsOutcome } from "./outcome.ts";

export const FHIR_WIRE = {
  contentType: FHIR_JSON,
  isBody: (contentType: string | undefined): boolean =>
    /^application\/(?:fhir\+)?json\s*(?:;|$)/i.test(contentType?.trim() ?? ""),
  problem: problemAsOutcome,
};

/** True when a caller takes JSON, by its Accept header and by `_format`, which goes before it. */
export function takesJson(accept: string | null, format: string | null): boolean {
  if (format !== null) return /^(json|text\/json|application\/(fhir[+ ])?json)$/i.test(format);
  if (accept === null) return true;
  return accept
    .split(",")
    .map((part) => part.split(";")[0]?.trim().toLowerCase() ?? "")
    .some((type) => ["*/*", "application/*", FHIR_JSON, "application/json", "text/json"].includes(type));
}

export const baseOf = (url: string): string => `${new URL(url).origin}/fhir`;

/** `Prefer: return=minimal` asks for no body. */
export const wantsMinimal = (prefer: string | null): boolean =>
  /(?:^|[,;\s])return=minimal(?:$|[,;\s])/i.test(prefer ?? "");
