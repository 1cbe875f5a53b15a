import { createHash, randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { subjectOf } from "../../../src/ledger/commitment.ts";
import { fromBase64, fromUtf8, toBase64, utf8 } from "../../../src/platform/encoding.ts";
import { deriveKey, makeKeyring } from "../../../src/platform/keyring.ts";
import { importSealKey, open, type RandomBytes, seal } from "../../../src/platform/seal.ts";
import { makeVault } from "../../../src/workflow/vault.ts";

const random: RandomBytes = (length) => new Uint8Array(randomBytes(length));
const OLD = "old-master-key-8d1f20c3aa7e4b95";
const NEW = "new-master-key-51c09b7f3de2a846";

/** With one bit of one byte the other way. */
function flipped(sealed: string, at: number): string {
  const bytes = fromBase64(sealed);
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] ?? 0) ^ 1;
  return toBase64(bytes);
}

describe("a sealed value", () => {
  it("opens in its place under its key, and looks different every time", async () => {
    const key = await importSealKey(random(32));
    const [one, two] = [await seal(key, utf8("text"), "place", random), await seal(key, utf8("text"), "place", random)];
    expect(one).not.toBe(two);
    expect(fromUtf8(await open(key, one, "place"))).toBe("text");
    expect(fromBase64(one)).toHaveLength(12 + 4 + 16);
  });

  it("does not open elsewhere, under another key, or with any part of it changed or missing", async () => {
    const key = await importSealKey(random(32));
    const sealed = await seal(key, utf8("some text"), "place", random);
    await expect(open(key, sealed, "another place")).rejects.toThrow();
    await expect(open(await importSealKey(random(32)), sealed, "place")).rejects.toThrow();
    for (const at of [0, 11, 12, 20, -16, -1]) await expect(open(key, flipped(sealed, at), "place")).rejects.toThrow();
    await expect(open(key, toBase64(fromBase64(sealed).subarray(0, -1)), "place")).rejects.toThrow();
    await expect(open(key, "", "place")).rejects.toThrow();
    await expect(open(key, "no base64!", "place")).rejects.toThrow();
  });

  it("does not open in any form but the one it was sealed in, though it decodes to the same bytes", async () => {
    const key = await importSealKey(random(32));
    const sealed = await seal(key, utf8("four"), "place", random); // 32 bytes: one "=", and two spare bits before it
    const spare = sealed.slice(0, -2) + String.fromCharCode(sealed.charCodeAt(sealed.length - 2) + 1);
    for (const form of [sealed.slice(0, -1), ` ${sealed}`, `${sealed}\n`, `${spare}=`]) {
      expect(fromBase64(form)).toEqual(fromBase64(sealed));
      await expect(open(key, form, "place")).rejects.toThrow("one form");
    }
  });

  it("needs a key of 32 bytes", async () => {
    await expect(importSealKey(random(16))).rejects.toThrow("32 bytes, not 16");
  });
});

describe("a keyring", () => {
  it("derives a key from secret and purpose: SHA-256 over both", () => {
    const expected = createHash("sha256").update(`itrans-edge/payload\n${NEW}`).digest("hex");
    expect(Buffer.from(deriveKey(NEW, "payload")).toString("hex")).toBe(expected);
  });

  it("seals with the current key and opens what the previous one sealed", async () => {
    const before = await makeKeyring([OLD], "payload");
    const sealedBefore = await before.seal(utf8("text"), "place", random);
    const rotated = await makeKeyring([NEW, OLD], "payload");
    expect(fromUtf8(await rotated.open(sealedBefore, "place"))).toBe("text");
    const sealedAfter = await rotated.seal(utf8("text"), "place", random);
    expect(sealedAfter.keyId).toBe(rotated.currentKeyId);
    expect(sealedAfter.keyId).not.toBe(sealedBefore.keyId);
    const after = await makeKeyring([NEW], "payload");
    expect(fromUtf8(await after.open(sealedAfter, "place"))).toBe("text");
    await expect(after.open(sealedBefore, "place")).rejects.toThrow(`no key ${sealedBefore.keyId} for payload`);
  });

  it("keeps two uses of one secret apart", async () => {
    const payload = await makeKeyring([NEW], "payload");
    const destination = await makeKeyring([NEW], "destination");
    const sealed = await payload.seal(utf8("text"), "place", random);
    await expect(destination.open(sealed, "place")).rejects.toThrow("no key");
    await expect(destination.open({ ...sealed, keyId: destination.currentKeyId }, "place")).rejects.toThrow();
  });

  it("is not made of nothing", async () => {
    await expect(makeKeyring([], "payload")).rejects.toThrow("no key for payload");
  });
});

describe("the vault", () => {
  const vaultOf = async (secrets: readonly string[], scope = "main") =>
    makeVault(await makeKeyring(secrets, "payload"), scope, random);

  it("opens again what it sealed, by subject and wrapped key, also after the master key was rotated", async () => {
    const { opened, wrappedKey } = await (await vaultOf([OLD])).create("CLM-1");
    const sealed = await opened.seal("payload", "words about a person");
    const again = await (await vaultOf([NEW, OLD])).unwrap(opened.subject, wrappedKey);
    expect(await again.open("payload", sealed)).toBe("words about a person");
    expect(again.commit({ a: 1 })).toBe(opened.commit({ a: 1 }));
    await expect((await vaultOf([NEW])).unwrap(opened.subject, wrappedKey)).rejects.toThrow("no key");
  });

  it("makes the subject of the salt and the id, different for the same id each time", async () => {
    const drawn: Uint8Array[] = [];
    const watched: RandomBytes = (length) => {
      const bytes = random(length);
      drawn.push(bytes.slice());
      return bytes;
    };
    const vault = makeVault(await makeKeyring([NEW], "payload"), "main", watched);
    const { opened } = await vault.create("CLM-1");
    const [, salt = new Uint8Array(0)] = drawn;
    expect(salt).toHaveLength(32);
    expect(opened.subject).toBe(subjectOf(salt, "CLM-1"));
    expect((await vault.create("CLM-1")).opened.subject).not.toBe(opened.subject);
  });

  it("opens no ciphertext that was moved: to another part, another subject or another ledger", async () => {
    const vault = await vaultOf([NEW]);
    const [mine, theirs] = [await vault.create("CLM-1"), await vault.create("CLM-2")];
    const sealed = await mine.opened.seal("adj:0", "notes");
    await expect(mine.opened.open("adj:1", sealed)).rejects.toThrow();
    await expect(theirs.opened.open("adj:0", sealed)).rejects.toThrow();
    await expect(vault.unwrap(theirs.opened.subject, mine.wrappedKey)).rejects.toThrow();
    await expect((await vaultOf([NEW], "other")).unwrap(mine.opened.subject, mine.wrappedKey)).rejects.toThrow();
  });

  it("opens no wrapped key that was tampered with", async () => {
    const vault = await vaultOf([NEW]);
    const { opened, wrappedKey } = await vault.create("CLM-1");
    for (const at of [0, 15, 40, -1]) {
      const tampered = { ...wrappedKey, sealed: flipped(wrappedKey.sealed, at) };
      await expect(vault.unwrap(opened.subject, tampered)).rejects.toThrow();
    }
  });
});
