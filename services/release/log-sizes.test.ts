import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../../infra/stack/processes.ts";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { firstAuthority } from "../../shared/ledger/authority.ts";
import { readCheckpoint } from "../../shared/ledger/checkpoint.ts";
import { verifyCosignatures, witnessesOf } from "../../shared/ledger/cosignature.ts";
import {
  appendLeaf,
  createFrontier,
  frontierRoot,
  leafHash,
  rootOf,
  verifyConsistency,
} from "../../shared/ledger/merkle.ts";
import { type Proof, readProof, verifyProof } from "../../shared/ledger/proof.ts";
import {
  consistencyFromTiles,
  decodeBundle,
  entriesPath,
  type ReadTile,
  rootFromTiles,
  tilePath,
  tilesOf,
  widthAt,
} from "../../shared/ledger/tiles.ts";
import { SUBJECTS } from "../../shared/platform/nats.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { eventually } from "../../test/ledger.ts";
import { BODY_SQL, bodyOf, lineOf, noteOf, statementHash } from "./log-fixture.ts";

/** The service as it runs, on a log in Postgres that grows through the sizes at which tiles and levels fill up. */

const SIZES = [0, 1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000, 131_071];
const sample = sampleDefinition({ witnesses: 3 });
const authority = firstAuthority(sample.definition);
const { keys: witnesses, quorum } = witnessesOf(sample.definition);

let harness: Harness;
let service: Child;
const tree = createFrontier();
const roots = new Map<number, Uint8Array>();

/** Appends up to `size`, with a checkpoint there that these witnesses have cosigned. */
async function grow(size: number, cosigners: readonly string[]): Promise<void> {
  const from = tree.size;
  for (let index = from; index < size; index++) appendLeaf(tree, leafHash(bodyOf(index)));
  const root = frontierRoot(tree);
  roots.set(size, root);
  await harness.query(
    `insert into ledger.entry (index, body, leaf, received, type, state)
       select n, body, sha256('\\x00'::bytea || body), '2024-06-09T21:00:00Z', 'tally', 'AT'
         from (select n, ${BODY_SQL} as body from generate_series($1::bigint, $2::bigint - 1) as n) as made`,
    [from, size],
  );
  const note = await noteOf(sample, size, root);
  await harness.query("insert into ledger.checkpoint (size, root, note, signed_at) values ($1, $2, $3, now())", [
    size,
    root,
    note,
  ]);
  for (const name of cosigners)
    await harness.query("insert into ledger.cosignature (size, witness, line) values ($1, $2, $3)", [
      size,
      name,
      await lineOf(sample, name, size, root),
    ]);
  const move =
    from === 0 && size === 0
      ? "insert into ledger.head (size, root) values ($1, $2)"
      : "update ledger.head set size = $1, root = $2";
  await harness.query(move, [size, root]);
  const nc = await harness.nats("services");
  nc.publish(SUBJECTS.appended, "");
  await nc.flush();
}

/** A statement of entry `index`, so that a proof of it can be asked for. */
async function insertStatement(index: number): Promise<void> {
  await harness.query("insert into ledger.data_key (id, wrapped) values ($1, $1) on conflict do nothing", [
    Buffer.alloc(16),
  ]);
  await harness.query(
    "insert into ledger.statement (index, sha256, data_key, sealed, judgement) values ($1, $2, $3, '', '')",
    [index, Buffer.from(statementHash(index), "hex"), Buffer.alloc(16)],
  );
}

const get = async (path: string): Promise<Buffer> => {
  const answer = await fetch(`${service.url}/log/${path}`);
  if (answer.status !== 200) throw new Error(`${path}: ${answer.status}`);
  return Buffer.from(await answer.arrayBuffer());
};
const statusOf = async (path: string) => {
  const answer = await fetch(`${service.url}${path}`);
  await answer.arrayBuffer();
  return answer.status;
};
const readTile: ReadTile = (tile) => get(tilePath(tile));

async function head() {
  const answer = await fetch(`${service.url}/log/checkpoint`);
  const note = await answer.text();
  const read = readCheckpoint(note, { origin: authority.origin, publicKey: authority.key });
  return { status: answer.status, note, ...read };
}

/** All of `what`, eight at a time. */
async function each<T>(what: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < what.length; at += 8) await Promise.all(what.slice(at, at + 8).map(run));
}

beforeAll(async () => {
  harness = await startHarness({ sample });
  service = await harness.start("release");
});

afterAll(() => harness.close());

describe("the public log over Postgres", () => {
  it("is not there before the ledger's first start, and the service is ready all the same", async () => {
    expect(await statusOf("/log/checkpoint")).toBe(404);
    expect(await statusOf("/log/tile/0/000.p/1")).toBe(404);
    expect(await (await fetch(`${service.url}/readyz`)).json()).toMatchObject({ status: "ready", log: 0 });
  });

  it.each(SIZES.map((size, n) => [size, SIZES[n - 1]] as const))(
    "is right at %i entries, before the lift",
    async (size, before) => {
      await grow(size, ["witness-1", "witness-3"]);
      await eventually(async () => (await head()).size === size);
      const { note, root } = await head();
      expect(root).toEqual(Buffer.from(roots.get(size) as Uint8Array));
      const cosigners = verifyCosignatures(note, witnesses).map(({ name }) => name);
      expect(cosigners).toEqual(["witness-1", "witness-3"]);
      expect(await rootFromTiles(size, readTile)).toEqual(root);
      const proof = await consistencyFromTiles(before ?? 0, size, readTile);
      const oldRoot = roots.get(before ?? 0) as Uint8Array;
      const claim = { oldSize: before ?? 0, newSize: size, proof, oldRoot, newRoot: root as Uint8Array };
      expect(verifyConsistency(claim)).toBe(true);
      // What the specification promises for every size with a checkpoint, and nothing wider.
      for (const { level, index, width } of tilesOf(size)) {
        if (width === 256 && index > 0) continue;
        expect((await readTile({ level, index, width })).length).toBe(width * 32);
        if (width < 256) expect(await statusOf(`/log/${tilePath({ level, index, width: width + 1 })}`)).toBe(404);
      }
      expect(await statusOf("/v1/releases/latest")).toBe(403);
    },
  );

  it("gives every tile and every bundle of 131,071 entries as the tree has them", async () => {
    const size = tree.size;
    const level1: Uint8Array[] = [];
    const bundles = [...tilesOf(size)].filter(({ level }) => level === 0);
    await each(bundles, async ({ index, width }) => {
      const entries = decodeBundle(await get(entriesPath(index, width))) ?? [];
      const leaves = entries.map(leafHash);
      expect(Buffer.concat(leaves).equals(await readTile({ level: 0, index, width }))).toBe(true);
      if (width === 256) level1[index] = rootOf(leaves);
    });
    const [first, second] = [0, 1].map((n) => level1.slice(n * 256, n * 256 + 256)) as [Uint8Array[], Uint8Array[]];
    expect((await get("tile/1/000")).equals(Buffer.concat(first))).toBe(true);
    expect((await get("tile/1/001.p/255")).equals(Buffer.concat(second))).toBe(true);
    expect((await get("tile/2/000.p/1")).equals(rootOf(first))).toBe(true);
  }, 180_000);

  it("still gives the partial tiles of every size that had a checkpoint, and no other", async () => {
    for (const size of SIZES.slice(1)) {
      const index = Math.floor(size / 256);
      const width = widthAt(size, 0, index);
      if (width > 0) expect(await get(tilePath({ level: 0, index, width }))).toHaveLength(width * 32);
    }
    for (const path of ["tile/0/000.p/254", "tile/0/001.p/2", "tile/entries/273.p/111", "tile/1/001.p/18"])
      expect([path, await statusOf(`/log/${path}`)]).toEqual([path, 404]);
  });

  it("proves entries, old and new", async () => {
    for (const index of [0, 255, 65_536, 131_070]) {
      await insertStatement(index);
      const answer = await fetch(`${service.url}/v1/proofs/${statementHash(index)}`);
      const proof = readProof(await answer.text()) as Proof;
      const verdict = verifyProof(proof, { authorities: [authority], witnesses, quorum });
      expect(verdict).toMatchObject({ kind: "holds", index, size: 131_071, cosigned: ["witness-1", "witness-3"] });
      const { statement } = JSON.parse(Buffer.from(proof.extra as Uint8Array).toString("utf8"));
      expect(statement).toBe(createHash("sha256").update(`statement ${index}`).digest("hex"));
    }
    expect(await statusOf(`/v1/proofs/${statementHash(1)}`)).toBe(404);
  });

  it("is the same after kill -9, from the first answer on", async () => {
    service.kill("SIGKILL");
    const seen: unknown[] = [];
    await eventually(async () => {
      const found = await head().catch(() => undefined);
      if (found !== undefined) seen.push([found.status, found.size]);
      return found !== undefined && service.restarts() === 1;
    });
    expect(seen.at(-1)).toEqual([200, 131_071]);
    expect(new Set(seen.map((pair) => JSON.stringify(pair)))).toEqual(new Set(["[200,131071]"]));
  });

  it("goes no further than the last head when an entry is not the one that was signed, and says so", async () => {
    const nc = await harness.nats("services");
    const incidents: unknown[] = [];
    nc.subscribe(SUBJECTS.incident("release"), { callback: (_, msg) => incidents.push(msg.json()) });
    await nc.flush();
    appendLeaf(tree, leafHash(Buffer.from("another")));
    const from = tree.size;
    await harness.query(
      `insert into ledger.entry (index, body, leaf, received, type, state)
         values ($1, '{}', sha256('\\x007b7d'::bytea), now(), 'tally', 'AT')`,
      [from - 1],
    );
    await grow(from + 1, []);
    await eventually(() => incidents.length > 0);
    const about = `the entries do not hash to the checkpoint of size ${from + 1}`;
    expect(incidents).toMatchObject([{ code: "log.broken", about }]);
    expect(await (await fetch(`${service.url}/readyz`)).json()).toMatchObject({
      status: "unready",
      checks: { log: false },
      log: 131_071,
    });
    expect((await head()).size).toBe(131_071);
    expect(await statusOf("/log/tile/0/511.p/255")).toBe(200);
    expect(await statusOf("/log/tile/0/512.p/1")).toBe(404);
  });
});
