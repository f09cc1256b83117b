import { sign } from "node:crypto";
import { releaseCsv } from "../shared/formats/release-csv.ts";
import { signCheckpoint, verifierKey } from "../shared/ledger/checkpoint.ts";
import { cosign } from "../shared/ledger/cosignature.ts";
import { canonical, type Entry } from "../shared/ledger/entry.ts";
import { inclusionProof, leafHash } from "../shared/ledger/merkle.ts";
import { encodeProof } from "../shared/ledger/proof.ts";
import { RECEIPT_TYP, receiptPayload } from "../shared/ledger/receipt.ts";
import { createTileTree, encodeBundle, entriesPath, TILE_WIDTH, tilePath, tilesOf } from "../shared/ledger/tiles.ts";
import { joinShares, keyShare } from "../shared/platform/release-seal.ts";
import { vaultOf } from "../shared/platform/vault-fixture.ts";
import { compactEnvelope } from "../shared/statement/jws.ts";
import { OPEN_TYPES } from "../shared/statement/types.ts";
import { asCsv } from "./audit-server.ts";
import { type MadeRelease, rootAt, type World } from "./audit-world.ts";

/** A night as it is published: every file by its path, and the papers that somebody may bring. */

export interface Served {
  status: number;
  type: string;
  body: Buffer;
  /** Where a redirect leads. */
  location?: string;
}

/** The signed head of a size, with the lines of its witnesses. */
export async function noteOf(world: World, size = world.log.length, root = rootAt(world, size)): Promise<string> {
  const { now } = world;
  const { definition, keys } = world.sample;
  const { origin } = definition;
  const { privateKey, publicRaw } = keys.get("ledger-1")!;
  const own = (text: Uint8Array) => sign(null, text, privateKey);
  const signed = await signCheckpoint({ origin, size, root, publicRaw, sign: own });
  const text = signed.slice(0, signed.lastIndexOf("\n\n") + 1);
  const lines = (definition.witnesses?.keys ?? []).map(({ name }) => {
    const key = keys.get(name)!;
    const seconds = Math.floor(now / 1000);
    return cosign(text, { name, raw: key.publicRaw, seconds, sign: (bytes) => sign(null, bytes, key.privateKey) });
  });
  return signed + (await Promise.all(lines)).join("");
}

/** The receipt of an entry, under the head that follows it. */
export async function receiptOf(world: World, index: number, size = index + 1): Promise<string> {
  const { hash, definition, keys } = world.sample;
  const { entry, judgement, statement } = world.log[index]!;
  if (entry.type === "definition" || !judgement || !statement) throw new RangeError("entry 0 has no receipt");
  const { mode } = definition;
  const parts = { definition: hash, mode, entry, judgement, statement, checkpoint: await noteOf(world, size) };
  const { signed, assemble } = compactEnvelope("ledger-1", receiptPayload(parts), RECEIPT_TYP);
  return assemble(sign(null, signed, keys.get("ledger-1")!.privateKey));
}

const leavesOf = ({ log }: World) => log.map(({ body }) => leafHash(body));

/** A tlog-proof of an entry, with the entry's bytes unless they are left out. */
export async function proofOf(world: World, index: number, size = world.log.length, withBody = true): Promise<string> {
  const hashes = inclusionProof(leavesOf(world), index, size);
  const extra = withBody ? { extra: world.log[index]!.body } : {};
  return encodeProof({ index, hashes, checkpoint: await noteOf(world, size), ...extra });
}

/** The evidence file that these entries of one key make. `about`: the number that was used twice, or those that are missing. */
export async function evidenceOf(
  world: World,
  about: { sequence: number } | { from: number; to: number },
  ...indexes: number[]
): Promise<string> {
  const { log, state, sample } = world;
  const { definition, hash, keys } = sample;
  const leaves = leavesOf(world);
  const entries = indexes.map((index) => log[index]!);
  const { key } = entries[0]!.entry as Entry;
  const kids = [...new Set(entries.flatMap(({ signers }) => signers))];
  return JSON.stringify({
    type: "evidence",
    kind: "sequence" in about ? "equivocation" : "gap",
    election: definition.election,
    mode: definition.mode,
    definition: hash,
    origin: definition.origin,
    ledgerKey: verifierKey(definition.origin, keys.get("ledger-1")!.publicRaw),
    checkpoint: await noteOf(world),
    about: { key, ...about },
    keys: kids.map((id) => ({ id, publicKey: state.keys.get(id)!.key.publicKey, source: "definition" })),
    parts: entries.map(({ body, jws }, n) => ({
      index: indexes[n],
      body: body.toString("base64"),
      statement: Buffer.from(jws!).toString("base64"),
      proof: inclusionProof(leaves, indexes[n]!, log.length).map((sibling) => Buffer.from(sibling).toString("base64")),
    })),
  });
}

type Put = (path: string, body: Uint8Array | string, type?: string, status?: number) => void;

/** Everything that is served, by path. */
export async function published(world: World): Promise<Map<string, Served>> {
  const { sample } = world;
  const served = new Map<string, Served>();
  const put: Put = (path, body, type = "application/octet-stream", status = 200) =>
    void served.set(path, { status, type, body: Buffer.from(body as string) });
  put("/v1/definition", sample.bytes, "application/json");
  put("/v1/definition/signatures", JSON.stringify(sample.signatures), "application/json");
  put("/log/checkpoint", await noteOf(world), "text/plain; charset=utf-8");
  putTiles(world, put);
  putStatements(world, put);
  putReleases(world, put);
  for (const [path, file] of await announcements(world)) served.set(path, file);
  return served;
}

const refuse = (put: Put, path: string, code: string) =>
  put(path, JSON.stringify({ code, status: 403 }), "application/problem+json", 403);

function putTiles(world: World, put: Put): void {
  const leaves = leavesOf(world);
  const tree = createTileTree();
  for (const leaf of leaves) tree.append(leaf);
  for (const tile of tilesOf(leaves.length)) {
    const { level, index, width } = tile;
    const [from, to] = [index * TILE_WIDTH, index * TILE_WIDTH + width];
    const hashes = level === 0 ? Buffer.concat(leaves.slice(from, to)) : tree.tile(level, index, width);
    put(`/log/${tilePath(tile)}`, hashes);
    if (level > 0) continue;
    put(`/log/${entriesPath(index, width)}`, encodeBundle(world.log.slice(from, to).map(({ body }) => body)));
  }
}

/** What the last release covers is open, but for states on hold; of the rest what holds no figures. */
function putStatements({ log, listed }: World, put: Put): void {
  const openedTo = listed.at(-1)?.size ?? 0;
  const held = new Set(listed.at(-1)?.release.states.flatMap(({ state, withheld }) => (withheld ? [state] : [])));
  for (const { entry, jws } of log) {
    if (entry.type === "definition" || jws === undefined) continue;
    const path = `/statements/${entry.statement}`;
    if (OPEN_TYPES.has(entry.type)) put(path, jws);
    else if (listed.length === 0) refuse(put, path, "embargo.in-force");
    else if (entry.index >= openedTo) refuse(put, path, "statement.not-released");
    else if (held.has(entry.state)) refuse(put, path, "statement.withheld");
    else put(path, jws);
  }
  const lines = log.slice(0, openedTo).map(({ entry, judgement }) => {
    const isHidden = entry.type === "definition" || (held.has(entry.state) && !OPEN_TYPES.has(entry.type));
    return isHidden ? "null" : canonical(judgement);
  });
  for (let page = 0; page * TILE_WIDTH < openedTo; page++) {
    const own = lines.slice(page * TILE_WIDTH, (page + 1) * TILE_WIDTH);
    put(`/log/judgements/${page}`, `${own.join("\n")}\n`, "application/x-ndjson");
  }
}

function putReleases({ listed, sample }: World, put: Put): void {
  const { definition, hash } = sample;
  const last = listed.at(-1);
  if (last === undefined) {
    for (const name of ["", "/latest", "/latest.csv", asCsv("/latest"), "/latest/signatures"])
      refuse(put, `/v1/releases${name}`, "embargo.in-force");
    return;
  }
  const { mode, election } = definition;
  const releases = listed.map(({ number, size, sha256, release: { asOf, status } }) => {
    const id = { number, size };
    const key = joinShares(keyShare(vaultOf(sample), "tabulate", id), keyShare(vaultOf(sample), "recount", id));
    const url = `/v1/releases/${number}`;
    return { number, sha256, size, asOf, status, key: Buffer.from(key).toString("hex"), url };
  });
  put("/v1/releases", JSON.stringify({ mode, election, definition: hash, releases }));
  for (const made of listed) putRelease(String(made.number), made, put);
  putRelease("latest", last, put);
}

function putRelease(name: string, { bytes, release, signatures }: MadeRelease, put: Put): void {
  put(`/v1/releases/${name}`, bytes, "application/json");
  for (const path of [`/v1/releases/${name}.csv`, asCsv(`/v1/releases/${name}`)])
    put(path, releaseCsv(release), "text/csv; charset=utf-8; header=present");
  put(`/v1/releases/${name}/signatures`, signatures, "application/jose+json");
}

/** Where the log announces each release that is served: a proof of that entry, and the way to its statement. */
async function announcements(world: World): Promise<Map<string, Served>> {
  const served = new Map<string, Served>();
  for (const { number, sha256, size } of world.listed) {
    const logged = world.log.find(
      ({ statement: said }) =>
        said?.type === "release" && said.number === number && said.release === sha256 && said.size === size,
    );
    if (logged === undefined || logged.entry.type === "definition") continue;
    const path = `/v1/releases/${number}`;
    const { index, statement } = logged.entry;
    const body = Buffer.from(await proofOf(world, index));
    served.set(`${path}/proof`, { status: 200, type: "text/plain; charset=utf-8", body });
    const location = `/statements/${statement}`;
    served.set(`${path}/statement`, { status: 303, type: "text/plain", body: Buffer.alloc(0), location });
  }
  return served;
}
