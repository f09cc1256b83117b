import { authorityOf } from "../../shared/ledger/authority.ts";
import { readCheckpoint, splitNote } from "../../shared/ledger/checkpoint.ts";
import { findCosignature, type Witness, type Witnesses } from "../../shared/ledger/cosignature.ts";
import { HASH_BYTES } from "../../shared/ledger/merkle.ts";
import {
  createTileTree,
  decodeBundle,
  rootFromTiles,
  TILE_WIDTH,
  type TileTree,
  widthAt,
} from "../../shared/ledger/tiles.ts";
import { type ReadAuthority, requireOpened } from "../../shared/platform/log-authorities.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import type { Tiles } from "./log-tiles.ts";
import type { CheckpointRow } from "./store.ts";

/** How the log advances from one signed checkpoint to the next: hashed and compared before anything of that size is served. */

export interface HeadSources {
  /** The head with its checkpoint; undefined before the ledger's first start. */
  selectHead: () => Promise<CheckpointRow | undefined>;
  /** Checkpoints from `from` to `to` with `quorum` lines or more below them, the largest first, few. */
  selectCosigned: (from: number, to: number, quorum: number) => Promise<CheckpointRow[]>;
  selectLeaves: (from: number, to: number) => Promise<Uint8Array>;
  /** Who signs: the definition's authority, and those of later origins. */
  authorities: () => Promise<readonly ReadAuthority[]> | readonly ReadAuthority[];
  witnesses: Witnesses;
}

/** A checkpoint that the log's key has signed, over entries that hash to it. */
export interface Published {
  size: number;
  root: Uint8Array;
  signedAt: Date;
  /** The log's line first, then those of witnesses that hold. */
  note: string;
  /** How many of the definition's witnesses cosigned it. */
  cosigned: number;
}

/** The log up to a head that holds. It is never changed: the next look makes another. */
export interface Verified {
  tree: TileTree;
  /** Who signs checkpoints of these sizes: each begins where the log's own entries have it. */
  authorities: readonly ReadAuthority[];
  head: Published;
  /** The newest checkpoint that a quorum of the witnesses cosigned. */
  quorum: Published | undefined;
  /** The one that is served as the head. */
  shown: Published;
}

/** Witnesses answer within a second. One that is away must not keep the head from those who wait for it. */
export const QUORUM_LAG_MS = 5_000;
/** 32 bytes each. */
const LEAVES_AT_ONCE = 50_000;

/**
 * Looks for a newer head, or for more cosignatures. Undefined before the ledger's first start. Rejects with LogBroken when the head
 * went back, is not signed, is not what the entries hash to, or goes on under an origin that was opened for another log: what was verified
 * before stands.
 */
export async function nextVerified(
  sources: HeadSources,
  tiles: Tiles,
  verified: Verified | undefined,
): Promise<Verified | undefined> {
  const row = await sources.selectHead();
  const size = row?.size ?? 0;
  if (verified !== undefined && size < verified.head.size)
    throw new LogBroken(`the head of the log went back to ${size} from ${verified.head.size}`);
  if (row === undefined) return undefined;
  const tree = await grown(sources, verified?.tree, size);
  // Read after the head: an origin is committed together with its first checkpoint.
  const authorities = await openedBy(tree, tiles, await sources.authorities(), verified?.authorities.length ?? 0);
  const trust = { authorities, witnesses: sources.witnesses };
  const head = checkCheckpoint(trust, row, tree.root());
  const quorum = await newestWithQuorum(sources, tiles, { tree, trust, known: verified?.quorum });
  const fresh = quorum !== undefined && head.signedAt.getTime() - quorum.signedAt.getTime() <= QUORUM_LAG_MS;
  const next = fresh ? quorum : head;
  // Nobody is shown a smaller head than the one before.
  const shown = verified !== undefined && next.size < verified.shown.size ? verified.shown : next;
  return { tree, authorities, head, quorum, shown };
}

/** Those of the authorities whose sizes the tree has reached, each compared with it but for the first `known`, which were before. */
async function openedBy(
  tree: TileTree,
  tiles: Tiles,
  authorities: readonly ReadAuthority[],
  known: number,
): Promise<readonly ReadAuthority[]> {
  const reached = authorities.filter(({ from }) => from <= tree.size());
  for (const authority of reached.slice(known)) {
    const { from, opened } = authority;
    if (opened === null) continue;
    const page = Math.floor((from - 1) / TILE_WIDTH);
    const bundle = await tiles.entries(tree, page, widthAt(tree.size(), 0, page));
    const body = decodeBundle(bundle.identity)?.[(from - 1) % TILE_WIDTH] ?? new Uint8Array();
    requireOpened(authority, body, await rootAt(tiles, tree, from - 1));
  }
  return reached;
}

/** The tree of `size` leaves: a copy of what was verified, grown, so that what does not hold is dropped whole. */
async function grown({ selectLeaves }: HeadSources, known: TileTree | undefined, size: number): Promise<TileTree> {
  if (known?.size() === size) return known;
  const tree = known?.copy() ?? createTileTree();
  for (let at = tree.size(); at < size; at = tree.size()) {
    const leaves = await selectLeaves(at, Math.min(size, at + LEAVES_AT_ONCE));
    if (leaves.length === 0) throw new LogBroken(`the log has no entry ${at}, though its head is at ${size}`);
    for (let from = 0; from < leaves.length; from += HASH_BYTES) tree.append(leaves.subarray(from, from + HASH_BYTES));
  }
  return tree;
}

async function newestWithQuorum(
  sources: HeadSources,
  tiles: Tiles,
  { tree, trust, known }: { tree: TileTree; trust: Trust; known: Published | undefined },
): Promise<Published | undefined> {
  const { quorum } = trust.witnesses;
  if (quorum === 0) return undefined;
  for (const row of await sources.selectCosigned(known?.size ?? 1, tree.size(), quorum)) {
    const found = checkCheckpoint(trust, row, await rootAt(tiles, tree, row.size));
    if (found.cosigned >= quorum) return found;
  }
  return known;
}

/** The root of the first `size` leaves of the tree, which may have more. */
export function rootAt(tiles: Tiles, tree: TileTree, size: number): Promise<Uint8Array> {
  return rootFromTiles(size, (tile) => tiles.hashes(tree, tile));
}

/** Who signs the log's checkpoints, and who cosigns them. */
export interface Trust {
  authorities: readonly ReadAuthority[];
  witnesses: Witnesses;
}

/**
 * A stored checkpoint, with the cosignatures that hold. Throws LogBroken unless it is over this root and signed by whoever signs
 * checkpoints of its size.
 */
export function checkCheckpoint(
  { authorities, witnesses }: Trust,
  { size, note, signedAt, lines }: CheckpointRow,
  root: Uint8Array,
): Published {
  const { origin, key } = authorityOf(authorities, size);
  const signed = note === null ? undefined : readCheckpoint(note, { origin, publicKey: key });
  if (note === null || signedAt === null || signed?.size !== size)
    throw new LogBroken(`the checkpoint of size ${size} is not signed by the ledger`);
  if (Buffer.compare(signed.root, root) !== 0)
    throw new LogBroken(`the entries do not hash to the checkpoint of size ${size}`);
  const held = linesThatHold(note, lines, witnesses.keys);
  return { size, root, signedAt, note: note + held.join(""), cosigned: held.length };
}

/** One line of each witness that has cosigned this note. What else lies beside it is left where it is. */
function linesThatHold(note: string, lines: readonly string[], witnesses: readonly Witness[]): string[] {
  const text = splitNote(note)?.text ?? "";
  return witnesses.flatMap((witness) => {
    const found = lines.map((line) => findCosignature(text, line, witness)?.line);
    return found.find((line) => line !== undefined) ?? [];
  });
}
