import { createHash, sign } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally, signSample } from "../definition/sample.ts";
import { signersOf } from "../statement/authentic.ts";
import type { Statement } from "../statement/types.ts";
import { firstAuthority } from "./authority.ts";
import { signCheckpoint, verifierKey } from "./checkpoint.ts";
import { canonical, type Entry } from "./entry.ts";
import { type Evidence, numbersOf, verifyEvidence } from "./evidence.ts";
import { inclusionProof, leafHash, rootOf } from "./merkle.ts";

const sample = sampleDefinition();
const other = sampleDefinition({ seed: "other" });
const { origin } = sample.definition;
const ledger = sample.keys.get("ledger-1")!;
const ledgerKey = verifierKey(origin, firstAuthority(sample.definition).key.raw);
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

interface Said {
  statement: Statement;
  jws: Uint8Array;
}

function tally(sequence: number, electors = 812, definition = sample.hash): Said {
  const common = { ...sampleCommon(sample, "AT", sequence), definition };
  const statement: Statement = { type: "tally", ...common, tallies: [sampleTally("AT-1", { electors })] };
  return { statement, jws: signSample(sample, statement, "AT-1") };
}

function voided(sequence: number, voids: number): Said {
  const statement: Statement = { type: "void", ...sampleCommon(sample, "AT", sequence), voids, reason: "lost" };
  return { statement, jws: signSample(sample, statement, "AT-1") };
}

function entryOf({ statement, jws }: Said, index: number, key: string): Entry {
  return {
    index,
    received: "2024-06-09T21:30:00.000Z",
    state: "AT",
    key,
    sequence: statement.sequence,
    type: statement.type,
    units: statement.type === "tally" ? statement.tallies.length : 0,
    statement: createHash("sha256").update(jws).digest("hex"),
    judgement: "0".repeat(64),
  };
}

type About = Pick<Evidence, "kind" | "about">;

/** A log of these statements, and the file that has them all as its parts. */
async function fileOf(about: About, said: readonly Said[], change: { entry?: Partial<Entry>; key?: string } = {}) {
  const bodies = said.map((one, n) => canonical({ ...entryOf(one, n + 1, change.key ?? "AT-1"), ...change.entry }));
  const leaves = ["entry 0", ...bodies, "one more"].map((body) => leafHash(Buffer.from(body, "utf8")));
  const size = leaves.length;
  const signer = { sign: (text: Uint8Array) => sign(null, text, ledger.privateKey), publicRaw: ledger.publicRaw };
  return {
    type: "evidence",
    ...about,
    election: "sample",
    mode: "exercise",
    definition: sample.hash,
    origin,
    ledgerKey,
    checkpoint: await signCheckpoint({ origin, size, root: rootOf(leaves), ...signer }),
    keys: [{ id: "AT-1", publicKey: base64urlOf("AT-1"), source: "definition" }],
    parts: said.map(({ jws }, n) => ({
      index: n + 1,
      body: base64(Buffer.from(bodies[n] as string, "utf8")),
      statement: base64(jws),
      proof: inclusionProof(leaves, n + 1, size).map(base64),
    })),
  } as Evidence;
}

const base64urlOf = (kid: string) => Buffer.from(sample.keys.get(kid)?.publicRaw ?? []).toString("base64url");

const TWICE: About = { kind: "equivocation", about: { key: "AT-1", sequence: 3 } };
const gapOf = (from: number, to: number): About => ({ kind: "gap", about: { key: "AT-1", from, to } });

/** A copy with one thing changed. */
function changed(file: Evidence, change: (copy: Evidence) => void): Evidence {
  const copy = structuredClone(file);
  change(copy);
  return copy;
}

const flipped = (text: string) => {
  const bytes = Buffer.from(text, "base64");
  bytes[bytes.length - 3]! ^= 1;
  return bytes.toString("base64");
};

describe("evidence that holds", () => {
  it("of an equivocation", async () => {
    const file = await fileOf(TWICE, [tally(3), tally(3, 900), tally(3, 901)]);
    expect(verifyEvidence(file)).toEqual([]);
    expect(verifyEvidence(JSON.parse(JSON.stringify(file)))).toEqual([]);
    const expected = { ledgerKey, definition: sample.hash, keys: signersOf(sample.definition) };
    expect(verifyEvidence(file, expected)).toEqual([]);
  });

  it.each([
    ["between two statements", gapOf(4, 6), [tally(3), tally(7)]],
    ["from the first number on", gapOf(1, 2), [tally(3)]],
    ["below a late one", gapOf(4, 4), [tally(5), tally(3)]],
    ["beside a number that was voided", gapOf(2, 2), [tally(1), voided(9, 3)]],
    ["with one statement on both sides", gapOf(4, 4), [voided(5, 3)]],
  ])("of a gap %s", async (_, about, said) => {
    expect(verifyEvidence(await fileOf(about, said))).toEqual([]);
  });
});

/** One letter of the JWS exchanged for another of its alphabet: it reads as before and says something else. */
function withAnotherLetter(statement: string): string {
  const jws = Buffer.from(statement, "base64").toString("latin1");
  const at = jws.length - 40; // in the signature
  const letter = jws[at] === "A" ? "B" : "A";
  return Buffer.from(jws.slice(0, at) + letter + jws.slice(at + 1), "latin1").toString("base64");
}

describe("evidence that does not hold says why", () => {
  let file: Evidence;
  beforeAll(async () => {
    file = await fileOf(TWICE, [tally(3), tally(3, 900)]);
  });
  const part = (copy: Evidence, n = 1) => copy.parts[n]!;

  it.each<[string, (copy: Evidence) => void, string[]]>([
    [
      "a byte of a statement",
      (copy) => Object.assign(part(copy), { statement: withAnotherLetter(part(copy).statement) }),
      ["part 1: the statement is another one than the entry names", "part 1: the signature of AT-1 does not hold"],
    ],
    [
      "another statement in its place",
      (copy) => Object.assign(part(copy), { statement: part(copy, 0).statement }),
      ["part 1: the statement is another one than the entry names", "two parts have the same payload"],
    ],
    [
      "no envelope",
      (copy) => Object.assign(part(copy), { statement: "e30=" }),
      ["part 1: the statement is another one than the entry names", "part 1: the statement is malformed"],
    ],
    [
      "base64 that is none",
      (copy) => Object.assign(part(copy), { statement: `${part(copy).statement}!` }),
      ["part 1: `statement` is not base64"],
    ],
    [
      "another body",
      (copy) => Object.assign(part(copy), { body: part(copy, 0).body }),
      ["part 1: `body` is not entry 2"],
    ],
    [
      "a body that is not canonical",
      (copy) => {
        const entry = JSON.parse(Buffer.from(part(copy).body, "base64").toString("utf8")) as object;
        part(copy).body = base64(Buffer.from(JSON.stringify(entry, null, 1), "utf8"));
      },
      ["part 1: `body` is not entry 2"],
    ],
    [
      "an entry that was changed",
      (copy) => {
        const entry = JSON.parse(Buffer.from(part(copy).body, "base64").toString("utf8")) as Entry;
        part(copy).body = base64(Buffer.from(canonical({ ...entry, units: 2 }), "utf8"));
      },
      ["part 1: its entry is not proven to be in the log"],
    ],
    ["a proof that was cut", (copy) => part(copy).proof.pop(), ["part 1: its entry is not proven to be in the log"]],
    [
      "a hash of a proof",
      (copy) => {
        part(copy).proof[0] = flipped(part(copy).proof[0]!);
      },
      ["part 1: its entry is not proven to be in the log"],
    ],
    ["another index", (copy) => Object.assign(part(copy), { index: 3 }), ["part 1: `body` is not entry 3"]],
    [
      "one part twice",
      (copy) => {
        copy.parts[1] = part(copy, 0);
      },
      ["its parts are not in the order of the log", "two parts have the same payload"],
    ],
    ["the parts swapped", (copy) => copy.parts.reverse(), ["its parts are not in the order of the log"]],
    ["a part left out", (copy) => copy.parts.pop(), ["one statement is no equivocation"]],
    [
      "a key that is not there",
      (copy) => Object.assign(copy.keys[0]!, { id: "AT-2" }),
      ["part 0: AT-1 signed it and is not among the keys", "part 1: AT-1 signed it and is not among the keys"],
    ],
    [
      "another key",
      (copy) => Object.assign(copy.keys[0]!, { publicKey: base64urlOf("LU-1") }),
      ["part 0: the signature of AT-1 does not hold", "part 1: the signature of AT-1 does not hold"],
    ],
    [
      "a key of small order",
      (copy) => Object.assign(copy.keys[0]!, { publicKey: Buffer.alloc(32).toString("base64url") }),
      [
        "AT-1 is no key under the strict rule",
        "part 0: AT-1 signed it and is not among the keys",
        "part 1: AT-1 signed it and is not among the keys",
      ],
    ],
    ["a key twice", (copy) => copy.keys.push(copy.keys[0]!), ["AT-1 stands twice among its keys"]],
    [
      "another definition",
      (copy) => Object.assign(copy, { definition: other.hash }),
      [0, 1].map((n) => `part ${n}: it was signed for another definition and uses no number of this one`),
    ],
    [
      "another log's key",
      (copy) => Object.assign(copy, { ledgerKey: verifierKey(origin, firstAuthority(other.definition).key.raw) }),
      ["its checkpoint is not signed by the log's key"],
    ],
    [
      "another origin",
      (copy) => Object.assign(copy, { origin: "elsewhere.example" }),
      ["`ledgerKey` is no verifier key of its origin"],
    ],
    [
      "another size in its checkpoint",
      (copy) => Object.assign(copy, { checkpoint: copy.checkpoint.replace("\n4\n", "\n5\n") }),
      ["its checkpoint is not signed by the log's key"],
    ],
    [
      "another number",
      (copy) => Object.assign(copy.about, { sequence: 4 }),
      ["a part has another sequence number than 4"],
    ],
    [
      "another key's number",
      (copy) => Object.assign(copy.about, { key: "AT-2" }),
      ["a part is not signed first by AT-2"],
    ],
  ])("%s", (_, change, reasons) => {
    const copy = changed(file, (one) => void change(one));
    expect(verifyEvidence(copy)).toEqual(reasons);
  });

  it("what the reader knows better", () => {
    const foreign = verifierKey(origin, firstAuthority(other.definition).key.raw);
    expect(verifyEvidence(file, { ledgerKey: foreign })).toEqual(["its log's key is not the expected one"]);
    expect(verifyEvidence(file, { definition: other.hash })).toEqual(["it is of another definition"]);
    expect(verifyEvidence(file, { keys: signersOf(other.definition) })).toEqual(["AT-1 is another key than expected"]);
    expect(verifyEvidence(file, { keys: new Map() })).toEqual(["AT-1 is another key than expected"]);
  });

  it.each<[string, Partial<Entry>]>([
    ["sequence", { sequence: 4 }],
    ["type", { type: "seats" }],
    ["key", { key: "AT-2" }],
  ])("an entry that says another %s than its statement", async (_, entry) => {
    const reasons = verifyEvidence(await fileOf(TWICE, [tally(3), tally(3, 900)], { entry }));
    for (const n of [0, 1]) expect(reasons).toContain(`part ${n}: the statement is not what the entry says of it`);
  });

  it.each<[string, About, Said[], string[]]>([
    ["that has no upper side", gapOf(4, 6), [tally(3)], ["no part uses or voids 7"]],
    ["that has no lower side", gapOf(4, 6), [tally(7)], ["no part uses or voids 3"]],
    [
      "that is used",
      gapOf(4, 6),
      [tally(3), tally(5), tally(7)],
      ["a part uses or voids a missing number", "a part is on neither side of the gap"],
    ],
    ["that is voided", gapOf(4, 6), [tally(3), voided(7, 5)], ["a part uses or voids a missing number"]],
    ["with a part beside it", gapOf(4, 6), [tally(3), tally(7), tally(9)], ["a part is on neither side of the gap"]],
    ["that ends before it begins", gapOf(6, 4), [tally(5)], ["its numbers end before they begin"]],
  ])("a gap %s", async (_, about, said, reasons) => {
    expect(verifyEvidence(await fileOf(about, said))).toEqual(reasons);
  });

  it.each<[string, unknown]>([
    ["nothing", undefined],
    ["a text", "evidence"],
    ["no parts", []],
  ])("what is no file at all: %s", (_, value) => {
    expect(verifyEvidence(value)).not.toEqual([]);
    expect(verifyEvidence({ ...file, parts: value })).not.toEqual([]);
    expect(verifyEvidence({ ...file, about: value })).not.toEqual([]);
  });

  it("a member that does not belong, a kind that is none, too many parts", () => {
    expect(verifyEvidence({ ...file, note: "" })).toHaveLength(1);
    expect(verifyEvidence({ ...file, kind: "murder" })).toHaveLength(1);
    expect(verifyEvidence({ ...file, parts: Array.from({ length: 5 }, () => file.parts[0]) })).toHaveLength(1);
  });
});

describe("the numbers of a statement", () => {
  it("are its own, and what it voids", () => {
    expect(numbersOf(tally(3).statement)).toEqual([3]);
    expect(numbersOf(voided(9, 3).statement)).toEqual([9, 3]);
  });
});
