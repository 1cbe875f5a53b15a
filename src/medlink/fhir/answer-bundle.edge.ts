/** Bundles of claims: a transaction or collection is filed whole or not at all, a batch entry by entry. */
import type { Hub } from "../hub.edge.ts";
import { type Answer, ok } from "../operation.edge.ts";
import { created, refused } from "./answers.edge.ts";
import { type BundleEntry, readBundle } from "./bundle.ts";
import { readClaimResource } from "./claim-in.ts";
import { baseOf } from "./fhir-wire.ts";
import { type Filed, type FilingBy, type FilingRequest, fileClaims } from "./file-claims.edge.ts";
import type { References } from "./ids.ts";
import { type Issue, operationOutcome } from "./outcome.ts";

const STATUS_TEXT: Readonly<Record<number, string>> = {
  200: "200 OK",
  201: "201 Created",
  400: "400 Bad Request",
  409: "409 Conflict",
  410: "410 Gone",
  422: "422 Unprocessable Entity",
};

const statusText = (status: number): string => STATUS_TEXT[status] ?? String(status);

type ReadEntry =
  | { readonly ok: true; readonly request: FilingRequest }
  | { readonly ok: false; readonly status: 400 | 422; readonly issues: readonly Issue[] };

function readEntry({ index, resource, ifNoneExist }: BundleEntry, references: References): ReadEntry {
  const root = `Bundle.entry[${index}].resource`;
  const read = readClaimResource(resource, references, root);
  return read.ok
    ? { ok: true, request: { draft: read.draft, ifNoneExist, root } }
    : { ok: false, status: read.level === "invalid" ? 400 : 422, issues: read.issues };
}

function responseEntry(filed: Filed, base: string) {
  const { status, headers, resource } = created(filed, base);
  return {
    fullUrl: headers.location,
    resource,
    response: {
      status: statusText(status),
      location: headers.location,
      etag: headers.etag,
      lastModified: new Date(filed.claim.updatedAt).toISOString(),
    },
  };
}

export async function answerBundle(hub: Hub, body: unknown, request: Request, by: FilingBy): Promise<Answer> {
  const base = baseOf(request.url);
  const bundle = readBundle(body, base);
  if (!bundle.ok) return refused(bundle.level === "invalid" ? 400 : 422, bundle.issues, by.correlationId);
  const { mode, entries, refused: refusals, references } = bundle;
  if (mode === "together") {
    const read = entries.map((entry) => readEntry(entry, references));
    const faults = read.flatMap((each) => (each.ok ? [] : [each]));
    const issues = [...refusals.values(), ...faults.flatMap((each) => each.issues)];
    if (issues.length > 0) {
      return refused(faults.some(({ status }) => status === 400) ? 400 : 422, issues, by.correlationId);
    }
    const result = await fileClaims(
      hub,
      read.flatMap((each) => (each.ok ? [each.request] : [])),
      by,
    );
    if (!result.ok) return refused(result.status, result.issues, by.correlationId);
    return ok(200, {
      resourceType: "Bundle",
      type: "transaction-response",
      entry: result.filed.map((filed) => responseEntry(filed, base)),
    });
  }
  const answers = new Map<number, unknown>();
  const failed = (index: number, status: number, issues: readonly Issue[]) =>
    answers.set(index, { response: { status: statusText(status), outcome: operationOutcome(issues) } });
  for (const [index, issue] of refusals) failed(index, 422, [issue]);
  for (const entry of entries) {
    const read = readEntry(entry, references);
    if (!read.ok) {
      failed(entry.index, read.status, read.issues);
      continue;
    }
    const result = await fileClaims(hub, [read.request], by);
    const filed = result.ok ? result.filed[0] : undefined;
    if (filed !== undefined) answers.set(entry.index, responseEntry(filed, base));
    else if (!result.ok) failed(entry.index, result.status, result.issues);
  }
  const inOrder = [...answers].sort(([a], [b]) => a - b).map(([, answer]) => answer);
  return ok(200, { resourceType: "Bundle", type: "batch-response", entry: inOrder });
}
