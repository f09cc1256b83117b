import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { verifyCosignatures, witnessesOf } from "../../shared/ledger/cosignature.ts";
import { emptyRoot, leafHash, rootOf, verifyInclusion } from "../../shared/ledger/merkle.ts";
import { decodeBundle, encodeBundle } from "../../shared/ledger/tiles.ts";
import { createPublicLog, LOOK_MS } from "./log.ts";
import { lineOf, type MemoryLog, memoryLog, noteOf } from "./log-fixture.ts";

const plainSample = sampleDefinition();
const watched = sampleDefinition({ witnesses: 3 });

async function opened(size?: number, sample = plainSample) {
  const memory = memoryLog(sample);
  if (size !== undefined) await memory.grow(size);
  const log = createPublicLog(memory.sources);
  await log.round();
  return { memory, log };
}

const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString("hex");
const leavesOf = ({ leaves }: MemoryLog, from: number, to: number) => hex(Buffer.concat(leaves.slice(from, to)));

describe("the public log", () => {
  it("is nothing before the ledger's first start, and not broken", async () => {
    const { memory, log } = await opened();
    expect([log.checkpoint(), log.size(), log.newestWith(0)]).toEqual([undefined, 0, undefined]);
    expect(await log.tile(0, 0, 1)).toBeUndefined();
    expect(await log.bundle(0, 1)).toBeUndefined();
    expect(await log.published(0)).toBeUndefined();
    await expect(log.inclusion(0, 1)).rejects.toThrow(RangeError);
    expect(log.status()).toEqual({ looked: true, broken: false });
    await memory.grow(1);
    expect(await log.round()).toBe(LOOK_MS);
    expect([log.checkpoint()?.size, log.size()]).toEqual([1, 1]);
  });

  it("of no entries has a checkpoint and no tile", async () => {
    const { memory, log } = await opened(0);
    expect(log.checkpoint()).toMatchObject({ size: 0, note: memory.checkpoints.get(0)?.note });
    expect(hex(log.checkpoint()?.root)).toBe(hex(emptyRoot()));
    expect(await log.tile(0, 0, 1)).toBeUndefined();
    await memory.grow(300);
    await log.round();
    expect(log.checkpoint()?.size).toBe(300);
  });

  it("gives tiles and bundles of what it has verified, level by level", async () => {
    const { memory, log } = await opened(700);
    expect(hex(await log.tile(0, 0, 256))).toBe(leavesOf(memory, 0, 256));
    expect(hex(await log.tile(0, 2, 188))).toBe(leavesOf(memory, 512, 700));
    const level1 = [0, 1].map((n) => rootOf(memory.leaves.slice(n * 256, n * 256 + 256)));
    expect(hex(await log.tile(1, 0, 2))).toBe(hex(Buffer.concat(level1)));
    expect(hex((await log.bundle(1, 256))?.identity)).toBe(hex(encodeBundle(memory.bodies.slice(256, 512))));
    expect(decodeBundle((await log.bundle(2, 188))?.identity as Uint8Array)).toHaveLength(188);
    for (const [level, index, width] of [
      [0, 2, 189],
      [0, 2, 256],
      [0, 3, 1],
      [1, 0, 3],
      [1, 1, 1],
      [2, 0, 1],
      [63, 0, 1],
      [0, 2 ** 45, 1],
    ] as const)
      expect(await log.tile(level, index, width)).toBeUndefined();
    expect(await log.bundle(2, 189)).toBeUndefined();
  });

  it("gives a partial tile of a smaller log if that had a checkpoint, and no other", async () => {
    const { memory, log } = await opened(100);
    for (const size of [300, 513, 700]) await memory.grow(size);
    await log.round();
    expect(hex(await log.tile(0, 0, 100))).toBe(leavesOf(memory, 0, 100));
    expect(hex(await log.tile(0, 1, 44))).toBe(leavesOf(memory, 256, 300));
    expect(hex(await log.tile(0, 2, 1))).toBe(leavesOf(memory, 512, 513));
    expect(decodeBundle((await log.bundle(1, 44))?.identity as Uint8Array)).toHaveLength(44);
    // 300 leaves have one full tile below them.
    expect(await log.tile(1, 0, 1)).toHaveLength(32);
    for (const [index, width] of [
      [0, 99],
      [0, 101],
      [1, 43],
      [1, 255],
      [2, 2],
    ] as const) {
      expect(await log.tile(0, index, width)).toBeUndefined();
      expect(await log.bundle(index, width)).toBeUndefined();
    }
  });

  it("asks the database once for what is hot, however many ask", async () => {
    const { memory, log } = await opened(700);
    memory.asked.leaves = 0;
    await Promise.all(Array.from({ length: 9 }, () => Promise.all([log.tile(0, 0, 256), log.bundle(0, 256)])));
    await log.tile(0, 0, 256);
    await log.bundle(0, 256);
    expect(memory.asked).toMatchObject({ leaves: 1, bodies: 1 });
  });

  it("gives paths that verify in every tree it has", async () => {
    const { memory, log } = await opened(257);
    await memory.grow(700);
    await log.round();
    for (const size of [257, 700])
      for (const index of [0, 255, 256]) {
        const proof = await log.inclusion(index, size);
        const leaf = memory.leaves[index] as Uint8Array;
        expect(verifyInclusion({ leaf, index, size, proof, root: memory.rootOf(size) })).toBe(true);
      }
    expect(await log.published(257)).toMatchObject({ size: 257, note: memory.checkpoints.get(257)?.note, cosigned: 0 });
    expect(await log.published(300)).toBeUndefined();
    expect(await log.published(701)).toBeUndefined();
    await expect(log.inclusion(0, 701)).rejects.toThrow(RangeError);
  });

  it("looks when an entry is asked for that it has not heard of", async () => {
    const { memory, log } = await opened(10);
    await memory.grow(20);
    await log.reach(9);
    expect(log.size()).toBe(10);
    await Promise.all([log.reach(19), log.reach(12)]);
    expect(log.size()).toBe(20);
    await memory.grow(21);
    expect(await log.tile(0, 0, 21)).toHaveLength(21 * 32);
  });
});

describe("a log that is not what was signed", () => {
  /** Broken in one way between 300 entries, which are served, and 400. */
  const ways: [string, (memory: MemoryLog) => unknown, string][] = [
    ["another leaf", (m) => m.leaves.splice(350, 1, leafHash(Buffer.from("x"))), "do not hash"],
    ["a leaf removed", (m) => m.leaves.splice(350, 1), "the log has no entry 399"],
    [
      "two leaves swapped",
      (m) => m.leaves.splice(350, 2, m.leaves[351] as Uint8Array, m.leaves[350] as Uint8Array),
      "do not hash",
    ],
    ["no leaves at all", (m) => m.leaves.splice(300), "the log has no entry 300"],
    ["no checkpoint", (m) => Object.assign(m.checkpoints.get(400) as object, { note: null }), "is not signed"],
    ["a changed note", (m) => edit(m, (note) => note.replace("\n400\n", "\n401\n")), "is not signed"],
    ["the note of another size", (m) => edit(m, () => m.checkpoints.get(300)?.note ?? ""), "is not signed"],
  ];

  const edit = ({ checkpoints }: MemoryLog, change: (note: string) => string) => {
    const row = checkpoints.get(400) as { note: string };
    row.note = change(row.note);
  };

  it.each(ways)("is not served: %s", async (_, breakIt, about) => {
    const { memory, log } = await opened(300);
    await memory.grow(400);
    breakIt(memory);
    await log.round();
    await log.round();
    expect(log.status()).toEqual({ looked: true, broken: true });
    expect(memory.incidents).toEqual([{ code: "log.broken", about: expect.stringContaining(about) }]);
    expect([log.size(), log.checkpoint()?.size, log.newestWith(300)]).toEqual([300, 300, undefined]);
    expect(await log.tile(0, 1, 144)).toBeUndefined();
    expect(await log.tile(0, 1, 44)).toHaveLength(44 * 32);
  });

  it("is not served by another key's word, nor when it goes back or forks", async () => {
    const { memory, log } = await opened(300);
    const row = memory.checkpoints.get(300);
    memory.checkpoints.set(300, { ...row!, note: await noteOf(plainSample, 300, memory.rootOf(300), "trustee-1") });
    await log.round();
    memory.checkpoints.set(300, { ...row!, note: await noteOf(plainSample, 300, Buffer.alloc(32)) });
    await log.round();
    memory.checkpoints.set(300, { ...row!, size: 299 });
    await log.round();
    expect(memory.incidents.map(({ about }) => about)).toEqual([
      "the checkpoint of size 300 is not signed by the ledger",
      "the entries do not hash to the checkpoint of size 300",
      "the head of the log went back to 299 from 300",
    ]);
    expect(log.checkpoint()?.note).toBe(row?.note);
    memory.checkpoints.set(300, row!);
    await log.round();
    expect(log.status()).toEqual({ looked: true, broken: false });
  });

  it("is not served from the start either", async () => {
    const memory = memoryLog(plainSample);
    await memory.grow(300);
    memory.leaves.reverse();
    const log = createPublicLog(memory.sources);
    await log.round();
    expect([log.status().broken, log.checkpoint(), log.size()]).toEqual([true, undefined, 0]);
  });

  it("gives no tile, bundle or path from what was changed later", async () => {
    const { memory, log } = await opened(600);
    memory.bodies.splice(3, 1, Buffer.from("{}"));
    memory.leaves.splice(3, 1, leafHash(Buffer.from("{}")));
    memory.bodies.splice(590, 1, Buffer.from("{}"));
    const asked = [
      () => log.tile(0, 0, 256),
      () => log.bundle(0, 256),
      () => log.inclusion(0, 600),
      () => log.bundle(2, 88),
    ];
    for (const ask of asked)
      await expect(log.guarded<unknown>(ask)).rejects.toMatchObject({ code: "service.unavailable" });
    expect(log.status()).toEqual({ looked: true, broken: true });
    expect(new Set(memory.incidents.map(({ code }) => code))).toEqual(new Set(["log.broken"]));
    expect(memory.incidents).toHaveLength(3);
    expect(await log.bundle(1, 256)).toBeDefined();
    expect(hex(await log.tile(0, 2, 88))).toBe(leavesOf(memory, 512, 600));
  });

  it("is whole again when what lies there is", async () => {
    const { memory, log } = await opened(600);
    const [body] = memory.bodies.splice(3, 1, Buffer.from("{}"));
    await expect(log.bundle(0, 256)).rejects.toThrow("tile/entries/000");
    memory.bodies.splice(3, 1, body as Uint8Array);
    expect(await log.bundle(0, 256)).toBeDefined();
    expect(log.status().broken).toBe(false);
  });
});

describe("a database that is away", () => {
  it("is no incident: what was verified stays, and the log goes on when it is back", async () => {
    const { memory, log } = await opened(300);
    memory.away = new Error("away");
    await memory.grow(400);
    await log.round();
    expect(log.status()).toEqual({ looked: false, broken: false });
    expect(log.checkpoint()?.size).toBe(300);
    await expect(log.guarded(() => log.tile(0, 0, 256))).rejects.toMatchObject({
      code: "service.unavailable",
      cause: memory.away,
    });
    expect(memory.incidents).toEqual([]);
    expect(memory.lines.map(({ msg }) => msg)).toContain("the look at the log failed");
    memory.away = undefined;
    await log.round();
    expect([log.size(), log.status()]).toEqual([400, { looked: true, broken: false }]);
    expect(await log.tile(0, 0, 256)).toHaveLength(8192);
  });
});

describe("the head that is served", () => {
  const namesIn = (note: string | undefined) =>
    verifyCosignatures(note ?? "", witnessesOf(watched.definition).keys).map(({ name }) => name);

  it("is the newest with a quorum while that is at most five seconds behind", async () => {
    const { memory, log } = await opened(10, watched);
    await memory.cosign(10, "witness-1", "witness-2");
    await memory.grow(20, 5);
    await memory.cosign(20, "witness-3");
    await log.round();
    expect(log.checkpoint()).toMatchObject({ size: 10, cosigned: 2 });
    expect(namesIn(log.checkpoint()?.note)).toEqual(["witness-1", "witness-2"]);
    expect([log.newestWith(9)?.size, log.newestWith(10)?.size, log.newestWith(20)]).toEqual([10, 20, undefined]);
    await memory.grow(30, 5.001);
    await log.round();
    expect(log.checkpoint()).toMatchObject({ size: 30, cosigned: 0, note: memory.checkpoints.get(30)?.note });
    expect(log.newestWith(9)).toMatchObject({ size: 10, cosigned: 2 });
  });

  it("is the head without a quorum from the start, with the lines that there are", async () => {
    const { memory, log } = await opened(10, watched);
    expect(log.checkpoint()).toMatchObject({ size: 10, cosigned: 0 });
    await memory.cosign(10, "witness-3");
    await log.round();
    expect(namesIn(log.checkpoint()?.note)).toEqual(["witness-3"]);
    await memory.cosign(10, "witness-1", "witness-2");
    await log.round();
    expect(log.checkpoint()).toMatchObject({ size: 10, cosigned: 3 });
  });

  it("never becomes a smaller one", async () => {
    const { memory, log } = await opened(10, watched);
    await memory.cosign(10, "witness-1", "witness-2");
    await memory.grow(20, 9);
    await log.round();
    expect(log.checkpoint()?.size).toBe(20);
    for (const size of [12, 22]) await memory.grow(size, 10);
    await memory.cosign(10, "witness-3");
    await log.round();
    expect(log.checkpoint()?.size).toBe(22);
    // A quorum that is fresh and smaller than what was shown waits until it is not smaller.
    await memory.grow(25, 11);
    const small = memory.checkpoints.get(20);
    memory.checkpoints.set(20, { ...small!, signedAt: new Date("2024-06-09T21:00:10Z") });
    await memory.cosign(20, "witness-1", "witness-2");
    await log.round();
    expect([log.checkpoint()?.size, log.newestWith(0)?.size]).toEqual([22, 20]);
    await memory.cosign(25, "witness-1", "witness-2");
    await log.round();
    expect(log.checkpoint()).toMatchObject({ size: 25, cosigned: 2 });
  });

  it("counts no line that is not a witness' own of this very checkpoint", async () => {
    const { memory, log } = await opened(10, watched);
    const root = memory.rootOf(10);
    const lines = memory.checkpoints.get(10)?.lines;
    lines?.push(await lineOf(watched, "witness-1", 9, root), await lineOf(watched, "trustee-1", 10, root));
    lines?.push(await lineOf(watched, "witness-2", 10, Buffer.alloc(32)), "no line", "");
    const good = await lineOf(watched, "witness-3", 10, root);
    lines?.push(good, good, good);
    await log.round();
    expect(log.checkpoint()).toMatchObject({ cosigned: 1, note: `${memory.checkpoints.get(10)?.note}${good}` });
  });

  it("is not a cosigned fork: that is an incident", async () => {
    const { memory, log } = await opened(10, watched);
    await memory.grow(20);
    const root = Buffer.alloc(32, 1);
    const row = memory.checkpoints.get(10);
    const lines = await Promise.all(["witness-1", "witness-2"].map((name) => lineOf(watched, name, 10, root)));
    memory.checkpoints.set(10, { ...row!, note: await noteOf(watched, 10, root), lines });
    await log.round();
    expect(memory.incidents).toEqual([
      { code: "log.broken", about: "the entries do not hash to the checkpoint of size 10" },
    ]);
    expect(log.checkpoint()?.note).toBe(row?.note);
  });
});
