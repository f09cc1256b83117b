import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as ours from "../../../shared/ledger/merkle.ts";
import { createTileTree, tilePath, tilesOf, widthAt } from "../../../shared/ledger/tiles.ts";
import { load } from "./fixture.ts";

/** The page's Merkle code, which runs in Node unchanged, gives the verdicts of shared/ledger. */

type Get = (path: string) => Promise<{ status: number; bytes: Uint8Array }>;
interface Head {
  size: number;
  root: Uint8Array;
}
interface Merkle {
  leafHash(entry: Uint8Array): Promise<Uint8Array>;
  nodeHash(left: Uint8Array, right: Uint8Array): Promise<Uint8Array>;
  verifyInclusion(claim: ours.InclusionClaim): Promise<boolean>;
  verifyConsistency(claim: ours.ConsistencyClaim): Promise<boolean>;
}
interface Tiles {
  tilePath(level: number, index: number, width: number): string;
  hashesOf(size: number, get: Get): (level: number, position: number) => Promise<Uint8Array>;
  consistencyProof(oldSize: number, newSize: number, hashAt: ReturnType<Tiles["hashesOf"]>): Promise<Uint8Array[]>;
  isSameLog(one: Head, other: Head, get: Get): Promise<boolean>;
}

const merkle = (await load("merkle.js")) as Merkle;
const tiles = (await load("tiles.js")) as Tiles;

const hash = (n: number) => ours.leafHash(Buffer.from(`leaf ${n}`));
const leaves = Array.from({ length: 600 }, (_, n) => hash(n));
const sizes = fc.integer({ min: 1, max: 130 });
const someHash = fc.integer({ min: 0, max: 9 }).map(hash);

/** Damages a list of hashes in one of the ways that a forger would try; or leaves it. */
const damage = fc.oneof(
  fc.constant((hashes: Uint8Array[]) => hashes),
  fc.constant((hashes: Uint8Array[]) => hashes.slice(1)),
  fc.constant((hashes: Uint8Array[]) => hashes.slice(0, -1)),
  fc.constant((hashes: Uint8Array[]) => hashes.toReversed()),
  someHash.map((extra) => (hashes: Uint8Array[]) => [...hashes, extra]),
  someHash.map((extra) => (hashes: Uint8Array[]) => [extra, ...hashes]),
  fc
    .nat(20)
    .map((at) => (hashes: Uint8Array[]) => hashes.map((one, n) => (n === at ? one.map((byte) => byte ^ 1) : one))),
  fc.constant((hashes: Uint8Array[]) => hashes.map((one) => one.subarray(1))),
);

describe("merkle.js", () => {
  it("hashes as shared/ledger does", async () => {
    const entry = Buffer.from("an entry");
    expect(Buffer.from(await merkle.leafHash(entry))).toEqual(ours.leafHash(entry));
    expect(Buffer.from(await merkle.nodeHash(hash(1), hash(2)))).toEqual(ours.nodeHash(hash(1), hash(2)));
  });

  it("gives every claim of inclusion the verdict of shared/ledger", async () => {
    let held = 0;
    const claim = fc.record({
      size: sizes,
      index: fc.nat(140),
      claimed: fc.integer({ min: -1, max: 140 }),
      off: fc.nat(3),
      damage,
    });
    await fc.assert(
      fc.asyncProperty(claim, async ({ size, index, claimed, off, damage: damaged }) => {
        const at = index % size;
        const made = {
          leaf: leaves[at] as Uint8Array,
          index: off === 0 ? claimed : at,
          size: off === 1 ? claimed : size,
          proof: damaged(ours.inclusionProof(leaves, at, size)),
          root: ours.rootOf(leaves.slice(0, size)),
        };
        const verdict = ours.verifyInclusion(made);
        held += Number(verdict);
        expect(await merkle.verifyInclusion(made)).toBe(verdict);
      }),
      { numRuns: 300 },
    );
    expect(held).toBeGreaterThan(10);
  });

  it("gives every claim of consistency the verdict of shared/ledger", async () => {
    let held = 0;
    const claim = fc.record({
      from: fc.nat(130),
      to: sizes,
      claimed: fc.integer({ min: -1, max: 140 }),
      off: fc.nat(3),
      damage,
    });
    await fc.assert(
      fc.asyncProperty(claim, async ({ from, to, claimed, off, damage: damaged }) => {
        const oldSize = Math.min(from, to);
        const made = {
          oldSize: off === 0 ? claimed : oldSize,
          newSize: off === 1 ? claimed : to,
          proof: damaged(ours.consistencyProof(leaves, oldSize, to)),
          oldRoot: ours.rootOf(leaves.slice(0, oldSize)),
          newRoot: ours.rootOf(leaves.slice(0, to)),
        };
        const verdict = ours.verifyConsistency(made);
        held += Number(verdict);
        expect(await merkle.verifyConsistency(made)).toBe(verdict);
      }),
      { numRuns: 300 },
    );
    expect(held).toBeGreaterThan(10);
  });

  it.each([1.5, -1, 2 ** 53, Number.NaN])("refuses %s as a size or an index", async (number) => {
    const [leaf, root] = [hash(0), hash(0)];
    expect(await merkle.verifyInclusion({ leaf, index: number, size: 2 ** 60, proof: [], root })).toBe(false);
    const claim = { oldSize: number, newSize: number, proof: [], oldRoot: root, newRoot: root };
    expect(await merkle.verifyConsistency(claim)).toBe(false);
  });
});

/** A log's tiles, as it serves those of the tree of `size` leaves; and what was asked for. */
function served(size: number, { onlyFull = false } = {}) {
  const tree = createTileTree();
  const files = new Map<string, Uint8Array>();
  for (const leaf of leaves.slice(0, size)) tree.append(leaf);
  for (const tile of tilesOf(size)) {
    const from = tile.index * 256;
    const bytes =
      tile.level === 0
        ? Buffer.concat(leaves.slice(from, from + tile.width))
        : tree.tile(tile.level, tile.index, tile.width);
    if (!onlyFull || tile.width === 256) files.set(`/log/${tilePath(tile)}`, bytes);
  }
  const asked: string[] = [];
  const get: Get = async (path) => {
    asked.push(path);
    const bytes = files.get(path);
    return bytes === undefined ? { status: 404, bytes: new Uint8Array() } : { status: 200, bytes };
  };
  return { get, asked, files };
}

const headOf = (size: number): Head => ({ size, root: ours.rootOf(leaves.slice(0, size)) });

describe("tiles.js", () => {
  it("writes paths as shared/ledger does", () => {
    const tile = fc.record({ level: fc.nat(6), index: fc.nat(2 ** 31), width: fc.integer({ min: 1, max: 256 }) });
    fc.assert(
      fc.property(
        tile,
        ({ level, index, width }) => tiles.tilePath(level, index, width) === tilePath({ level, index, width }),
      ),
    );
  });

  it("computes from tiles the proof that shared/ledger computes from leaves", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 599 }), fc.integer({ min: 1, max: 599 }), async (a, b) => {
        const [older, newer] = [Math.min(a, b), Math.max(a, b) + 1];
        const proof = await tiles.consistencyProof(older, newer, tiles.hashesOf(newer, served(newer).get));
        expect(proof.map((one) => Buffer.from(one))).toEqual(ours.consistencyProof(leaves, older, newer));
      }),
      { numRuns: 60 },
    );
  });

  it.each([
    [1, 600],
    [255, 257],
    [256, 257],
    [256, 512],
    [300, 300],
    [599, 600],
    [600, 1],
  ])("knows the tree of %i leaves in the one of %i, and asks for no tile twice", async (a, b) => {
    const { get, asked } = served(Math.max(a, b));
    expect(await tiles.isSameLog(headOf(a), headOf(b), get)).toBe(true);
    expect(new Set(asked).size).toBe(asked.length);
  });

  it("does not know another tree, whatever of its tiles was damaged", async () => {
    const { get, files, asked } = served(600);
    expect(await tiles.isSameLog({ size: 300, root: hash(0) }, headOf(600), get)).toBe(false);
    expect(await tiles.isSameLog({ size: 600, root: hash(0) }, headOf(600), get)).toBe(false);
    for (const [path, bytes] of [...files]) {
      asked.length = 0;
      const damaged = bytes.map((byte) => byte ^ 1);
      files.set(path, damaged);
      const same = await tiles.isSameLog(headOf(257), headOf(600), get);
      // The leaves of a full tile lie under one hash of level 1, and only that is asked for.
      expect([path, same]).toEqual([path, !asked.includes(path)]);
      files.set(path, bytes);
    }
    expect(asked.length).toBeGreaterThan(2);
  });

  it("takes the full tile in place of a partial one, and says when there is neither", async () => {
    expect(widthAt(300, 0, 1)).toBe(44);
    const { files } = served(512);
    const { get } = served(300, { onlyFull: true });
    const full: Get = async (path) => {
      const bytes = files.get(path);
      return bytes === undefined ? get(path) : { status: 200, bytes };
    };
    const partial: Get = async (path) => (path.includes("tile/1/") ? served(300).get(path) : full(path));
    expect(await tiles.isSameLog(headOf(257), headOf(300), partial)).toBe(true);
    await expect(tiles.isSameLog(headOf(257), headOf(300), get)).rejects.toThrow("tile/0/001.p/44");
  });
});
