import { beforeAll, describe, expect, it } from "vitest";
import type { AuditOptions } from "../services/audit/audit.ts";
import type { Visit } from "../services/audit/visit.ts";
import { sampleDefinition } from "../shared/definition/sample.ts";
import { UsageError } from "../shared/platform/publisher/discrepancy.ts";
import { importVerifyKey } from "../shared/statement/ed25519.ts";
import { honestNight, voices } from "./audit-night.ts";
import { evidenceOf, noteOf, proofOf, published, receiptOf, type Served } from "./audit-published.ts";
import { auditRun, type Expected } from "./audit-run.ts";
import { createWorld, rootAt, type World } from "./audit-world.ts";

/** What an auditor holds against a log: a key, a witness, the last visit, receipts, proofs, evidence. */

const audits = auditRun();
let night: World;
let files: Map<string, Served>;
beforeAll(async () => {
  night = await honestNight();
  files = await published(night);
});

describe("another log", () => {
  it("a fork's checkpoint, signed and cosigned", async () => {
    const note = await noteOf(night, 24, Buffer.alloc(32, 7));
    const served = new Map(files).set("/log/checkpoint", { ...files.get("/log/checkpoint")!, body: Buffer.from(note) });
    await audits.refused(served, { code: "checkpoint.differs", who: /ledger/ });
  });

  it("another definition over the same log, signed by the same authority", async () => {
    const other = sampleDefinition({
      witnesses: 3,
      backups: ["AT"],
      edit: (definition) => Object.assign(definition, { title: "Another" }),
    });
    const served = new Map(files);
    const put = (path: string, text: Uint8Array | string) =>
      served.set(path, { ...files.get(path)!, body: Buffer.from(text as string) });
    put("/v1/definition", other.bytes);
    put("/v1/definition/signatures", JSON.stringify(other.signatures));
    await audits.refused(served, { code: "release.list", what: /another definition/ });
    put("/v1/releases", files.get("/v1/releases")!.body.toString("utf8").replace(night.sample.hash, other.hash));
    await audits.refused(served, { code: "definition.not-of-log", index: 0 });
  });

  it("another definition than the keys that the auditor trusts have signed", async () => {
    const stranger = sampleDefinition({ seed: "another" });
    const [key] = stranger.anchors;
    await audits.refused(
      files,
      { code: "definition.untrusted", who: /authority/ },
      { definitionKeys: [{ id: undefined, publicKey: key!.publicKey }] },
    );
  });

  it("a witness of the auditor's own that has not cosigned", async () => {
    const stranger = sampleDefinition({ seed: "another", witnesses: 1 }).keys.get("witness-1")!;
    const witness = { name: "own", publicKey: importVerifyKey(stranger.publicRaw)! };
    await audits.refused(files, { code: "checkpoint.quorum", what: /own, whom you trust/ }, { witnesses: [witness] });
  });
});

describe("since the last visit", () => {
  const visitOf = (changes: Partial<Visit> = {}): Partial<AuditOptions> => ({
    visit: {
      url: "http://example.eu",
      at: "2024-06-09T22:00:00Z",
      definition: night.sample.hash,
      mode: "exercise",
      origin: "results.example.eu/sample",
      size: 15,
      root: rootAt(night, 15).toString("base64"),
      releases: night.releases.slice(0, 1).map(({ sha256 }) => sha256),
      ...changes,
    },
  });

  it.each<[string, () => Partial<Visit>, Expected]>([
    [
      "the log went back",
      () => ({ size: 25 }),
      { code: "log.went-back", what: /only 24 entries.*25 at your last visit/, who: /ledger/ },
    ],
    [
      "the log forked",
      () => ({ root: rootAt(night, 14).toString("base64") }),
      { code: "log.forked", what: /first 15 entries/ },
    ],
    ["a release changed", () => ({ releases: ["0".repeat(64)] }), { code: "release.changed", path: "/v1/releases/1" }],
    [
      "a release is gone",
      () => ({ releases: [...night.releases.map(({ sha256 }) => sha256), "0".repeat(64)] }),
      { code: "release.hidden", what: /Release 4/ },
    ],
    ["the definition changed", () => ({ definition: "0".repeat(64), mode: "live" }), { code: "visit.definition" }],
  ])("%s", async (_, visit, expected) => {
    expect(await audits.failureOf(files, visitOf())).toBeNull();
    await audits.refused(files, expected, visitOf(visit()));
  });

  it("another exercise at the same address is no failure, unless the state file was named", async () => {
    const other = visitOf({ definition: "0".repeat(64), size: 99 });
    expect(await audits.failureOf(files, other)).toBeNull();
    await audits.refused(files, { code: "visit.definition" }, { ...other, isNamedState: true });
  });
});

describe("what the auditor brings", () => {
  type Brought = Partial<Record<"receipts" | "proofs" | "evidence", string>>;
  const withFiles = (brought: Brought): Partial<AuditOptions> => {
    const named = (text: string | undefined) => (text === undefined ? [] : [{ file: "brought", text }]);
    return {
      files: { receipts: named(brought.receipts), proofs: named(brought.proofs), evidence: named(brought.evidence) },
    };
  };
  /** The same night up to entry 12, and then another. */
  const forked = async () => {
    const other = createWorld();
    const { tally } = voices(other);
    await tally("AT-1");
    await tally("AT-1");
    return other;
  };
  const flipText = (text: string, at: number) =>
    `${text.slice(0, at)}${text[at] === "A" ? "B" : "A"}${text.slice(at + 1)}`;
  const evidence = async (world: World) => await evidenceOf(world, { sequence: 5 }, 5, 7);

  it("holds when it is the ledger's own", async () => {
    audits.server().serve(files);
    const brought = {
      receipts: `${await receiptOf(night, 4)}\n`,
      proofs: await proofOf(night, 7),
      evidence: await evidence(night),
    };
    const report = await audits.run(withFiles(brought));
    expect([report.failure, report.figures]).toMatchObject([null, { receipts: 1, proofs: 1, evidence: 1 }]);
    expect(
      await audits.failureOf(
        files,
        withFiles({ receipts: await receiptOf(night, 22), proofs: await proofOf(night, 3, 9, false) }),
      ),
    ).toBeNull();
  });

  it.each<[string, () => Promise<Brought>, Expected]>([
    [
      "a flipped byte of a receipt",
      async () => ({ receipts: flipText(await receiptOf(night, 4), 400) }),
      { code: "receipt.refused", path: "brought", who: /gave you/ },
    ],
    [
      "a receipt of another log",
      async () => ({ receipts: await receiptOf(await honestNight({ seed: "other" }), 4) }),
      { code: "receipt.refused" },
    ],
    [
      "a receipt of a fork",
      async () => ({ receipts: await receiptOf(await forked(), 2) }),
      { code: "log.forked", path: "brought", who: /ledger/ },
    ],
    [
      "a receipt of a longer log",
      async () => ({ receipts: await longer().then((world) => receiptOf(world, 24)) }),
      { code: "log.went-back", what: /brought was given when it had 25/ },
    ],
    [
      "a flipped byte of a proof's hash",
      async () => ({ proofs: flipText(await proofOf(night, 7), (await proofOf(night, 7)).indexOf("index 7\n") + 12) }),
      { code: "proof.refused", path: "brought" },
    ],
    [
      "a proof for another entry",
      async () => ({ proofs: (await proofOf(night, 7)).replace("index 7", "index 6") }),
      { code: "proof.refused" },
    ],
    [
      "a proof without its entry that leads nowhere",
      async () => ({ proofs: (await proofOf(night, 7, 24, false)).replace("index 7", "index 6") }),
      { code: "proof.refused" },
    ],
    ["a proof from a fork", async () => ({ proofs: await proofOf(await forked(), 2) }), { code: "log.forked" }],
    [
      "a proof that too few witnesses have cosigned",
      async () => ({ proofs: cosignedBy(1, await proofOf(night, 7)) }),
      { code: "proof.refused", what: /checkpoint that 1 of the definition's witnesses have cosigned; it needs 2/ },
    ],
    [
      "a flipped byte of evidence",
      async () => ({ evidence: (await evidence(night)).replace(/"statement":"(.{40})./, '"statement":"$1_') }),
      { code: "evidence.refused", path: "brought" },
    ],
    ["evidence of a longer log", async () => ({ evidence: await evidence(await longer()) }), { code: "log.went-back" }],
    [
      "evidence that too few witnesses have cosigned",
      async () => {
        const file = JSON.parse(await evidence(night)) as { checkpoint: string };
        return { evidence: JSON.stringify({ ...file, checkpoint: cosignedBy(1, file.checkpoint) }) };
      },
      { code: "evidence.refused", what: /checkpoint that 1 of the definition's witnesses/ },
    ],
    [
      "evidence that calls itself another election's",
      async () => ({ evidence: (await evidence(night)).replace('"election":"sample"', '"election":"other"') }),
      { code: "evidence.refused", what: /of other \(exercise\); this log is of sample \(exercise\)/ },
    ],
    [
      "evidence of an exercise that calls itself live",
      async () => ({ evidence: (await evidence(night)).replace('"mode":"exercise"', '"mode":"live"') }),
      { code: "evidence.refused", what: /of sample \(live\)/ },
    ],
  ])("%s", async (_, brought, expected) => {
    await audits.refused(files, expected, withFiles(await brought()));
  });

  it.each<[string, Brought, RegExp]>([
    ["a file that is no proof", { proofs: "c2sp.org/tlog-proof@v2\n" }, /^--proof brought: it is no proof/],
    ["a file that is no evidence", { evidence: "[]" }, /^--evidence brought: it is no evidence file/],
    [
      "the list of evidence",
      { evidence: '{"size":9,"equivocations":[],"gaps":[]}' },
      /the list that \/v1\/evidence serves/,
    ],
    ["a file that is no receipt", { receipts: "\u0000" }, /^--receipt brought: it is no receipt/],
    ["the answer in which a receipt came", { receipts: '{"receipt":"a.b.c"}' }, /the whole answer of ingest/],
  ])("%s is a slip of whoever named it, and says nothing of the log", async (_, brought, sentence) => {
    audits.server().serve(files);
    await expect(audits.run(withFiles(brought))).rejects.toThrow(UsageError);
    await expect(audits.run(withFiles(brought))).rejects.toThrow(sentence);
  });

  /** The same note, with the log's line and those of the first few witnesses. */
  function cosignedBy(count: number, note: string): string {
    const lines = note.trimEnd().split("\n");
    const first = lines.findIndex((line) => line.startsWith("— "));
    return `${lines.slice(0, first + 1 + count).join("\n")}\n`;
  }

  it("evidence of a gap holds as long as the log has the gap", async () => {
    const world = createWorld();
    const { closed, tally } = voices(world);
    await closed("AT");
    await closed("AT");
    await tally("AT-1", {}, { sequence: 5 });
    const served = await published(world);
    const about = (from: number, to: number, ...indexes: number[]) => evidenceOf(world, { from, to }, ...indexes);
    expect(await audits.failureOf(served, withFiles({ evidence: await about(3, 4, 2, 3) }))).toBeNull();
    // The file alone cannot show that what it leaves out is in the log.
    const lie = { evidence: await about(2, 4, 1, 3) };
    await audits.refused(
      served,
      { code: "evidence.differs", index: 2, what: /number 2 of AT-1.*entry 2/ },
      withFiles(lie),
    );
  });

  it("evidence that gives a key another public half than the log's is refused", async () => {
    const file = JSON.parse(await evidence(night)) as { keys: { publicKey: string; source: unknown }[] };
    file.keys.push({
      ...file.keys[0]!,
      ...{ id: "AT-2", publicKey: sampleDefinition({ seed: "x" }).keys.get("AT-2")!.jwk.x },
    });
    const brought = withFiles({ evidence: JSON.stringify(file) });
    await audits.refused(files, { code: "evidence.differs", what: /AT-2 is another key/ }, brought);
  });

  it("a receipt with another statement than the log's is refused", async () => {
    const receipt = await receiptOf(night, 4);
    const lied = night.log[4]!.statement;
    Object.assign(night.log[4]!, { statement: night.log[6]!.statement });
    const other = await receiptOf(night, 4);
    Object.assign(night.log[4]!, { statement: lied });
    expect(other).not.toBe(receipt);
    await audits.refused(files, { code: "receipt.differs", index: 4, path: "brought" }, withFiles({ receipts: other }));
  });

  async function longer(): Promise<World> {
    const world = await honestNight();
    await voices(world).closed("LU");
    return world;
  }
});
