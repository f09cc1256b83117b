import { sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { newSampleKey } from "../shared/definition/sample.ts";
import { signCheckpoint } from "../shared/ledger/checkpoint.ts";
import { cosign } from "../shared/ledger/cosignature.ts";
import { RECEIPT_TYP, receiptPayload } from "../shared/ledger/receipt.ts";
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
