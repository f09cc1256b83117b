import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  appendLeaf,
  consistencyProof,
  createFrontier,
  frontierRoot,
  HASH_BYTES,
  inclusionProof,
  leafHash,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from "./merkle.ts";
import {
  consistencyFromTiles,
  createTileTree,
  decodeBundle,
  encodeBundle,
  entriesPath,
  inclusionFromTiles,
  parseTilePath,
  type ReadTile,
  rootFromTiles,
  TILE_WIDTH,
  type Tile,
  tilePath,
  tilesOf,
  widthAt,
} from "./tiles.ts";

/** Where tiles fill up, and where a level begins. */
const SIZES = [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000, 131_071];

const LEAVES = Array.from({ length: Math.max(...SIZES) }, (_, n) => leafHash(Buffer.from(`entry ${n}`, "utf8")));

/** The hashes of every level, by the formula of the specification: the root of 256^l leaves each. */
const LEVELS = [LEAVES];
for (let below = LEAVES; below.length >= TILE_WIDTH; below = LEVELS.at(-1) as Uint8Array[])
  LEVELS.push(
    Array.from({ length: Math.floor(below.length / TILE_WIDTH) }, (_, n) =>
      rootOf(below.slice(n * TILE_WIDTH, (n + 1) * TILE_WIDTH)),
    ),
  );

/** Roots in hex of every size up to 1100 and of SIZES, from the leaves one by one. */
const ROOTS: Record<number, string> = {};
const frontier = createFrontier();
for (let size = 0; size <= LEAVES.length; size++) {
  if (size <= 1100 || SIZES.includes(size)) ROOTS[size] = Buffer.from(frontierRoot(frontier)).toString("hex");
  if (size < LEAVES.length) appendLeaf(frontier, LEAVES[size] as Uint8Array);
}
const rootOfSize = (size: number) => Buffer.from(ROOTS[size] as string, "hex");

const tileBytes = ({ level, index, width }: Tile) =>
  Buffer.concat((LEVELS[level] ?? []).slice(index * TILE_WIDTH, index * TILE_WIDTH + width));

/** Gives the tiles of a log of `size` entries and nothing beyond, and keeps what was asked for. */
function reader(size: number): { read: ReadTile; asked: string[] } {
  const asked: string[] = [];
  const read: ReadTile = async (tile) => {
    asked.push(tilePath(tile));
    expect(tile.width).toBe(widthAt(size, tile.level, tile.index));
    return tileBytes(tile);
  };
  return { read, asked };
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const hexes = (list: readonly Uint8Array[]) => list.map(hex);

describe("paths", () => {
  it.each([
    [{ level: 0, index: 0, width: 256 }, "tile/0/000"],
    [{ level: 0, index: 7, width: 1 }, "tile/0/007.p/1"],
    [{ level: 2, index: 999, width: 255 }, "tile/2/999.p/255"],
    [{ level: 1, index: 1000, width: 256 }, "tile/1/x001/000"],
    [{ level: 0, index: 1_234_067, width: 12 }, "tile/0/x001/x234/067.p/12"],
    [{ level: 63, index: 0, width: 256 }, "tile/63/000"],
    [{ level: 0, index: 9_007_199_254_740_991, width: 256 }, "tile/0/x009/x007/x199/x254/x740/991"],
  ])("of %j is %s", (tile, path) => {
    expect(tilePath(tile)).toBe(path);
    expect(parseTilePath(path)).toEqual({ kind: "hashes", ...tile });
  });

  it("of bundles differ in the level alone", () => {
    expect(entriesPath(0, 3)).toBe("tile/entries/000.p/3");
    expect(entriesPath(70_000, 256)).toBe("tile/entries/x070/000");
    expect(parseTilePath("tile/entries/x070/000.p/9")).toEqual({ kind: "entries", index: 70_000, width: 9 });
  });

  it("are read back whatever tile they are of", () => {
    const tiles = fc.record({
      level: fc.nat(63),
      index: fc.maxSafeNat(),
      width: fc.integer({ min: 1, max: TILE_WIDTH }),
    });
    fc.assert(
      fc.property(tiles, (tile) => {
        expect(parseTilePath(tilePath(tile))).toEqual({ kind: "hashes", ...tile });
        const { index, width } = tile;
        expect(parseTilePath(entriesPath(index, width))).toEqual({ kind: "entries", index, width });
      }),
    );
  });

  const wrong = `
    tile tile/0 tile/0/ tile/0/0 tile/0/00 tile/0/0000 tile/0/-01 tile/-1/000 tile/00/000 tile/01/000 tile/64/000 tile/100/000
    tile/x/000 tile/0/x000 tile/0/001/234 tile/0/x001/x234 tile/0/x001234 tile/0/1234 tile/0/x000/067 tile/0/x000/x001/067
    tile/0/X001/067 tile/0/x009/x007/x199/x254/x740/992 tile/0/x001/x009/x007/x199/x254/x740/991
    tile/0/000.p tile/0/000.p/ tile/0/000.p/0 tile/0/000.p/00 tile/0/000.p/01 tile/0/000.p/-1 tile/0/000.p/+1 tile/0/000.p/1.5
    tile/0/000.p/256 tile/0/000.p/257 tile/0/000.p/1000 tile/0/000.p/1/ /tile/0/000 tile/0/000/ tile/0/٠٠٠ tile/0//000
    tile/0/000?a tile/0/%30%30%30 tile/entries tile/entries/0 tile/entries/x000/000 tile/entries/000.p/0
    tile/entries/000.p/256 tile/Entries/000`;
  it.each([...wrong.trim().split(/\s+/), "", " tile/0/000", "tile/0/000\n", "tile/0/000.p/1 ", "tile/0/000.p/1\n"])(
    "are refused in any other spelling: %j",
    (path) => {
      expect(parseTilePath(path)).toBeUndefined();
    },
  );

  it("are not made of what is no tile", () => {
    for (const wrong of [{ level: -1 }, { level: 64 }, { level: 0.5 }, { index: -1 }, { index: 2 ** 53 }, { width: 0 }])
      expect(() => tilePath({ level: 0, index: 0, width: 1, ...wrong })).toThrow(RangeError);
    expect(() => tilePath({ level: 0, index: 0, width: 257 })).toThrow(RangeError);
    expect(() => entriesPath(0, 0)).toThrow(RangeError);
    expect(() => entriesPath(0.5, 1)).toThrow(RangeError);
  });
});

describe("the layout", () => {
  it("of 70,000 leaves, of 256 and of none is that of the specification", () => {
    const of = (size: number) => [...tilesOf(size)].map(tilePath);
    const paths = of(70_000);
    expect(paths.filter((path) => path.startsWith("tile/0/") && !path.includes(".p/"))).toHaveLength(273);
    expect(paths.filter((path) => path.includes(".p/") || !path.startsWith("tile/0/"))).toEqual([
      "tile/0/273.p/112",
      "tile/1/000",
      "tile/1/001.p/17",
      "tile/2/000.p/1",
    ]);
    expect(of(256)).toEqual(["tile/0/000", "tile/1/000.p/1"]);
    expect(of(0)).toEqual([]);
  });

  const check = (size: number) => {
    const tiles = [...tilesOf(size)];
    expect(new Set(tiles.map(tilePath)).size).toBe(tiles.length);
    for (let level = 0, hashes = size; ; level++, hashes = Math.floor(hashes / TILE_WIDTH)) {
      const here = tiles.filter((tile) => tile.level === level);
      expect(here.reduce((sum, { width }) => sum + width, 0)).toBe(hashes);
      expect(here.every(({ width }, n) => width === (n + 1 < here.length ? TILE_WIDTH : hashes - n * TILE_WIDTH))).toBe(
        true,
      );
      expect(widthAt(size, level, here.length)).toBe(0);
      if (hashes === 0) break;
    }
    for (const { level, index, width } of tiles) expect(widthAt(size, level, index)).toBe(width);
  };

  it("has every hash of every level once, at every size up to 1100 and at the edges", () => {
    for (let size = 0; size <= 1100; size++) check(size);
    for (const size of SIZES) check(size);
  });

  it("holds for sizes beyond 32 bits", () => {
    const size = 2 ** 53 - 1;
    expect(widthAt(size, 0, 2 ** 45 - 1)).toBe(255);
    expect(widthAt(size, 0, 2 ** 45)).toBe(0);
    expect(widthAt(size, 6, 0)).toBe(31);
    expect(widthAt(size, 7, 0)).toBe(0);
    expect(widthAt(2 ** 33, 1, 2 ** 17 - 1)).toBe(256);
  });
});

describe("bundles", () => {
  it("are lengths of two bytes and entries", () => {
    expect(hex(encodeBundle([Buffer.from("ab"), Buffer.alloc(0), Buffer.alloc(258, 7)]))).toBe(
      `00026162${"0000"}${"0102"}${"07".repeat(258)}`,
    );
  });

  it("come back as they were, up to the longest entry", () => {
    const entries = fc.array(fc.uint8Array({ maxLength: 700 }), { maxLength: 20 });
    fc.assert(
      fc.property(entries, (list) => {
        expect(hexes(decodeBundle(encodeBundle(list)) ?? [])).toEqual(hexes(list));
      }),
    );
    const longest = Buffer.alloc(65_535, 1);
    expect(decodeBundle(encodeBundle([longest]))?.[0]).toHaveLength(65_535);
    expect(() => encodeBundle([Buffer.alloc(65_536)])).toThrow(RangeError);
  });

  it("hold 256 entries at most, and are whole", () => {
    const full = Array.from({ length: TILE_WIDTH }, () => Uint8Array.of(1));
    const bytes = encodeBundle(full);
    expect(decodeBundle(bytes)).toHaveLength(TILE_WIDTH);
    expect(decodeBundle(Buffer.concat([bytes, encodeBundle([Uint8Array.of(1)])]))).toBeUndefined();
    expect(() => encodeBundle([...full, Uint8Array.of(1)])).toThrow(RangeError);
    for (let cut = 1; cut < 3; cut++) expect(decodeBundle(bytes.subarray(0, bytes.length - cut))).toBeUndefined();
    expect(decodeBundle(Uint8Array.of(0))).toBeUndefined();
    expect(decodeBundle(Uint8Array.of(0, 2, 9))).toBeUndefined();
    expect(decodeBundle(Uint8Array.of())).toEqual([]);
  });
});

describe("from tiles", () => {
  it("come the root, every path and every consistency proof of small trees", async () => {
    for (let size = 1; size <= 40; size++) {
      const { read } = reader(size);
      expect(hex(await rootFromTiles(size, read))).toBe(hex(rootOf(LEAVES.slice(0, size))));
      for (let n = 0; n < size; n++) {
        expect(hexes(await inclusionFromTiles(n, size, read))).toEqual(hexes(inclusionProof(LEAVES, n, size)));
        expect(hexes(await consistencyFromTiles(n, size, read))).toEqual(hexes(consistencyProof(LEAVES, n, size)));
      }
    }
  });

  it("comes the root of every tree up to 1100", async () => {
    const tree = createTileTree();
    for (let size = 0; size <= 1100; size++) {
      expect(hex(await rootFromTiles(size, reader(size).read))).toBe(ROOTS[size]);
      expect(hex(tree.root())).toBe(ROOTS[size]);
      tree.append(LEAVES[size] as Uint8Array);
    }
  });

  it.each(SIZES)("come root and proofs of %i leaves", async (size) => {
    const { read } = reader(size);
    const root = rootOfSize(size);
    expect(hex(await rootFromTiles(size, read))).toBe(hex(root));
    expect(await consistencyFromTiles(size, size, read)).toEqual([]);
    for (const oldSize of [0, 1, 2, 254, 1100, ...SIZES].filter((n) => n < size)) {
      const proof = await consistencyFromTiles(oldSize, size, read);
      const oldRoot = rootOfSize(oldSize);
      expect(verifyConsistency({ oldSize, newSize: size, proof, oldRoot, newRoot: root })).toBe(true);
    }
    for (const index of [0, 1, 127, 128, 255, 256, 65_535, 65_536, size - 2, size - 1]) {
      if (index < 0 || index >= size) continue;
      const proof = await inclusionFromTiles(index, size, read);
      expect(verifyInclusion({ leaf: LEAVES[index] as Uint8Array, index, size, proof, root })).toBe(true);
    }
  });

  it("come the proofs of any tree, from two tiles a level at most", async () => {
    const cases = fc
      .integer({ min: 1, max: 3000 })
      .chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1), fc.integer({ min: 1, max: size })));
    await fc.assert(
      fc.asyncProperty(cases, async ([size, index, oldSize]) => {
        const one = reader(size);
        const proof = await inclusionFromTiles(index, size, one.read);
        expect(hexes(proof)).toEqual(hexes(inclusionProof(LEAVES, index, size)));
        expect(new Set(one.asked).size).toBe(one.asked.length);
        expect(one.asked.length).toBeLessThanOrEqual(2 * LEVELS.length);
        const two = reader(size);
        const step = await consistencyFromTiles(oldSize, size, two.read);
        expect(two.asked.length).toBeLessThanOrEqual(2 * LEVELS.length);
        const [oldRoot, newRoot] = [rootOf(LEAVES.slice(0, oldSize)), rootOf(LEAVES.slice(0, size))];
        expect(verifyConsistency({ oldSize, newSize: size, proof: step, oldRoot, newRoot })).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it("takes a wider tile than it asked for, and no shorter one", async () => {
    const whole: ReadTile = async (tile) => tileBytes({ ...tile, width: TILE_WIDTH });
    expect(hex(await rootFromTiles(300, whole))).toBe(hex(rootOf(LEAVES.slice(0, 300))));
    const short: ReadTile = async (tile) => tileBytes(tile).subarray(0, -1);
    await expect(rootFromTiles(300, short)).rejects.toThrow(RangeError);
    await expect(inclusionFromTiles(3, 300, short)).rejects.toThrow(RangeError);
    await expect(consistencyFromTiles(3, 300, short)).rejects.toThrow(RangeError);
  });

  it("comes nothing for what is no leaf or tree", async () => {
    const { read } = reader(10);
    for (const index of [-1, 10, 0.5, Number.NaN])
      await expect(inclusionFromTiles(index, 10, read)).rejects.toThrow(RangeError);
    await expect(consistencyFromTiles(11, 10, read)).rejects.toThrow(RangeError);
    await expect(consistencyFromTiles(-1, 10, read)).rejects.toThrow(RangeError);
    await expect(rootFromTiles(2 ** 53, read)).rejects.toThrow(RangeError);
  });
});

describe("the tile tree", () => {
  it("keeps every tile above the leaves, and the open one of them", () => {
    const tree = createTileTree();
    const edges = new Set([...SIZES, 1, 2, 254, 511, 512, 513]);
    for (let size = 0; size <= LEAVES.length; size++) {
      if (edges.has(size)) {
        expect(tree.size()).toBe(size);
        for (const tile of tilesOf(size)) {
          if (tile.level === 0 && tile.width === TILE_WIDTH) continue;
          for (const width of [tile.width, 1])
            expect(hex(tree.tile(tile.level, tile.index, width))).toBe(hex(tileBytes({ ...tile, width })));
        }
      }
      if (size < LEAVES.length) tree.append(LEAVES[size] as Uint8Array);
    }
    expect(hex(tree.root())).toBe(ROOTS[LEAVES.length]);
  });

  it("has no tile beyond its size, nor a full one of leaves", () => {
    const tree = createTileTree();
    for (const leaf of LEAVES.slice(0, 600)) tree.append(leaf);
    expect(tree.tile(0, 2, 88)).toHaveLength(88 * HASH_BYTES);
    for (const [level, index, width] of [
      [0, 0, 256],
      [0, 2, 89],
      [0, 2, 0],
      [1, 0, 3],
      [1, 1, 1],
      [2, 0, 1],
    ] as const)
      expect(() => tree.tile(level, index, width)).toThrow(RangeError);
    expect(() => tree.append(Uint8Array.of(1))).toThrow(RangeError);
  });

  it("grows apart from its copy", () => {
    const tree = createTileTree();
    for (const leaf of LEAVES.slice(0, 255)) tree.append(leaf);
    const copy = tree.copy();
    for (const leaf of LEAVES.slice(255, 700)) copy.append(leaf);
    for (const leaf of LEAVES.slice(0, 300)) tree.append(leaf);
    expect(hex(copy.root())).toBe(hex(rootOf(LEAVES.slice(0, 700))));
    expect(hex(copy.tile(1, 0, 2))).toBe(hex(tileBytes({ level: 1, index: 0, width: 2 })));
    expect(hex(tree.root())).toBe(hex(rootOf([...LEAVES.slice(0, 255), ...LEAVES.slice(0, 300)])));
  });
});
