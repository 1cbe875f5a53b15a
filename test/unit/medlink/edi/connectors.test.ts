import { describe, expect, it } from "vitest";
import { makeCdanet } from "../../../../src/medlink/edi/cdanet/cdanet.ts";
import { encode } from "../../../../src/medlink/edi/cdanet/codec.ts";
import type { EdiConnector, Outgoing, Prepared } from "../../../../src/medlink/edi/connector.ts";
import { ediModeOf, ediUrlFault, hostsOf } from "../../../../src/medlink/edi/destination.ts";
import { eclaims } from "../../../../src/medlink/edi/eclaims.ts";
import { farSideOf } from "../../../../src/medlink/edi/far-side.ts";
import { portal } from "../../../../src/medlink/edi/portal.ts";
import { type SandboxClaim, takeClaim } from "../../../../src/medlink/edi/sandbox.ts";
import { SAMPLE } from "./sample.ts";

const cdanet = makeCdanet({ prefix: "P", softwareId: "ITE", officeNumber: "0007" });
const CONNECTORS: readonly EdiConnector[] = [cdanet, eclaims, portal];
const REFERENCE = { transactionId: SAMPLE.transactionId, reference: SAMPLE.reference, licenceNumber: "123456789" };
const NOW = 1_800_000_000_000;

const outgoing = (prepared: Prepared): Outgoing => {
  if (!prepared.ok) throw new Error(prepared.code);
  return prepared.outgoing;
};

function taken(
  connector: EdiConnector,
  decision: SandboxClaim["decision"],
  type: "claim" | "preauth" = "claim",
): SandboxClaim {
  const request = farSideOf(connector.name).read(outgoing(connector.submit({ ...SAMPLE, type })).message);
  if (request.type !== "submit") throw new Error(request.type);
  const policy = { seed: "", errorPercent: 0, refusalPercent: 0, latencyMs: 0, adjudicationMs: 1_000 };
  const fate = { delivery: "answered", latencyMs: 0, decision } as const;
  return takeClaim(request.submission, {
    connector: connector.name,
    clinicId: "c",
    sequence: 5,
    fate,
    policy,
    now: NOW,
  });
}

/** What the connector makes of the network's answer. */
function heard(connector: EdiConnector, sent: Outgoing, claim: SandboxClaim, now: number) {
  const answer = farSideOf(connector.name).write(sent.message, { type: "claim", claim }, now);
  return sent.read(answer);
}

describe.each(CONNECTORS)("the connector $name", (connector) => {
  const submission = outgoing(connector.submit(SAMPLE));
  const question = outgoing(connector.status(REFERENCE));

  it("is understood by the other side: kind, amounts, currency", () => {
    expect(taken(connector, "approved")).toMatchObject({ claimType: "claim", lines: [5_550, 12_000], currency: "CAD" });
    expect(taken(connector, "approved", "preauth")).toMatchObject({ claimType: "preauth" });
  });

  it("reads an acknowledgement and the carrier's reference", () => {
    expect(heard(connector, submission, taken(connector, "approved"), NOW).finding).toEqual({
      type: "acknowledged",
      carrierReference: "SBX000000005",
    });
  });

  it.each(["claim", "preauth"] as const)("reads the decision on a %s, and what is paid", (type) => {
    const later = NOW + 1_000;
    const finding = (decision: SandboxClaim["decision"]) =>
      heard(connector, question, taken(connector, decision, type), later).finding;
    expect(finding("approved")).toMatchObject({ type: "adjudicated", decision: "approved", benefitMinor: 17_550 });
    expect(finding("partial")).toMatchObject({ type: "adjudicated", decision: "partial", benefitMinor: 14_040 });
    expect(finding("denied")).toMatchObject({ type: "adjudicated", decision: "denied", benefitMinor: 0 });
  });

  it("reads a rejection as a closed code", () => {
    const { finding } = heard(connector, submission, taken(connector, "rejected"), NOW);
    expect(finding).toEqual({ type: "rejected", code: expect.stringMatching(/^[a-z]+_[A-Za-z0-9]+$/) });
  });

  it("knows nothing after an answer that it can not read, and does not take it for a refusal", () => {
    for (const text of ["", "<html>", "{}", "[]", "null"]) {
      expect(submission.read({ status: 200, text }).finding).toEqual({ type: "unknown", code: "unreadable_answer" });
    }
  });

  it("tells what was not taken from what may have been, by status", () => {
    const types = [301, 401, 404, 429, 503, 408, 500, 502, 504, 400, 422].map(
      (status) => submission.read({ status, text: "" }).finding.type,
    );
    expect(types).toEqual([
      ...["notTaken", "notTaken", "notTaken", "notTaken", "notTaken", "unknown", "unknown", "unknown", "unknown"],
      ...["rejected", "rejected"],
    ]);
  });

  it("never takes a question's failure for a decision", () => {
    for (const status of [301, 400, 401, 409, 422, 500, 503]) {
      expect(question.read({ status, text: "" }).finding.type).toBe("notTaken");
    }
  });

  it("puts no personal value into a path or an idempotency key", () => {
    const acknowledged = connector.acknowledge?.(REFERENCE);
    for (const each of [submission, question, ...(acknowledged === undefined ? [] : [outgoing(acknowledged)])]) {
      const { path, idempotencyKey } = each.message;
      expect(path + idempotencyKey).not.toMatch(/Zo|langer|9990|0001112|1984/);
    }
  });

  it("names what a carrier wants and the claim lacks", () => {
    expect(connector.gaps(SAMPLE)).toEqual([]);
    const bare = { ...SAMPLE, coverage: {}, patient: { ...SAMPLE.patient, birthDate: undefined } };
    expect(connector.gaps(bare)).toEqual(expect.arrayContaining(["patient.birthDate", "coverage.policyNumber"]));
  });
});

describe("CDAnet", () => {
  it("has no place for other currencies, more than seven procedures, longer codes or dearer ones", () => {
    const [first] = SAMPLE.services;
    if (first === undefined) throw new Error("no service");
    expect(cdanet.obstacles(SAMPLE)).toEqual([]);
    expect(cdanet.obstacles({ ...SAMPLE, currency: "USD" })).toEqual(["currency"]);
    expect(cdanet.obstacles({ ...SAMPLE, services: Array.from({ length: 8 }, () => first) })).toEqual(["codes"]);
    expect(cdanet.obstacles({ ...SAMPLE, services: [{ ...first, code: "011234" }] })).toEqual(["codes"]);
    expect(cdanet.obstacles({ ...SAMPLE, services: [{ ...first, totalMinor: 1_000_000 }] })).toEqual(["amount"]);
  });

  it("says which transaction an answer out of the mailbox is about", () => {
    const claim = { ...taken(cdanet, "approved"), reference: 77 };
    expect(heard(cdanet, outgoing(cdanet.status(REFERENCE)), claim, NOW + 1_000)).toMatchObject({
      about: 77,
      messageType: "21",
    });
  });

  it("reads an empty mailbox as nothing yet, never as unknown to the network", () => {
    const question = outgoing(cdanet.status(REFERENCE));
    const answer = farSideOf("cdanet").write(question.message, { type: "none" }, NOW);
    expect(question.read(answer)).toMatchObject({ about: undefined, messageType: "14", finding: { type: "nothing" } });
  });

  it("reads a carrier that wants paper as a rejection", () => {
    const encoded = encode({ code: "11", fields: { A02: "42", G05: "M" }, groups: {} });
    const text = encoded.ok ? encoded.text : "";
    expect(outgoing(cdanet.submit(SAMPLE)).read({ status: 200, text }).finding).toEqual({
      type: "rejected",
      code: "paper_required",
    });
  });
});

describe("the networks that speak JSON", () => {
  it.each([eclaims, portal])("$name does not take an answer about another transaction", (connector) => {
    const other = { ...taken(connector, "approved"), transactionId: "edi_other" };
    expect(heard(connector, outgoing(connector.submit(SAMPLE)), other, NOW).finding).toEqual({
      type: "unknown",
      code: "unreadable_answer",
    });
  });

  it.each([eclaims, portal])("$name reads 404 to a question as not known there", (connector) => {
    const question = outgoing(connector.status(REFERENCE));
    expect(question.read({ status: 404, text: "" }).finding).toEqual({ type: "notFound" });
  });
});

describe("where messages may go", () => {
  const allowed = hostsOf("edi.network.ca, Claims.example.com  portal.insurer.ca");

  it.each([
    ["https://edi.network.ca/cdanet", undefined],
    ["https://claims.example.com", undefined],
    [undefined, "url_not_set"],
    ["https://other.network.ca", "host_not_allowed"],
    ["https://sub.edi.network.ca", "host_not_allowed"],
    ["https://edi.network.ca.evil.example", "host_not_allowed"],
    ["http://edi.network.ca", "url_not_allowed"],
    ["https://user:secret@edi.network.ca", "url_not_allowed"],
    ["https://10.0.0.1", "url_not_allowed"],
    ["https://[::1]", "url_not_allowed"],
    ["https://0x7f000001", "url_not_allowed"],
    ["https://localhost", "url_not_allowed"],
    ["https://edi.internal", "url_not_allowed"],
  ])("%s: %s", (url, fault) => {
    expect(ediUrlFault(url, [...allowed, "10.0.0.1", "[::1]", "127.0.0.1", "localhost"], "production")).toBe(fault);
  });

  it("goes to production with both switches only, and with one alone nowhere", () => {
    expect(ediModeOf({ EDI_MODE: "sandbox", EDI_PRODUCTION_ENABLED: false })).toBe("sandbox");
    expect(ediModeOf({ EDI_MODE: "sandbox", EDI_PRODUCTION_ENABLED: true })).toBe("sandbox");
    expect(ediModeOf({ EDI_MODE: "production", EDI_PRODUCTION_ENABLED: false })).toBe("refused");
    expect(ediModeOf({ EDI_MODE: "production", EDI_PRODUCTION_ENABLED: true })).toBe("production");
  });
});
