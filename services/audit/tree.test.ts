import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { leafHash, rootOf } from "../../shared/ledger/merkle.ts";
import { createTileTree, encodeBundle, entriesPath, TILE_WIDTH, tilePath, tilesOf } from "../../shared/ledger/tiles.ts";
import type { Head } from "../../shared/platform/publisher/checkpoint.ts";
import type { Client } from "../../shared/platform/publisher/client.ts";
import { openSpool } from "./spool.ts";
import { verifyTree } from "./tree.ts";

/** Entries that mean nothing: here they are only hashed. The larger tree has three levels. */
const LARGE = 65_800;
const SMALL = 600;

let folder: string;
let entries: Buffer[];
let leaves: Uint8Array[];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-tree-"));
  entries = Array.from({ length: LARGE }, (_, index) => Buffer.from(`{"index":${index},"x":"${index * 7}"}`));
  leaves = entries.map(leafHash);
});
afterAll(() => rm(folder, { recursive: true }));

function filesOf(size: number): Map<string, Buffer> {
  const made = new Map<string, Buffer>();
  const tree = createTileTree();
  for (const leaf of leaves.slice(0, size)) tree.append(leaf);
  for (const tile of tilesOf(size)) {
    const { level, index, width } = tile;
    const [from, to] = [index * TILE_WIDTH, index * TILE_WIDTH + width];
    const own = level === 0 ? Buffer.concat(leaves.slice(from, to)) : Buffer.from(tree.tile(level, index, width));
    made.set(`/log/${tilePath(tile)}`, own);
    if (level === 0) made.set(`/log/${entriesPath(index, width)}`, Buffer.from(encodeBundle(entries.slice(from, to))));
  }
  return made;
}

const rootAt = (size: number) => Buffer.from(rootOf(leaves.slice(0, size)));
let runs = 0;

/** Verifies what is served against a head; `changed` lies over the files, undefined where there is nothing. */
async function verify(files: Map<string, Buffer>, head: Head, changed: Record<string, Buffer | undefined> = {}) {
  const client: Client = {
    async get(path) {
      const body = path in changed ? changed[path] : files.get(path);
      const status = body === undefined ? 404 : 200;
      return { status, body: body ?? Buffer.alloc(0), problem: undefined, location: undefined };
    },
    close: () => undefined,
  };
  const spool = await openSpool(join(folder, String(++runs)), `http://127.0.0.1 ${"0".repeat(64)}`);
  return verifyTree(head, { client, spool, progress: () => undefined });
}

function flipped(files: Map<string, Buffer>, path: string, at: number): Record<string, Buffer> {
  const body = Buffer.from(files.get(path)!);
  body[at]! ^= 0x80;
  return { [path]: body };
}

describe("a log of 65,800 entries", () => {
  let files: Map<string, Buffer>;
  let head: Head;
  beforeAll(() => {
    files = filesOf(LARGE);
    head = { size: LARGE, root: rootAt(LARGE) };
  });

  it("hashes to its root, and to every root that it had", async () => {
    const log = await verify(files, head);
    for (const size of [0, 1, 255, 256, 257, 65_537, LARGE])
      expect([size, Buffer.from(await log.rootAt(size))]).toEqual([size, rootAt(size)]);
    expect((await log.bundle(1)).length).toBe(256);
    expect(Buffer.from(await log.entry(65_799))).toEqual(entries[65_799]);
    await expect(log.entry(LARGE)).rejects.toThrow(RangeError);
  });

  it.each([
    ["/log/tile/0/255", 8191, 65_535],
    ["/log/tile/1/000", 33, undefined],
    ["/log/tile/2/000.p/1", 31, undefined],
  ])("a flipped byte in %s is found there and nowhere else", async (path, at, index) => {
    const where = index === undefined ? { path } : { path, index };
    await expect(verify(files, head, flipped(files, path, at))).rejects.toMatchObject({ code: "tile.differs", where });
  });
});

describe("a log of 600 entries", () => {
  let files: Map<string, Buffer>;
  let head: Head;
  beforeAll(() => {
    files = filesOf(SMALL);
    head = { size: SMALL, root: rootAt(SMALL) };
  });
  const changed = (changes: Record<string, Buffer | undefined>) => verify(files, head, changes);

  it.each([
    ["/log/tile/0/000", 0, 0],
    ["/log/tile/0/002.p/88", 100, 515],
    ["/log/tile/1/000.p/2", 40, undefined],
  ])("a flipped byte in %s is found there and nowhere else", async (path, at, index) => {
    const where = index === undefined ? { path } : { path, index };
    await expect(changed(flipped(files, path, at))).rejects.toMatchObject({ code: "tile.differs", where });
  });

  it.each([
    ["/log/tile/entries/000", 10, 0],
    ["/log/tile/entries/001", 61, 258],
    ["/log/tile/entries/002.p/88", 20, 512],
  ])("a flipped byte in %s is found there, at its entry", async (path, at, index) => {
    await expect(changed(flipped(files, path, at))).rejects.toMatchObject({
      code: "bundle.differs",
      where: { path, index },
    });
  });

  const bundle = (bodies: Buffer[]) => ({ "/log/tile/entries/000": Buffer.from(encodeBundle(bodies)) });
  it("a removed entry, and two that were swapped, are named", async () => {
    const first = entries.slice(0, 256);
    await expect(changed(bundle(first.toSpliced(77, 1)))).rejects.toMatchObject({
      code: "bundle.differs",
      where: { index: 77 },
    });
    const swapped = first.with(9, first[10]!).with(10, first[9]!);
    await expect(changed(bundle(swapped))).rejects.toMatchObject({
      code: "bundle.differs",
      where: { index: 9 },
      message: expect.stringContaining("calls itself entry 10"),
    });
  });

  it("a root that nothing hashes to is the checkpoint's fault", async () => {
    const other = { size: SMALL, root: Buffer.alloc(32, 1) };
    await expect(verify(files, other)).rejects.toMatchObject({ code: "checkpoint.differs" });
  });

  it("what is missing, cut off or too long is named", async () => {
    const path = "/log/tile/0/001";
    await expect(changed({ [path]: undefined })).rejects.toMatchObject({ code: "tile.missing", where: { path } });
    for (const bytes of [Buffer.alloc(8191), Buffer.alloc(8193)])
      await expect(changed({ [path]: bytes })).rejects.toMatchObject({ code: "tile.differs", where: { path } });
    const own = "/log/tile/entries/001";
    const cut = files.get(own)!.subarray(0, -1);
    await expect(changed({ [own]: cut })).rejects.toMatchObject({ code: "bundle.differs", where: { path: own } });
  });

  it.each([
    ["/log/tile/0/002.p/88", "tile.differs"],
    ["/log/tile/1/000.p/2", "tile.differs"],
    ["/log/tile/entries/002.p/88", "bundle.differs"],
  ])("nothing may stand behind the last of %s, up to the full length or not", async (path, code) => {
    const own = files.get(path)!;
    const full = path.includes("entries") ? own.length + 2 * (TILE_WIDTH - 88) : TILE_WIDTH * 32;
    for (const length of [own.length + 2, own.length + 32, full]) {
      const longer = Buffer.concat([own, Buffer.alloc(length - own.length)]);
      await expect(changed({ [path]: longer })).rejects.toMatchObject({ code, where: { path } });
    }
  });

  it("a full file in the place of a partial one is full", async () => {
    const [tile, bundle] = ["/log/tile/0/002", "/log/tile/entries/002"];
    const gone = { [`${tile}.p/88`]: undefined, [`${bundle}.p/88`]: undefined };
    const [short, few] = [files.get(`${tile}.p/88`)!, files.get(`${bundle}.p/88`)!];
    const whole = Buffer.concat([short, Buffer.alloc(168 * 32)]);
    await expect(changed({ ...gone, [tile]: short, [bundle]: few })).rejects.toMatchObject({
      code: "tile.differs",
      where: { path: tile },
    });
    await expect(changed({ ...gone, [tile]: whole, [bundle]: few })).rejects.toMatchObject({
      code: "bundle.differs",
      where: { path: bundle, index: 600 },
    });
  });

  it("takes the full tile where a partial one is gone", async () => {
    const log = await verify(
      files,
      { size: 500, root: rootAt(500) },
      { "/log/tile/1/000.p/1": files.get("/log/tile/1/000.p/2")!.subarray(0, 32) },
    );
    expect((await log.bundle(1)).length).toBe(244);
  });
});
