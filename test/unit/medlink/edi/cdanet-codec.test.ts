import { describe, expect, it } from "vitest";
import { claimMessage } from "../../../../src/medlink/edi/cdanet/cdanet.ts";
import { type CdanetMessage, decode, encode } from "../../../../src/medlink/edi/cdanet/codec.ts";
import { SAMPLE } from "./sample.ts";

const OFFICE = { prefix: "ITRANS", softwareId: "ITE", officeNumber: "0007" };

const written = (message: CdanetMessage): string => {
  const encoded = encode(message);
  if (!encoded.ok) throw new Error(`${encoded.fault.field} ${encoded.fault.rule}`);
  return encoded.text;
};

const readBack = (text: string): CdanetMessage => {
  const decoded = decode(text);
  if (!decoded.ok) throw new Error(`${decoded.fault.field} ${decoded.fault.rule}`);
  return decoded.message;
};

describe("a claim as a CDAnet message", () => {
  const text = written(claimMessage(SAMPLE, OFFICE));

  it("begins with prefix, office sequence number, version, transaction code, carrier, software and encryption", () => {
    expect(text.slice(0, 32)).toBe("ITRANS      000042040166666" + "6ITE1");
  });

  it("is 388 characters and 56 for each procedure, and says so", () => {
    expect(text.length).toBe(344 + 44 + 2 * 56);
    expect(text.slice(32, 37)).toBe("00500");
  });

  it("keeps accents in names and takes them out of identifications", () => {
    const message = readBack(
      written(claimMessage({ ...SAMPLE, coverage: { ...SAMPLE.coverage, policyNumber: "É1" } }, OFFICE)),
    );
    expect(message.fields).toMatchObject({ C06: "Bélanger", C07: "Zoé", D05: "12 rue des Érables", C01: "E1" });
  });

  it("is read back field by field", () => {
    const { code, fields, groups } = readBack(text);
    expect(code).toBe("01");
    expect(fields).toMatchObject({
      A02: "000042",
      A05: "666666",
      B01: "123456789",
      B02: "0007",
      C02: "000111222",
      C03: "1",
      C04: "F",
      C05: "19840312",
      D08: "QC",
      D09: "H2X1Y4",
      D10: "F",
      E18: "N",
      E20: "0",
      F01: "1",
      F06: "2",
    });
    expect(groups.F06).toMatchObject([
      { F07: "1", F08: "01202", F09: "20260314", F12: "005550", F16: "X" },
      { F07: "2", F08: "11101", F12: "012000" },
    ]);
  });

  it("has characters of ISO-8859-1 only, whatever a name holds", () => {
    const odd = { ...SAMPLE.patient, lastName: "Łukasz\u2019 \u{1F9B7}Ōno", firstName: "a\ud800b" };
    const message = written(claimMessage({ ...SAMPLE, patient: odd }, OFFICE));
    expect(message).toMatch(/^[\x20-\x7e\xa0-\xff]*$/);
    expect(message.length).toBe(500);
    expect(readBack(message).fields.C06).toContain("Ono");
  });

  it("cuts a name to its width, but no identification", () => {
    const long = claimMessage({ ...SAMPLE, patient: { ...SAMPLE.patient, lastName: "x".repeat(40) } }, OFFICE);
    expect(readBack(written(long)).fields.C06).toBe("x".repeat(25));
    const policy = claimMessage({ ...SAMPLE, coverage: { policyNumber: "1".repeat(13) } }, OFFICE);
    expect(encode(policy)).toEqual({ ok: false, fault: { field: "C01", rule: "too_long" } });
  });

  it("refuses what is no number, and an amount past its width", () => {
    const message = claimMessage(SAMPLE, OFFICE);
    expect(encode({ ...message, fields: { ...message.fields, A02: "4a" } })).toMatchObject({
      fault: { field: "A02", rule: "not_digits" },
    });
    const dear = claimMessage(
      { ...SAMPLE, services: [{ code: "1", description: "", quantity: 1, totalMinor: 1_000_000 }] },
      OFFICE,
    );
    expect(encode(dear)).toMatchObject({ fault: { field: "F12", rule: "too_long" } });
  });
});

describe("a pre-authorization as a CDAnet message", () => {
  it("is transaction 03, with pages, without dates of service and payee", () => {
    const { code, fields, groups } = readBack(written(claimMessage({ ...SAMPLE, type: "preauth" }, OFFICE)));
    expect(code).toBe("03");
    expect(fields).toMatchObject({ F25: "0", G46: "1", G47: "1" });
    expect(fields).not.toHaveProperty("F01");
    expect(groups.F06?.[0]).not.toHaveProperty("F09");
  });
});

const rowsOf = (count: number, row: Readonly<Record<string, string>>) => Array.from({ length: count }, () => row);

describe.each<CdanetMessage>([
  { code: "04", fields: { A01: "P", A02: "000009", A06: "ITE", B01: "1" }, groups: {} },
  {
    code: "11",
    fields: {
      A01: "P",
      A02: "000009",
      A05: "666666",
      A11: "N",
      B01: "1",
      B02: "7",
      G01: "REF1",
      G05: "R",
      G07: "NON",
      G42: "03",
      G40: "nested",
    },
    groups: { G31: rowsOf(2, { G32: "message" }), G06: rowsOf(3, { F07: "1", G08: "009" }) },
  },
  { code: "13", fields: { A01: "P", A02: "000009", A05: "666666", G05: "H", G46: "1", G47: "1" }, groups: {} },
  { code: "14", fields: { A01: "P", A02: "000009", G05: "X" }, groups: { G06: [{ G08: "001" }] } },
  {
    code: "21",
    fields: { A01: "P", A02: "000009", G01: "REF1", G28: "0012345", G55: "0012345" },
    groups: {
      F06: rowsOf(7, { F07: "1", G12: "000100", G15: "000080" }),
      G10: rowsOf(1, { G18: "1000000", G19: "99999" }),
      G11: rowsOf(12, { G41: "1", G45: "001", G26: "à payer" }),
    },
  },
  { code: "23", fields: { A01: "P", A02: "000009", G28: "0000000" }, groups: { F06: rowsOf(1, { F07: "1" }) } },
])("transaction $code", (message) => {
  it("says after writing and reading what it said before", () => {
    const again = readBack(written(message));
    expect(again.code).toBe(message.code);
    expect(again.fields).toMatchObject(message.fields);
    for (const [count, rows] of Object.entries(message.groups)) expect(again.groups).toMatchObject({ [count]: rows });
    expect(written(again)).toBe(written(message));
  });
});

describe("reading a message", () => {
  const text = written(claimMessage(SAMPLE, OFFICE));
  it.each([
    ["that is cut short", text.slice(0, -1), "too_short"],
    ["with more behind it", `${text}rest`, "left_over"],
    ["of version 2", `${text.slice(0, 18)}02${text.slice(20)}`, "wrong_version"],
    ["of a code that is none", `${text.slice(0, 20)}77${text.slice(22)}`, "unknown_code"],
    ["whose length is not what it says", `${text.slice(0, 32)}00501${text.slice(37)}`, "wrong_length"],
    ["with a letter among digits", `${text.slice(0, 12)}00004x${text.slice(18)}`, "not_digits"],
    ["that counts more procedures than it has", text.replace("0200", "0900"), "too_short"],
    ["that is empty", "", "too_short"],
  ])("refuses one %s", (_, spoiled, rule) => {
    expect(decode(spoiled)).toMatchObject({ ok: false, fault: { rule } });
  });

  it("takes spaces at the end, as some networks send them", () => {
    expect(decode(`${text}\r\n`)).toMatchObject({ ok: true });
  });

  it("never throws, whatever one character becomes", () => {
    for (let at = 0; at < text.length; at++) decode(`${text.slice(0, at)}9${text.slice(at + 1)}`);
  });
});
