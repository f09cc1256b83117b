import { HASH_BYTES } from "../../ledger/merkle.ts";
import { decodeBundle, entriesPath, MAX_ENTRY_BYTES, TILE_WIDTH, type Tile, tilePath } from "../../ledger/tiles.ts";
import type { Client } from "./client.ts";
import { Discrepancy } from "./discrepancy.ts";

/** The log's files as they are served. Whether they are the signed log's is for whoever builds the tree. */

/** An entry has 500 bytes at most, and entry 0 all that an entry may have: nobody's memory is a publisher's to fill. */
const MAX_BUNDLE_BYTES = TILE_WIDTH * 1024 + MAX_ENTRY_BYTES;

export const statementAddress = (sha256: string) => `/statements/${sha256}`;
export const tileAddress = (tile: Tile) => `/log/${tilePath(tile)}`;
export const bundleAddress = (index: number, width: number) => `/log/${entriesPath(index, width)}`;

/** A file as it was served: the one that was asked for, or in its place the full one, which goes on behind it. */
interface Part {
  path: string;
  width: number;
  body: Buffer;
}

/** Asks for a partial file and, where that is not there any more, for the full one (C2SP tlog-tiles). */
async function fetchPart(
  client: Client,
  width: number,
  pathOf: (width: number) => string,
  maxBytes: (width: number) => number,
): Promise<Part> {
  for (const asked of width === TILE_WIDTH ? [width] : [width, TILE_WIDTH]) {
    const path = pathOf(asked);
    const { status, body } = await client.get(path, maxBytes(asked));
    if (status === 200) return { path, width: asked, body };
    if (status !== 404) throw missing(path, status);
  }
  throw missing(pathOf(width), 404);
}

const missing = (path: string, status: number) =>
  new Discrepancy("tile.missing", { path }, `The signed log has ${path}, and the answer is status ${status}.`);

/** The `width` hashes of a tile: 32 bytes each. Throws Discrepancy if it is not served, or not as long as it must be. */
export async function fetchTile(client: Client, tile: Tile): Promise<Uint8Array> {
  const bytesOf = (width: number) => width * HASH_BYTES;
  const { path, width, body } = await fetchPart(
    client,
    tile.width,
    (asked) => tileAddress({ ...tile, width: asked }),
    bytesOf,
  );
  if (body.length !== bytesOf(width)) {
    const long = body.length > bytesOf(width) ? "more" : body.length;
    const what = `${path} has ${long} bytes; its ${width} hashes have ${bytesOf(width)}.`;
    throw new Discrepancy("tile.differs", { path }, what);
  }
  return body.subarray(0, bytesOf(tile.width));
}

/** The bytes of `width` entries, in their order. Throws Discrepancy if the bundle is not served, or does not hold so many. */
export async function fetchBundle(client: Client, index: number, width: number): Promise<Uint8Array[]> {
  const part = await fetchPart(
    client,
    width,
    (asked) => bundleAddress(index, asked),
    () => MAX_BUNDLE_BYTES,
  );
  const { path } = part;
  const entries = decodeBundle(part.body);
  if (entries === undefined)
    throw new Discrepancy(
      "bundle.differs",
      { path },
      `${path} is no bundle of entries: it is cut off, or holds too many.`,
    );
  if (entries.length !== part.width) {
    const first = index * TILE_WIDTH;
    const gap = entries.findIndex((entry, n) => claimedIndex(entry) !== first + n);
    const lost = first + (gap < 0 ? Math.min(entries.length, part.width) : gap);
    const what = `${path} holds ${entries.length} entries; there are ${part.width} in it. It goes wrong at entry ${lost}.`;
    throw new Discrepancy("bundle.differs", { path, index: lost }, what);
  }
  return entries.slice(0, width);
}

/** The index that an entry says it has, for a sentence in a report; undefined if it says none. */
export function claimedIndex(entry: Uint8Array): number | undefined {
  const [, digits] = /"index":(\d{1,16})[,}]/.exec(Buffer.from(entry).toString("utf8")) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** The numbers of a log's bundles, one after the other: whoever signs a head of 2^50 entries takes no memory with it. */
export function* bundlesOf(size: number): Generator<number> {
  for (let n = 0; n * TILE_WIDTH < size; n++) yield n;
}
