import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../definition/sample.ts";
import { joinShares, keyShare, sealAnswer, sealCandidate } from "./release-seal.ts";
import { SealBroken } from "./seal.ts";
import { decodeSealedCopy, encodeSealedCopy, openSealedCopy } from "./sealed-copy.ts";
import { vaultOf } from "./vault-fixture.ts";

const vault = vaultOf(sampleDefinition());
const id = { number: 3, size: 120 };
const keyOf = (of: typeof id) => joinShares(keyShare(vault, "tabulate", of), keyShare(vault, "recount", of));
const document = '{"figures":"žluťoučký"}';
const copy = {
  ...id,
  candidate: sealCandidate(vault, id, { release: document, signature: "a..b" }),
  answer: sealAnswer(vault, id, { agrees: true, signature: "c..d" }),
};
const bytes = encodeSealedCopy(copy);

describe("a sealed copy", () => {
  it("opens with the key of its number and size to the very bytes, and to nothing else", () => {
    const opened = openSealedCopy(decodeSealedCopy(bytes)!, keyOf(id));
    expect(opened.bytes.toString("utf8")).toBe(document);
    expect(JSON.parse(opened.signatures)).toEqual({
      signatures: [
        { protected: "a", signature: "b" },
        { protected: "c", signature: "d" },
      ],
    });
    for (const of of [
      { ...id, number: 4 },
      { ...id, size: 121 },
    ])
      expect(() => openSealedCopy(copy, keyOf(of))).toThrow(SealBroken);
    expect(() => openSealedCopy(copy, keyOf(id).subarray(1))).toThrow(SealBroken);
  });

  it("is as long whether the second count agrees or not, and opens only if it does", () => {
    const differs = { ...copy, answer: sealAnswer(vault, id, { agrees: false, differs: "states[3].votes" }) };
    expect(encodeSealedCopy(differs)).toHaveLength(bytes.length);
    expect(() => openSealedCopy(differs, keyOf(id))).toThrow("the second count did not find it");
  });

  it("is whole, or none", () => {
    expect(decodeSealedCopy(bytes)).toEqual({
      ...copy,
      candidate: Buffer.from(copy.candidate),
      answer: Buffer.from(copy.answer),
    });
    expect(decodeSealedCopy(Buffer.concat([bytes, Buffer.of(0)]))).toBeUndefined();
    for (let length = 0; length <= 41; length++) expect(decodeSealedCopy(bytes.subarray(0, length))).toBeUndefined();
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), (length) => decodeSealedCopy(bytes.subarray(0, length)) === undefined),
    );
  });

  it("with any byte changed does not open", () => {
    const at = fc.oneof(
      fc.nat(60),
      fc.nat(bytes.length - 1),
      fc.integer({ min: bytes.length - 20, max: bytes.length - 1 }),
    );
    fc.assert(
      fc.property(at, fc.integer({ min: 1, max: 255 }), (place, change) => {
        const changed = Buffer.from(bytes);
        changed[place] = (changed[place] as number) ^ change;
        const read = decodeSealedCopy(changed);
        if (read === undefined) return;
        expect(() => openSealedCopy(read, keyOf(id))).toThrow(SealBroken);
      }),
      { numRuns: 200 },
    );
  });
});
