import { sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { newSampleKey } from "../shared/definition/sample.ts";
import { firstAuthority } from "../shared/ledger/authority.ts";
import { signCheckpoint } from "../shared/ledger/checkpoint.ts";
import { cosign } from "../shared/ledger/cosignature.ts";
import { canonical } from "../shared/ledger/entry.ts";
import { RECEIPT_TYP, receiptPayload } from "../shared/ledger/receipt.ts";
import { encodeBundle, TILE_WIDTH } from "../shared/ledger/tiles.ts";
import { createClient } from "../shared/platform/publisher/client.ts";
import { findAuthorities } from "../shared/platform/publisher/origins.ts";
import { compactEnvelope } from "../shared/statement/jws.ts";
import type { Statement } from "../shared/statement/types.ts";
import { voices } from "./audit-night.ts";
import { proofOf, published, receiptOf, type Served } from "./audit-published.ts";
import { auditRun, type Expected } from "./audit-run.ts";
import { CLOSED, common, createWorld, rootAt, say, type World, waitUntil } from "./audit-world.ts";
import { ownKeyOf } from "./ledger.ts";

/** A log that goes on under another origin and key is followed where two trustees decided it, and nowhere else. */

const SECOND = "results.example.eu/sample-2";
const { server, run, failureOf, freshState } = auditRun();

/** Two closures, then an entry that opens the second origin, which the ledger accepts; then another closure. */
async function goingOn(more: object = {}, by = ["trustee-1", "trustee-2"]): Promise<World> {
  const world = createWorld();
  newSampleKey(world.sample, "ledger-2");
  const { closed } = voices(world);
  waitUntil(world, CLOSED + 1_000);
  await closed("AT");
  await closed("LU");
  const size = world.log.length;
  const key = { id: "ledger-2", publicKey: world.sample.keys.get("ledger-2")!.jwk.x };
  const opens = { origin: SECOND, key, size, root: rootAt(world, size).toString("base64"), reason: "as agreed" };
  const said = { type: "decision", ...common(world, "EU", by[0]!), decision: "origin", about: "EU", ...opens, ...more };
  await say(world, said as Statement, by, { verdict: { verdict: "accepted", findings: [] } });
  await closed("AT");
  return world;
}

/** The present head, signed by the second origin's key unless another is named, and cosigned by every witness. */
async function noteBy(world: World, kid = "ledger-2", origin = SECOND): Promise<string> {
  const [size, root] = [world.log.length, rootAt(world, world.log.length)];
  const { own, sign: signText } = ownKeyOf(world.sample, kid);
  const note = await signCheckpoint({ origin, size, root, publicRaw: own.raw, sign: signText });
  const text = note.slice(0, note.lastIndexOf("\n\n") + 1);
  const lines = (world.sample.definition.witnesses?.keys ?? []).map(({ name }) => {
    const { publicRaw: raw, privateKey } = world.sample.keys.get(name)!;
    return cosign(text, { name, raw, seconds: 1_718_000_000, sign: (bytes) => sign(null, bytes, privateKey) });
  });
  return note + (await Promise.all(lines)).join("");
}

async function under(world: World, note: string): Promise<Map<string, Served>> {
  const files = await published(world);
  return files.set("/log/checkpoint", { status: 200, type: "text/plain", body: Buffer.from(note) });
}

/** The receipt of an entry under the present head, signed with a key of the log. */
async function receiptBy(world: World, index: number, kid: string): Promise<string> {
  const { entry, judgement, statement } = world.log[index]!;
  if (entry.type === "definition" || !judgement || !statement) throw new RangeError("entry 0 has no receipt");
  const { hash: definition, definition: named, keys } = world.sample;
  const checkpoint = await noteBy(world);
  const payload = receiptPayload({ definition, mode: named.mode, entry, judgement, statement, checkpoint });
  const { signed, assemble } = compactEnvelope(kid, payload, RECEIPT_TYP);
  return assemble(sign(null, signed, keys.get(kid)!.privateKey));
}

describe("an audit of a log that goes on under another origin", () => {
  it("follows two trustees; what was given under the former one still holds", async () => {
    const world = await goingOn();
    server().serve(await under(world, await noteBy(world)));
    const files = {
      receipts: [
        { file: "before", text: await receiptOf(world, 1) },
        { file: "after", text: await receiptBy(world, 4, "ledger-2") },
        { file: "asked for again", text: await receiptBy(world, 1, "ledger-2") },
      ],
      proofs: [{ file: "before", text: await proofOf(world, 1, 3) }],
      evidence: [],
    };
    const { mode, origin } = world.sample.definition;
    const before = { definition: world.sample.hash, mode, origin, size: 3, root: rootAt(world, 3).toString("base64") };
    const visit = { ...before, url: server().url.href, at: "2024-06-09T22:00:00Z", releases: [] };
    const report = await run({ files, visit, stateFile: freshState() });
    expect(report).toMatchObject({ failure: null, checkpoint: { origin: SECOND, size: 5 }, lastVisit: { size: 3 } });
  });

  it("finds that a former key signs no receipts under the new origin", async () => {
    const world = await goingOn();
    const receipts = [{ file: "late", text: await receiptBy(world, 4, "ledger-1") }];
    const failure = await failureOf(await under(world, await noteBy(world)), {
      files: { receipts, proofs: [], evidence: [] },
    });
    expect(failure).toMatchObject({ code: "receipt.refused", what: expect.stringContaining("had replaced") });
  });

  const same = (world: World) => noteBy(world);
  const other = Buffer.alloc(32, 1).toString("base64");
  it.each<[string, () => Promise<World>, (world: World) => Promise<string>, Expected["what"]]>([
    ["one trustee decided", () => goingOn({}, ["trustee-1"]), same, /no note that the key of .*\/sample has signed/],
    ["it was decided for another root", () => goingOn({ root: other }), same, /signed as if it went on as .*sample-2/],
    ["it was decided for another size", () => goingOn({ size: 2 }), same, /no note/],
    ["it was decided for another definition", () => goingOn({ definition: "0".repeat(64) }), same, /no note/],
    [
      "the new key did not sign",
      () => goingOn(),
      (world) => noteBy(world, "ledger-1"),
      /no note .*sample-2 has signed/,
    ],
    [
      "the checkpoint is still the former origin's",
      () => goingOn(),
      (world) => noteBy(world, "ledger-1", world.sample.definition.origin),
      /By the rules the log goes on as .*sample-2 \(from 4 entries on\); its checkpoint is signed as if/,
    ],
    [
      "nobody decided it",
      async () => {
        const world = createWorld();
        newSampleKey(world.sample, "ledger-2");
        return world;
      },
      same,
      /no note/,
    ],
  ])("refuses it when %s", async (_, made, note, what) => {
    const world = await made();
    const failure = await failureOf(await under(world, await note(world)));
    expect(failure?.code).toBe("checkpoint.unsigned");
    expect(failure?.what).toMatch(what as RegExp);
  });
});

describe("a checkpoint that nobody signed, of an origin that nobody opened", () => {
  const HUGE = 2 ** 50;
  /** Some are asked for ahead, and some that an audit before this one asked for may still arrive. */
  const FEW = 40;
  const claim = (size: number) => {
    const text = `elsewhere.example/log\n${size}\n${Buffer.alloc(32).toString("base64")}\n`;
    return `${text}\n— elsewhere.example/log ${Buffer.alloc(68, 1).toString("base64")}\n`;
  };
  const bundleIndex = (path: string) => {
    const [, digits] = /^\/log\/tile\/entries\/(.*)$/.exec(path) ?? [];
    return digits === undefined ? undefined : Number(digits.replaceAll(/[x/]/g, ""));
  };
  /** Serves a checkpoint of such a size, and bundles that are made up as they are asked for. */
  async function served(size: number, entryAt: (index: number, page: number) => string): Promise<World> {
    const world = createWorld();
    server().serve(await under(world, claim(size)));
    server().answer = (path) => {
      const page = bundleIndex(path);
      if (page === undefined) return undefined;
      const entries = Array.from({ length: TILE_WIDTH }, (_, n) => Buffer.from(entryAt(page * TILE_WIDTH + n, page)));
      return { status: 200, type: "application/octet-stream", body: Buffer.from(encodeBundle(entries)) };
    };
    return world;
  }
  const entryOf = (type: "tally" | "decision") => (index: number) =>
    canonical({
      ...{ index, received: "2024-06-09T21:00:00.000Z", state: "EU", key: "trustee-1", sequence: index + 1, type },
      ...{ units: 0, statement: "0".repeat(64), judgement: "0".repeat(64) },
    });
  const tallyAt = entryOf("tally");
  const first = (index: number) =>
    index === 0
      ? canonical({
          ...{ index: 0, received: "2024-06-09T21:00:00.000Z", type: "definition", definition: "0".repeat(64) },
          signatures: [],
        })
      : tallyAt(index);
  const search = async (world: World, mostEntries?: number) => {
    const { signal } = new AbortController();
    const client = createClient({ base: server().url, signal, patienceMs: 1_000 });
    const { definition, hash } = world.sample;
    const terms = { definition, hash, authorities: [firstAuthority(definition)] };
    const found = await findAuthorities(client, terms, { mostEntries }).catch((error: unknown) => error);
    client.close();
    return found;
  };
  const bundlesAsked = () => server().asked.filter((path) => bundleIndex(path) !== undefined).length;

  it("ends when the entries are more than a log may have", async () => {
    const world = await served(HUGE, first);
    expect(await search(world, 4 * TILE_WIDTH)).toMatchObject({
      code: "checkpoint.unsigned",
      where: { path: "/log/checkpoint" },
      message: expect.stringMatching(/of 1125899906842624 entries of elsewhere.*none of the first 1024 opens/),
    });
    expect(bundlesAsked()).toBeLessThan(FEW);
  });

  it("ends when the decisions are more than trustees make, and asks for no more of them", async () => {
    const world = await served(HUGE, (index) => (index === 0 ? first(0) : entryOf("decision")(index)));
    expect(await search(world)).toMatchObject({
      code: "checkpoint.unsigned",
      message: expect.stringMatching(/none of its first 2048 decisions/),
    });
    expect(bundlesAsked()).toBeLessThan(FEW);
    expect(server().asked.filter((path) => path.startsWith("/statements/"))).toHaveLength(2048);
  });

  it.each<[string, (index: number, page: number) => string, RegExp]>([
    [
      "the same bundle again and again",
      (index, page) => first(index - page * TILE_WIDTH),
      /place of entry 256 in \/log\/tile\/entries\/001 is entry 0/,
    ],
    ["what is no entry", (index) => (index === 300 ? "{}" : first(index)), /place of entry 300 in .*\/001 is no entry/],
  ])("ends at %s", async (_, entryAt, what) => {
    const failure = await failureOfServed(await served(HUGE, entryAt));
    expect(failure).toMatchObject({ code: "bundle.differs", what: expect.stringMatching(what) });
    expect(bundlesAsked()).toBeLessThan(FEW);
  });
  const failureOfServed = async (_: World) => (await run()).failure;

  it("is looked through no further than the decision that opens its origin", async () => {
    const world = await goingOn();
    const files = await published(world);
    server().serve(
      files.set("/log/checkpoint", { ...files.get("/log/checkpoint")!, body: Buffer.from(claimOf(HUGE)) }),
    );
    server().answer = (path) => {
      const page = bundleIndex(path);
      if (page === undefined) return undefined;
      const entries = Array.from({ length: TILE_WIDTH }, (_, n) => {
        const index = page * TILE_WIDTH + n;
        return world.log[index]?.body ?? Buffer.from(tallyAt(index));
      });
      return { status: 200, type: "application/octet-stream", body: Buffer.from(encodeBundle(entries)) };
    };
    expect(await search(world)).toMatchObject([{ from: 0 }, { from: 4, origin: SECOND }]);
    expect(bundlesAsked()).toBeLessThan(FEW);
  });
  const claimOf = (size: number) => claim(size).replaceAll("elsewhere.example/log", SECOND);
});
