/** What this server does, as a CapabilityStatement (FHIR R4). The interactions are also what a test holds the routes against. */
import { VERSION } from "../../platform/version.ts";
import { FHIR_JSON } from "./outcome.ts";

interface Interaction {
  /** Undefined: of the whole server. */
  readonly type?: "Claim" | "ClaimResponse";
  readonly code: "read" | "create" | "search-type" | "transaction" | "batch" | "capabilities";
  readonly method: "get" | "post";
  readonly path: string;
}

export const INTERACTIONS: readonly Interaction[] = [
  { code: "capabilities", method: "get", path: "/fhir/metadata" },
  { code: "transaction", method: "post", path: "/fhir" },
  { code: "batch", method: "post", path: "/fhir" },
  { type: "Claim", code: "create", method: "post", path: "/fhir/Claim" },
  { type: "Claim", code: "read", method: "get", path: "/fhir/Claim/{id}" },
  { type: "ClaimResponse", code: "read", method: "get", path: "/fhir/ClaimResponse/{id}" },
  { type: "ClaimResponse", code: "search-type", method: "get", path: "/fhir/ClaimResponse" },
];

const of = (type: "Claim" | "ClaimResponse" | undefined) =>
  INTERACTIONS.filter((each) => each.type === type && each.code !== "capabilities").map(({ code }) => ({ code }));

/** @param base such as `https://hub.example/fhir`. @param date RFC 3339, of this description. */
export const capabilityStatement = (base: string, date: string) => ({
  resourceType: "CapabilityStatement",
  status: "active",
  date,
  kind: "instance",
  software: { name: "MedLink hub", version: VERSION.version },
  implementation: { description: "Claims and preauthorizations of a clinic", url: base },
  fhirVersion: "4.0.1",
  format: [FHIR_JSON, "json"],
  rest: [
    {
      mode: "server",
      security: {
        description: "A session of the hub, or an API token as Bearer. Everything is the caller's clinic's.",
      },
      resource: [
        {
          type: "Claim",
          profile: "http://hl7.org/fhir/StructureDefinition/Claim",
          documentation:
            "A claim with an identifier is filed once: the same again answers 200 with the first one, another content 409.",
          interaction: of("Claim"),
          versioning: "versioned",
          readHistory: false,
          updateCreate: false,
          conditionalCreate: true,
          referencePolicy: ["literal", "local"],
        },
        {
          type: "ClaimResponse",
          profile: "http://hl7.org/fhir/StructureDefinition/ClaimResponse",
          interaction: of("ClaimResponse"),
          versioning: "versioned",
          readHistory: false,
          referencePolicy: ["literal", "local"],
          searchParam: [
            {
              name: "request",
              definition: "http://hl7.org/fhir/SearchParameter/ClaimResponse-request",
              type: "reference",
              documentation: "The claim; needed.",
            },
          ],
        },
      ],
      interaction: of(undefined),
    },
  ],
});
