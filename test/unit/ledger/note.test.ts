import { describe, expect, it } from "vitest";
import { openCheckpoint, originOfUrl, parseCheckpointText, signCheckpoint } from "../../../src/ledger/checkpoint.ts";
import { importSigningKey, parseSeed } from "../../../src/ledger/ed25519.ts";
import {
  formatNote,
  formatVerifierKey,
  makeCosigner,
  makeSigner,
  openNote,
  parseNote,
  parseVerifierKey,
  signNote,
  type VerifierKey,
} from "../../../src/ledger/note.ts";
import { fromBase64, toBase64 } from "../../../src/platform/encoding.ts";
import vectors from "../../vectors/signed-note.json" with { type: "json" };

const keyOf = (text: string): VerifierKey => {
  const key = parseVerifierKey(text);
  if (key === undefined) throw new Error(`${text} is no verifier key`);
  return key;
};
const seedOf = (signerKey: string): Uint8Array => fromBase64(signerKey.split("+").slice(4).join("+")).slice(1);
const signerNamed = async (name: string, fill: number) =>
  makeSigner(name, await importSigningKey(new Uint8Array(32).fill(fill)));

describe("signed notes", () => {
  for (const { verifierKey, signerKey, text, signatureLine } of vectors.notes) {
    const note = `${text}\n${signatureLine}\n`;
    const key = keyOf(verifierKey);

    it(`the note of ${key.name} verifies and its key is written back the same`, async () => {
      expect(await openNote(note, [key])).toMatchObject({ type: "verified", note: { text } });
      expect(formatVerifierKey(key)).toBe(verifierKey);
      const parsed = parseNote(note);
      expect(parsed && formatNote(parsed)).toBe(note);
    });

    if (signerKey !== undefined) {
      it(`the signer key of ${key.name} gives the same key and signature`, async () => {
        const signer = makeSigner(key.name, await importSigningKey(seedOf(signerKey)));
        expect(formatVerifierKey(signer.key)).toBe(verifierKey);
        expect(await signNote(text, [signer])).toBe(note);
      });
    }

    it(`the note of ${key.name} is refused with one letter changed`, async () => {
      expect(await openNote(note.replace("i", "I"), [key])).toMatchObject({ type: "bad-signature" });
    });
  }

  it("are split at the last blank line", async () => {
    const signer = await signerNamed("example.com/log", 1);
    const note = await signNote("first\n\nsecond\n", [signer]);
    expect(await openNote(note, [signer.key])).toMatchObject({ type: "verified", note: { text: "first\n\nsecond\n" } });
  });

  it("ignore signatures of unknown keys, also when name or key id is that of a known one", async () => {
    const known = await signerNamed("example.com/log", 1);
    const namesake = await signerNamed("example.com/log", 2);
    const stranger = await signerNamed("example.com/other", 3);
    const note = await signNote("text\n", [namesake, stranger, known]);
    const opened = await openNote(note, [known.key]);
    expect(opened).toMatchObject({ type: "verified", keys: [known.key] });
    expect(await openNote(await signNote("text\n", [stranger]), [known.key])).toEqual({ type: "unsigned" });
  });

  it("are refused as a whole when one known key fails, whatever the others say", async () => {
    const [first, second] = [await signerNamed("example.com/a", 1), await signerNamed("example.com/b", 2)];
    const parsed = parseNote(await signNote("text\n", [first, second]));
    if (parsed === undefined) throw new Error("no note");
    const [good, bad] = parsed.signatures;
    if (good === undefined || bad === undefined) throw new Error("no signatures");
    const forged = { ...parsed, signatures: [good, { ...bad, signature: good.signature }] };
    expect(await openNote(formatNote(forged), [first.key, second.key])).toMatchObject({ type: "bad-signature" });
  });

  it("are accepted with sixteen signatures", async () => {
    const signers = await Promise.all(Array.from({ length: 16 }, (_, i) => signerNamed(`example.com/${i}`, i)));
    const note = await signNote("text\n", signers);
    const opened = await openNote(
      note,
      signers.map(({ key }) => key),
    );
    expect(opened.type === "verified" && opened.keys).toHaveLength(16);
  });

  it("of another form are no notes", async () => {
    const note = await signNote("text\n", [await signerNamed("example.com/log", 1)]);
    const broken = [
      "",
      "text\n",
      note.slice(0, -1),
      note.replace("—", "-"),
      note.replace("text\n\n", "text\n"),
      note.replace("text", "te\txt"),
      note.replace("example.com/log ", "example.com/log  "),
      note.replace("example.com/log ", "example.com/+log "),
      `${note}\n`,
      `${note}— \n`,
      `${note}— name AAAA\n`,
      `${note}— name AAAAAB==\n`, // not the canonical base64 of its bytes
    ];
    for (const text of broken) expect(parseNote(text)).toBeUndefined();
  });

  it("verifier keys of another form are refused", () => {
    const [good = ""] = vectors.notes.map(({ verifierKey }) => verifierKey);
    const broken = [
      good.replace("+c74f20a3+", "+c74f20a4+"),
      good.replace("PeterNeumann", "Peter Neumann"),
      good.slice(0, -4),
      "a+b",
      "",
    ];
    for (const text of broken) expect(parseVerifierKey(text)).toBeUndefined();
  });
});

describe("cosignatures", () => {
  const text = "example.com/log\n5\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

  it("verify beside the log's signature and carry their time", async () => {
    const log = await signerNamed("example.com/log", 1);
    const witness = makeCosigner(
      "witness.example/w1",
      await importSigningKey(new Uint8Array(32).fill(2)),
      () => 1_679_315_147,
    );
    const note = await signNote(text, [log, witness]);
    expect(keyOf(formatVerifierKey(witness.key))).toEqual(witness.key);
    expect(await openNote(note, [log.key, witness.key])).toMatchObject({
      type: "verified",
      keys: [log.key, witness.key],
    });
    const signature = parseNote(note)?.signatures[1]?.signature ?? new Uint8Array();
    expect(signature).toHaveLength(72);
    expect(toBase64(signature.slice(0, 8))).toBe(toBase64(Uint8Array.of(0, 0, 0, 0, 0x64, 0x18, 0x50, 0xcb)));
  });

  it("fail when their time is changed", async () => {
    const witness = makeCosigner("witness.example/w1", await importSigningKey(new Uint8Array(32).fill(2)), () => 7);
    const parsed = parseNote(await signNote(text, [witness]));
    const [line] = parsed?.signatures ?? [];
    if (parsed === undefined || line === undefined) throw new Error("no note");
    const later = { ...line, signature: line.signature.map((byte, i) => (i === 7 ? 8 : byte)) };
    expect(await openNote(formatNote({ ...parsed, signatures: [later] }), [witness.key])).toMatchObject({
      type: "bad-signature",
    });
  });
});

describe("checkpoints", () => {
  const root = Uint8Array.from({ length: 32 }, (_, i) => i);

  it("are signed by every key of an overlap, and open with either alone", async () => {
    const [current, previous] = [await signerNamed("example.com/log", 1), await signerNamed("example.com/log", 2)];
    const checkpoint = { origin: "example.com/log", size: 2 ** 33, root };
    const note = await signCheckpoint(checkpoint, [current, previous]);
    for (const { key } of [current, previous]) {
      expect(await openCheckpoint(note, [key])).toMatchObject({ type: "verified", checkpoint });
    }
  });

  it("are refused under another name than the key's", async () => {
    const signer = await signerNamed("example.com/log", 1);
    await expect(signCheckpoint({ origin: "example.com/b", size: 1, root }, [signer])).rejects.toThrow(RangeError);
    const note = await signNote(`example.com/b\n1\n${toBase64(root)}\n`, [signer]);
    expect(await openCheckpoint(note, [signer.key])).toMatchObject({ type: "refused" });
  });

  it("of another form are refused", () => {
    const good = `example.com/log\n10\n${toBase64(root)}\n`;
    expect(parseCheckpointText(good)).toEqual({ origin: "example.com/log", size: 10, root });
    expect(parseCheckpointText(`${good}extension\n`)).toMatchObject({ size: 10 });
    const broken = [
      good.slice(0, -1),
      good.replace("10", "010"),
      good.replace("10", "-1"),
      good.replace("10", "9007199254740992"),
      good.replace("=\n", "\n"),
      good.replace("example.com/log", ""),
      `${good}\n`,
    ];
    for (const text of broken) expect(parseCheckpointText(text)).toBeUndefined();
  });

  it("origins are URLs without scheme and trailing slash", () => {
    expect(originOfUrl("https://ledger.example/ledger/log/")).toBe("ledger.example/ledger/log");
  });
});

it("a seed is 43 characters of base64url and nothing else", () => {
  expect(parseSeed("A".repeat(43))).toEqual(new Uint8Array(32));
  for (const text of ["", "A".repeat(42), "A".repeat(44), `${"A".repeat(42)}=`, `${"A".repeat(42)}+`]) {
    expect(parseSeed(text)).toBeUndefined();
  }
});
