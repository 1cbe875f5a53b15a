import { describe, expect, it } from "vitest";
import { formatTextProof, parseBundle, parseTextProof } from "../../../src/ledger/bundle.ts";

const hashes = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
const checkpoint = "example.com/log\n3\nAAAA\n\n— example.com/log AAAA\n";

describe("the text form of a proof", () => {
  it("is header, index, hashes, a blank line and the checkpoint, verbatim", () => {
    const text = formatTextProof({ index: 2, hashes, checkpoint });
    expect(text).toBe(
      `c2sp.org/tlog-proof@v1\nindex 2\n${Buffer.from(hashes[0] ?? "").toString("base64")}\n${Buffer.from(hashes[1] ?? "").toString("base64")}\n\n${checkpoint}`,
    );
    expect(parseTextProof(text)).toEqual({ index: 2, hashes, checkpoint });
  });

  it("holds no hash in a tree of one entry", () => {
    const text = formatTextProof({ index: 0, hashes: [], checkpoint });
    expect(parseTextProof(text)).toEqual({ index: 0, hashes: [], checkpoint });
  });

  it("is read with an extra line, and refused in any other form", () => {
    const text = formatTextProof({ index: 2, hashes, checkpoint });
    expect(parseTextProof(text.replace("index", "extra AAAA\nindex"))).toEqual({ index: 2, hashes, checkpoint });
    for (const broken of [
      text.replace("@v1", "@v2"),
      text.replace("index 2", "index 02"),
      text.replace("index 2\n", ""),
      text.replace("AQEB", "AQ"),
      text.slice(0, 20),
    ]) {
      expect(parseTextProof(broken)).toBeUndefined();
    }
  });
});

it("a value of another form is no bundle", () => {
  expect(parseBundle({})).toBeUndefined();
  expect(parseBundle(null)).toBeUndefined();
});
