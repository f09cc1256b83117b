import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  appendLeaf,
  cloneFrontier,
  consistencyProof,
  createFrontier,
  emptyRoot,
  frontierRoot,
  frontierSize,
  inclusionProof,
  leafHash,
  nodeHash,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from "./merkle.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const unhex = (text: string): Uint8Array => Buffer.from(text, "hex");

/** The tree that Certificate Transparency's reference implementation and its ports test against. */
const INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];
const LEAVES = INPUTS.map((input) => leafHash(unhex(input)));

/** RFC 6962, section 2.1, word for word. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return createHash("sha256").digest();
  if (leaves.length === 1) return leaves[0] as Uint8Array;
  const k = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return nodeHash(naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k)));
}

const numbered = (n: number): Uint8Array[] =>
  Array.from({ length: n }, (_, i) => leafHash(Buffer.from(`leaf ${i}`, "utf8")));

describe("the reference tree", () => {
  it.each(ROOTS.map((root, size) => [size, root] as const))("of %i leaves has its published root", (size, root) => {
    expect(hex(rootOf(LEAVES.slice(0, size)))).toBe(root);
    const frontier = createFrontier();
    for (const leaf of LEAVES.slice(0, size)) appendLeaf(frontier, leaf);
    expect(hex(frontierRoot(frontier))).toBe(root);
    expect(frontierSize(frontier)).toBe(size);
  });

  it("has the published empty root, and leaves that are no nodes", () => {
    expect(hex(emptyRoot())).toBe(ROOTS[0]);
    expect(hex(leafHash(Buffer.concat([LEAVES[0] as Uint8Array, LEAVES[1] as Uint8Array])))).not.toBe(ROOTS[2]);
  });

  it.each([
    [0, 1, []],
    [
      0,
      8,
      [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
      ],
    ],
    [
      5,
      8,
      [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      ],
    ],
  ])("has the published path of leaf %i of %i", (index, size, path) => {
    const proof = inclusionProof(LEAVES, index, size);
    expect(proof.map(hex)).toEqual(path);
    const leaf = LEAVES[index] as Uint8Array;
    expect(verifyInclusion({ leaf, index, size, proof, root: unhex(ROOTS[size] as string) })).toBe(true);
  });

  it.each([
    [1, 1, []],
    [
      1,
      8,
      [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
      ],
    ],
    [
      6,
      8,
      [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
      ],
    ],
    [
      2,
      5,
      [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
      ],
    ],
  ])("has the published consistency proof of %i to %i", (oldSize, newSize, path) => {
    const proof = consistencyProof(LEAVES, oldSize, newSize);
    expect(proof.map(hex)).toEqual(path);
    const [oldRoot, newRoot] = [unhex(ROOTS[oldSize] as string), unhex(ROOTS[newSize] as string)];
    expect(verifyConsistency({ oldSize, newSize, proof, oldRoot, newRoot })).toBe(true);
  });
});

describe("every tree", () => {
  it("has the root of the recursive definition, whether built at once or leaf by leaf", () => {
    const frontier = createFrontier();
    const leaves = numbered(300);
    for (let size = 0; size <= leaves.length; size++) {
      const root = hex(naiveRoot(leaves.slice(0, size)));
      expect(hex(rootOf(leaves.slice(0, size)))).toBe(root);
      expect(hex(frontierRoot(frontier))).toBe(root);
      const bits = size.toString(2).replaceAll("0", "").length;
      expect(frontier.hashes).toHaveLength(bits);
      if (size < leaves.length) appendLeaf(frontier, leaves[size] as Uint8Array);
    }
  });

  it("proves every leaf and every smaller tree, and nothing else", () => {
    const leaves = numbered(40);
    const roots = Array.from({ length: 41 }, (_, n) => naiveRoot(leaves.slice(0, n)));
    for (let size = 1; size <= 40; size++) {
      const root = roots[size] as Uint8Array;
      for (let index = 0; index < size; index++) {
        const proof = inclusionProof(leaves, index, size);
        for (let claimed = 0; claimed <= size; claimed++) {
          const leaf = leaves[claimed] ?? (leaves[0] as Uint8Array);
          const holds = verifyInclusion({ leaf, index: claimed, size, proof, root });
          expect(holds).toBe(claimed === index);
        }
      }
      for (let oldSize = 0; oldSize <= size; oldSize++) {
        const proof = consistencyProof(leaves, oldSize, size);
        for (let claimed = 0; claimed <= size; claimed++) {
          const oldRoot = roots[claimed] as Uint8Array;
          const claim = { oldSize: claimed, newSize: size, proof, oldRoot, newRoot: root };
          const trivial = proof.length === 0 && (claimed === 0 || claimed === size);
          expect(verifyConsistency(claim)).toBe(claimed === oldSize || trivial);
        }
      }
    }
  });

  const trees = fc
    .integer({ min: 2, max: 200 })
    .chain((size) => fc.record({ size: fc.constant(size), index: fc.nat(size - 1), bit: fc.nat(255), at: fc.nat(9) }));

  it("refuses a proof with any bit flipped, cut or grown", () => {
    fc.assert(
      fc.property(trees, ({ size, index, bit, at }) => {
        const leaves = numbered(size);
        const root = rootOf(leaves);
        const flip = (proof: Uint8Array[]): Uint8Array[] => {
          const changed = proof.map((hash) => Uint8Array.from(hash));
          const hash = changed[at % proof.length] as Uint8Array;
          hash[bit >> 3] = (hash[bit >> 3] as number) ^ (1 << (bit & 7));
          return changed;
        };
        const wrong = (proof: Uint8Array[]) => [flip(proof), proof.slice(1), proof.slice(0, -1), [...proof, root]];
        const proof = inclusionProof(leaves, index, size);
        const leaf = leaves[index] as Uint8Array;
        expect(verifyInclusion({ leaf, index, size, proof, root })).toBe(true);
        for (const other of wrong(proof)) {
          expect(verifyInclusion({ leaf, index, size, proof: other, root })).toBe(false);
        }
        const oldSize = index + 1;
        if (oldSize === size) return;
        const step = consistencyProof(leaves, oldSize, size);
        const claim = { oldSize, newSize: size, oldRoot: rootOf(leaves.slice(0, oldSize)), newRoot: root };
        expect(verifyConsistency({ ...claim, proof: step })).toBe(true);
        for (const other of wrong(step)) expect(verifyConsistency({ ...claim, proof: other })).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it("is not proven by a path too short or too long for its size, nor from another old root", () => {
    const [a, b] = numbered(2) as [Uint8Array, Uint8Array];
    expect(verifyInclusion({ leaf: a, index: 0, size: 2, proof: [], root: a })).toBe(false);
    expect(verifyInclusion({ leaf: a, index: 0, size: 1, proof: [b], root: nodeHash(b, a) })).toBe(false);
    const leaves = numbered(5);
    const claim = { oldSize: 3, newSize: 5, proof: consistencyProof(leaves, 3, 5), newRoot: rootOf(leaves) };
    expect(verifyConsistency({ ...claim, oldRoot: rootOf(leaves.slice(0, 3)) })).toBe(true);
    expect(verifyConsistency({ ...claim, oldRoot: a })).toBe(false);
  });

  it("never throws at a claim, whatever its numbers and hashes", () => {
    const number = fc.oneof(fc.integer({ min: -2, max: 20 }), fc.double(), fc.constant(2 ** 53), fc.constant(2 ** 40));
    const hash = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 32, maxLength: 32 }));
    fc.assert(
      fc.property(number, number, fc.array(hash, { maxLength: 60 }), hash, hash, (a, b, proof, one, two) => {
        expect(verifyInclusion({ leaf: one, index: a, size: b, proof, root: two })).toBe(false);
        const claim = { oldSize: a, newSize: b, proof, oldRoot: one, newRoot: two };
        const counts = [a, b].every((n) => Number.isSafeInteger(n) && n >= 0) && a <= b;
        const nothingToProve = a === b ? hex(one) === hex(two) : a === 0;
        expect(verifyConsistency(claim)).toBe(counts && proof.length === 0 && nothingToProve);
      }),
    );
  });

  it("refuses to prove what is not there", () => {
    const leaves = numbered(4);
    expect(() => inclusionProof(leaves, 4, 4)).toThrow(RangeError);
    expect(() => inclusionProof(leaves, 0, 5)).toThrow(RangeError);
    expect(() => inclusionProof(leaves, -1, 4)).toThrow(RangeError);
    expect(() => consistencyProof(leaves, 3, 2)).toThrow(RangeError);
    expect(() => consistencyProof(leaves, 2, 5)).toThrow(RangeError);
  });

  it("grows apart from its clone", () => {
    const frontier = createFrontier();
    for (const leaf of numbered(5)) appendLeaf(frontier, leaf);
    const before = hex(frontierRoot(frontier));
    const clone = cloneFrontier(frontier);
    for (const leaf of numbered(3)) appendLeaf(clone, leaf);
    expect(hex(frontierRoot(frontier))).toBe(before);
    expect([frontierSize(frontier), frontierSize(clone)]).toEqual([5, 8]);
  });
});
