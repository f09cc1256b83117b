import { sign } from "node:crypto";
import { describe, expect, it } from "vitest";
import { newSampleKey, type SampleKey, sampleCommon, sampleDefinition, sampleTally } from "../definition/sample.ts";
import { applyKey, createKeyBook } from "../ledger/keys.ts";
import { type Authenticity, authenticate, signersOf, tooFewSigned } from "./authentic.ts";
import { compactEnvelope, generalEnvelope, openEnvelope } from "./jws.ts";
import type { KeyStatement, Statement } from "./types.ts";

/** Who brings a key must hold it. Each hostile case is an envelope that somebody could send. */

const sample = sampleDefinition({ backups: ["AT"] });
const signers = signersOf(sample.definition);
const [fresh, other] = [newSampleKey(sample, "AT-9"), newSampleKey(sample, "AT-8")];
const keyOf = (id: string): SampleKey => {
  const key = sample.keys.get(id);
  if (key === undefined) throw new RangeError(`no key ${id}`);
  return key;
};

/** The identity as a public key: under it S = 1 and R = the base point verify anything. */
const IDENTITY = Buffer.from([1, ...Array<number>(31).fill(0)]);
const UNIVERSAL = Buffer.concat([
  Buffer.from(`58${"66".repeat(31)}`, "hex"),
  Buffer.from([1, ...Array<number>(31).fill(0)]),
]);

const rotation = (changes: Partial<Extract<KeyStatement, { change: "rotate" }>> = {}): KeyStatement => ({
  type: "key",
  ...sampleCommon(sample, "AT", 1),
  change: "rotate",
  replaces: "AT-1",
  key: { id: "AT-9", publicKey: fresh.jwk.x },
  ...changes,
});
const enrolment = (key: { backup?: true; publicKey?: string; id?: string; state?: string } = {}): KeyStatement => ({
  type: "key",
  ...sampleCommon(sample, "EU", 1),
  change: "enrol",
  key: { id: "AT-9", publicKey: fresh.jwk.x, state: "AT", official: "Eva", ...key },
});
const revocation: KeyStatement = {
  type: "key",
  ...sampleCommon(sample, "AT", 1),
  change: "revoke",
  revokes: "AT-1",
  since: "2024-06-09T21:00:00Z",
  reason: "lost",
};

/** Who signs: an id whose key signs; an id and the key that really signs; or an id and a made-up signature. */
type By = string | [kid: string, key: SampleKey | Uint8Array];
function envelopeOf(statement: Statement | Uint8Array, ...by: By[]) {
  const payload = statement instanceof Uint8Array ? statement : Buffer.from(JSON.stringify(statement));
  const compacts = by.map((one) => {
    const [kid, key] = typeof one === "string" ? [one, keyOf(one)] : one;
    const { signed, assemble } = compactEnvelope(kid, payload);
    return assemble(key instanceof Uint8Array ? key : sign(null, signed, key.privateKey));
  });
  const opened = openEnvelope(Buffer.from(generalEnvelope(compacts)));
  if (opened.kind === "refused") throw new Error(opened.code);
  return opened.envelope;
}
const ask = (statement: Statement | Uint8Array, ...by: By[]) => authenticate(envelopeOf(statement, ...by), signers);
const kids = (authenticity: Authenticity) =>
  (authenticity.kind === "authentic" ? authenticity.signers : authenticity.held).map(({ key }) => key.id);

describe("a new key", () => {
  it("takes the place of the one that it replaces, when both signed", async () => {
    const statement = rotation();
    const authenticity = await ask(statement, "AT-1", "AT-9");
    expect(authenticity).toMatchObject({ kind: "authentic", statement });
    if (authenticity.kind !== "authentic") throw new Error(authenticity.code);
    expect(authenticity.signers[0]).toBe(signers.get("AT-1"));
    expect(authenticity.signers[1]?.key).toEqual({
      id: "AT-9",
      role: "office",
      state: "AT",
      official: "Anna",
      publicKey: fresh.jwk.x,
    });
    expect(Buffer.from(authenticity.signers[1]?.verify.raw ?? [])).toEqual(Buffer.from(fresh.publicRaw));
  });

  it("is a back-up key when it replaces one", async () => {
    const authenticity = await ask(rotation({ replaces: "AT-backup" }), "AT-backup", "AT-9");
    expect(authenticity).toMatchObject({ signers: [{}, { key: { id: "AT-9", official: "A safe", backup: true } }] });
  });

  it("is what two trustees say of it, wherever it stands among them but first", async () => {
    const statement = enrolment({ backup: true });
    const key = { id: "AT-9", role: "office", state: "AT", official: "Eva", publicKey: fresh.jwk.x, backup: true };
    expect(await ask(statement, "trustee-1", "trustee-2", "AT-9")).toMatchObject({ signers: [{}, {}, { key }] });
    expect(await ask(statement, "trustee-1", "AT-9", "trustee-3")).toMatchObject({ signers: [{}, { key }, {}] });
    expect(await ask(statement, "AT-9", "trustee-1", "trustee-2")).toEqual({
      kind: "refused",
      code: "key.unknown",
      held: [],
    });
  });

  it("that did not sign leaves the statement authentic, and too few signatures", async () => {
    const authenticity = await ask(rotation(), "AT-1");
    expect(kids(authenticity)).toEqual(["AT-1"]);
    expect(authenticity.kind).toBe("authentic");
    expect(tooFewSigned(rotation(), [signers.get("AT-1")!.key], 1)).toBe(true);
  });

  it.each<[string, Statement, By[], code: string, held: string[]]>([
    [
      "signs under an id that the statement does not bring",
      rotation(),
      ["AT-1", ["AT-8", fresh]],
      "key.unknown",
      ["AT-1"],
    ],
    ["is signed for by the old key", rotation(), ["AT-1", ["AT-9", keyOf("AT-1")]], "signature.invalid", ["AT-1"]],
    ["is signed for by a third key", rotation(), ["AT-1", ["AT-9", other]], "signature.invalid", ["AT-1"]],
    [
      "is another's public key",
      rotation({ key: { id: "AT-9", publicKey: keyOf("LU-1").jwk.x } }),
      ["AT-1", ["AT-9", fresh]],
      "signature.invalid",
      ["AT-1"],
    ],
    [
      "is of small order, under a signature that holds for anything",
      rotation({ key: { id: "AT-9", publicKey: IDENTITY.toString("base64url") } }),
      ["AT-1", ["AT-9", UNIVERSAL]],
      "signature.invalid",
      ["AT-1"],
    ],
    [
      "has set trailing bits",
      rotation({ key: { id: "AT-9", publicKey: `${fresh.jwk.x.slice(0, 42)}B` } }),
      ["AT-1", "AT-9"],
      "signature.invalid",
      ["AT-1"],
    ],
    ["comes with a second stranger", enrolment(), ["trustee-1", "AT-9", "AT-8"], "key.unknown", []],
    [
      "cosigns a tally",
      { type: "tally", ...sampleCommon(sample, "AT", 1), tallies: [sampleTally()] },
      ["AT-1", "AT-9"],
      "key.unknown",
      ["AT-1"],
    ],
    ["cosigns a revocation", revocation, ["AT-backup", "AT-9"], "key.unknown", ["AT-backup"]],
    ["replaces a trustee", rotation({ replaces: "trustee-1" }), ["trustee-1", "AT-9"], "key.unknown", ["trustee-1"]],
    ["replaces a key that is nowhere", rotation({ replaces: "AT-7" }), ["AT-1", "AT-9"], "key.unknown", ["AT-1"]],
    ["replaces itself", rotation({ replaces: "AT-9" }), ["AT-1", "AT-9"], "key.unknown", ["AT-1"]],
    [
      "comes with a trustee who did not sign",
      enrolment(),
      ["trustee-1", ["trustee-2", fresh], "AT-9"],
      "signature.invalid",
      ["trustee-1"],
    ],
    ["is brought by nobody", rotation(), [["AT-1", fresh], "AT-9"], "signature.invalid", []],
  ])("%s: refused", async (_, statement, by, code, held) => {
    const authenticity = await ask(statement, ...by);
    expect(authenticity).toMatchObject({ kind: "refused", code });
    expect(kids(authenticity)).toEqual(held);
  });
});

describe("an envelope", () => {
  const garbage = Buffer.from('{"type":"key"}');

  it("is not parsed before a known key's signature holds", async () => {
    expect(await ask(garbage, ["AT-1", fresh])).toMatchObject({ code: "signature.invalid", held: [] });
    expect(await ask(garbage, "AT-1", ["AT-2", fresh])).toMatchObject({ code: "signature.invalid" });
    expect(await ask(garbage, "AT-9")).toMatchObject({ code: "key.unknown", held: [] });
    const read = await ask(garbage, "AT-1");
    expect(read).toMatchObject({ kind: "refused", code: "statement.malformed" });
    expect(kids(read)).toEqual(["AT-1"]);
  });

  it("without a signature is refused", async () => {
    const { payload } = envelopeOf(rotation(), "AT-1");
    expect(await authenticate({ payload, signatures: [] }, signers)).toMatchObject({ code: "key.unknown" });
  });

  it("that is authentic stays so, by the same keys, whatever keys the log gets", async () => {
    const statements = [
      rotation(),
      rotation({ replaces: "LU-1" }),
      rotation({ key: { id: "AT-8", publicKey: fresh.jwk.x } }),
      enrolment(),
      enrolment({ state: "LU" }),
      enrolment({ publicKey: other.jwk.x }),
      enrolment({ id: "AT-2", publicKey: keyOf("AT-2").jwk.x }),
      revocation,
    ];
    const kids = ["AT-9", "AT-8", "AT-2"];
    const second = kids.flatMap((kid) => kids.map((key): By => [kid, keyOf(key)]));
    const rest: By[][] = [[], ...second.map((by) => [by]), ...second.map((by) => ["trustee-2", by])];
    const seen = { envelopes: 0, authentic: 0, becameAuthentic: 0, idOfAnother: 0 };
    for (const statement of statements) {
      for (const by of ["AT-1", "LU-1", "trustee-1"].flatMap((first) => rest.map((more) => [first, ...more]))) {
        const envelope = envelopeOf(statement, ...by);
        const book = createKeyBook(sample.definition);
        const before = plain(await authenticate(envelope, book));
        for (const [n, change] of GROWTH.entries()) {
          applyKey(book, n + 1, change);
          const after = plain(await authenticate(envelope, book));
          if (before !== undefined) expect(after).toEqual(before);
          else if (after !== undefined) seen.becameAuthentic += 1;
        }
        seen.envelopes += 1;
        if (before !== undefined) seen.authentic += 1;
        if (before?.some(({ id, publicKey }) => book.get(id)?.key.publicKey !== publicKey)) seen.idOfAnother += 1;
      }
    }
    // The table reaches what it is for: newcomers under an id that stands for another key by now.
    expect(seen.envelopes).toBe(456);
    for (const times of Object.values(seen)) expect(times).toBeGreaterThan(10);
  });
});

const GROWTH = [enrolment({ state: "LU" }), rotation({ key: { id: "AT-8", publicKey: other.jwk.x } }), revocation];

/** The keys of an authentic envelope. */
const plain = (authenticity: Authenticity) =>
  authenticity.kind === "refused" ? undefined : authenticity.signers.map(({ key }) => key);
