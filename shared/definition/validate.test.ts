import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { Definition, type Key } from "./schema.ts";
import { signDefinition } from "./sign.ts";
import { signTest, TEST_ANCHORS, testDefinition, testKey, testPublicKey } from "./test-definition.ts";
import { type Anchor, MAX_DEFINITION_BYTES, MAX_REASONS, type ReadDefinition, readDefinition } from "./validate.ts";

const bytesOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
const readSigned = (bytes: Uint8Array): ReadDefinition => readDefinition(bytes, signTest(bytes), TEST_ANCHORS);

/** Every code that a test below has seen, so that none can be added without one. */
const seen = new Set<string>();
const codesOf = (read: ReadDefinition): string[] => {
  const codes = read.kind === "invalid" ? read.reasons.map((reason) => reason.code) : [];
  for (const code of codes) seen.add(code);
  return codes;
};

afterAll(() => {
  const folder = new URL(".", import.meta.url);
  const sources = readdirSync(folder).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  const codes = sources.flatMap(
    (name) => readFileSync(new URL(name, folder), "utf8").match(/"definition\.[a-z0-9-]+"/g) ?? [],
  );
  const known = new Set(codes.map((code) => code.slice(1, -1)));
  expect([...known].filter((code) => !seen.has(code))).toEqual([]);
});

describe("a valid definition", () => {
  it("is read with the SHA-256 of its bytes", () => {
    const bytes = bytesOf(testDefinition());
    const read = readSigned(bytes);
    expect(read).toEqual({
      kind: "valid",
      definition: testDefinition(),
      hash: createHash("sha256").update(bytes).digest("hex"),
      signers: TEST_ANCHORS,
    });
  });

  it("may carry the signature of a key that is no trust root, which counts for nothing", () => {
    const bytes = bytesOf(testDefinition());
    const { signatures } = signTest(bytes);
    const more = signDefinition(bytes, [{ id: "stranger", privateKey: testKey("stranger") }]).signatures;
    expect(readDefinition(bytes, { signatures: [...signatures, ...more] }, TEST_ANCHORS)).toMatchObject({
      kind: "valid",
      signers: TEST_ANCHORS,
    });
    expect(codesOf(readDefinition(bytes, { signatures: [signatures[0], ...more] }, TEST_ANCHORS))).toEqual([
      "definition.signatures-missing",
    ]);
  });
});

describe("signatures", () => {
  const bytes = bytesOf(testDefinition());
  const { signatures } = signTest(bytes);
  const [one, two] = [signatures[0]!, signatures[1]!];
  const header = (fields: object): string => Buffer.from(JSON.stringify(fields)).toString("base64url");
  const read = (value: unknown, anchors: Anchor[] = TEST_ANCHORS): string[] =>
    codesOf(readDefinition(bytes, value, anchors));

  it("are refused when one is missing, doubled or by one key under two ids", () => {
    expect(read({ signatures: [] })).toEqual(["definition.signatures-missing"]);
    expect(read({ signatures: [one] })).toEqual(["definition.signatures-missing"]);
    expect(read({ signatures: [one, one] })).toEqual(["definition.signatures-malformed"]);
    const twin = { id: "twin", publicKey: testPublicKey("authority-1") };
    const byTwin = signDefinition(bytes, [{ id: "twin", privateKey: testKey("authority-1") }]).signatures;
    expect(read({ signatures: [one, ...byTwin] }, [...TEST_ANCHORS, twin])).toEqual(["definition.signatures-missing"]);
  });

  it("are refused when any byte of the definition changed", () => {
    for (let at = 0; at < bytes.length; at += 97) {
      const changed = Buffer.from(bytes);
      changed[at] = changed[at]! ^ 1;
      expect(codesOf(readDefinition(changed, { signatures }, TEST_ANCHORS))).toEqual(["definition.signature-wrong"]);
    }
  });

  it("are refused when another key made one of them, even beside two good ones", () => {
    const forged = signDefinition(bytes, [{ id: "authority-2", privateKey: testKey("forger") }]).signatures[0]!;
    expect(read({ signatures: [one, forged] })).toEqual(["definition.signature-wrong"]);
    const third = { id: "authority-3", publicKey: testPublicKey("authority-3") };
    const bad = { ...forged, protected: header({ alg: "EdDSA", kid: "authority-3", typ: "scrutin-definition+jws" }) };
    expect(read({ signatures: [one, two, bad] }, [...TEST_ANCHORS, third])).toEqual(["definition.signature-wrong"]);
  });

  it("are refused in any form but the one", () => {
    const typ = "scrutin-definition+jws";
    const forms: unknown[] = [
      null,
      [],
      "text",
      { signatures, more: 1 },
      { signatures: [one, { ...two, header: {} }] },
      { signatures: [one, { protected: two.protected }] },
      { signatures: [one, { ...two, signature: `${two.signature}=` }] },
      { signatures: [one, { ...two, protected: header({ alg: "none", kid: "authority-2", typ }) }] },
      { signatures: [one, { ...two, protected: header({ alg: "EdDSA", kid: "authority-2", typ: "scrutin+jws" }) }] },
      { signatures: [one, { ...two, protected: header({ alg: "EdDSA", kid: "authority-2", typ, crit: ["b64"] }) }] },
      { signatures: [one, { ...two, protected: header({ alg: "EdDSA", typ }) }] },
      { signatures: [one, { ...two, protected: header({ alg: "EdDSA", kid: "authority-2", typ, cty: "json" }) }] },
      { signatures: Array.from({ length: 17 }, () => one) },
    ];
    for (const form of forms) expect(read(form)).toEqual(["definition.signatures-malformed"]);
  });

  it("are refused when a trust root is no key, or not a key of the definition's authority", () => {
    expect(read({ signatures }, [{ id: "authority-1", publicKey: "A".repeat(43) }])).toEqual([
      "definition.anchor-unusable",
    ]);
    const other = testDefinition();
    other.authority[0] = { id: "authority-9", publicKey: testPublicKey("authority-9") };
    expect(codesOf(readSigned(bytesOf(other)))).toEqual(["definition.signer-not-of-authority"]);
  });
});

describe("the bytes", () => {
  it("must be strict JSON of the right shape", () => {
    const text = JSON.stringify(testDefinition());
    const twice = Buffer.from(text.replace('"seats":9', '"seats":8,"seats":9'));
    expect(codesOf(readSigned(twice))).toEqual(["definition.not-strict-json"]);
    expect(codesOf(readSigned(Buffer.from(text.replace('"seats":9', '"seats":9.0'))))).toEqual([
      "definition.not-strict-json",
    ]);
    expect(codesOf(readSigned(bytesOf({ ...testDefinition(), extra: 1 })))).toEqual(["definition.shape"]);
    expect(codesOf(readSigned(Buffer.from("null")))).toEqual(["definition.shape"]);
    const large = Buffer.alloc(MAX_DEFINITION_BYTES + 1, 32);
    expect(codesOf(readDefinition(large, {}, TEST_ANCHORS))).toEqual(["definition.too-large"]);
    expect(codesOf(readDefinition(large.subarray(1), {}, TEST_ANCHORS))).toEqual(["definition.signatures-malformed"]);
  });

  it("give at most a hundred reasons", () => {
    const definition = testDefinition();
    definition.states[0]!.units[0]!.ids = Array.from({ length: 500 }, () => "IT-1");
    expect(codesOf(readSigned(bytesOf(definition)))).toHaveLength(MAX_REASONS);
  });
});

describe("a list with ten thousand bad items", () => {
  it.each<[string, (definition: Definition, bad: never[]) => void]>([
    ["units", (definition, bad) => (definition.states[0]!.units[0]!.ids = bad)],
    ["keys", (definition, bad) => (definition.keys = bad)],
    ["states", (definition, bad) => (definition.states = bad)],
  ])("is not read to its end: %s", (_, spoil) => {
    const definition = testDefinition();
    spoil(
      definition,
      Array.from({ length: 10_000 }, () => 0 as never),
    );
    const read = Definition.safeParse(definition);
    expect(read.error?.issues).toHaveLength(MAX_REASONS);
    expect(codesOf(readSigned(bytesOf(definition)))).toEqual(Array(MAX_REASONS).fill("definition.shape"));
  });
});

type Change = (definition: Definition) => void;
const at = <T>(items: T[], index: number): T => items[index] as T;
const IT = (d: Definition): Definition["states"][number] => at(d.states, 0);
const BE = (d: Definition): Definition["states"][number] => at(d.states, 1);
const link = (d: Definition) => at(at(IT(d).constituencies, 0).links ?? [], 0);
const alliance = (d: Definition) => at(at(BE(d).constituencies, 0).alliances ?? [], 0);
const closing = (d: Definition) => at(IT(d).closings, 0);
const without =
  (role: string): Change =>
  (d) => {
    d.keys = d.keys.filter((key) => key.role !== role);
  };

/** The definition gets witnesses w1, w2, …, each with a key of its own. */
const watched =
  (
    count: number,
    quorum: number,
    change: (keys: NonNullable<Definition["witnesses"]>["keys"]) => void = () => {},
  ): Change =>
  (d) => {
    const names = Array.from({ length: count }, (_, n) => `w${n + 1}`);
    d.witnesses = { quorum, keys: names.map((name) => ({ name, operator: "x", publicKey: testPublicKey(name) })) };
    change(d.witnesses.keys);
  };
const backUp = (id: string): Key => {
  const state = id.slice(0, 2);
  return { id, role: "office", state, official: `Safe ${id}`, publicKey: testPublicKey(id), backup: true };
};

// biome-ignore format: one case per line is what one reads
const CONTRADICTIONS: [code: string, what: string, change: Change][] = [
  ["definition.seats-differ", "the Union's seats", (d) => (d.seats = 10)],
  ["definition.seats-differ", "a state's seats", (d) => { at(BE(d).constituencies, 1).seats = 2; }],
  ["definition.state-twice", "a state twice", (d) => { BE(d).id = "IT"; }],
  ["definition.state-is-the-union", "a state called EU", (d) => { BE(d).id = "EU"; }],
  ["definition.group-twice", "a group twice", (d) => { at(d.groups, 0).id = "SD"; }],
  ["definition.group-twice", "a group twice in a list", (d) => { at(IT(d).lists, 0).groups.push({ id: "EPP", seats: 1 }); }],
  ["definition.group-missing", "no group for the non-attached", (d) => { d.groups.pop(); }],
  ["definition.group-unknown", "an unknown group", (d) => { at(at(IT(d).lists, 0).groups, 0).id = "ECR"; }],
  ["definition.group-seats", "more members than seats", (d) => { at(at(IT(d).lists, 0).groups, 0).seats = 6; }],
  ["definition.group-seats", "two members of an independent", (d) => { at(IT(d).lists, 3).groups = [{ id: "NI", seats: 2 }]; }],
  ["definition.group-seats", "members of the other parties", (d) => { at(IT(d).lists, 4).groups = [{ id: "NI", seats: 1 }]; }],
  ["definition.constituency-twice", "a constituency twice", (d) => { at(BE(d).constituencies, 1).id = "FBE"; }],
  ["definition.constituency-of-another-state", "another state's id", (d) => { at(BE(d).constituencies, 1).id = "IT"; }],
  ["definition.constituency-without-lists", "no list", (d) => { BE(d).lists.pop(); }],
  ["definition.constituency-without-units", "no unit", (d) => { BE(d).units = BE(d).units.slice(0, 1); }],
  ["definition.list-twice", "a list twice", (d) => { at(IT(d).lists, 1).id = "IT01"; }],
  ["definition.list-of-no-constituency", "a list of no constituency", (d) => { at(IT(d).lists, 1).constituency = "FBE"; }],
  ["definition.list-of-another-state", "a list of another state", (d) => { at(IT(d).lists, 1).id = "BE77"; }],
  ["definition.alliance-twice", "an alliance twice", (d) => { at(BE(d).constituencies, 1).alliances = [alliance(d)]; }],
  ["definition.alliance-of-another-state", "another state's alliance", (d) => { alliance(d).id = "IT-a"; }],
  ["definition.member-does-not-stand", "an ally who does not stand", (d) => { alliance(d).lists[0] = "BE14"; }],
  ["definition.member-does-not-stand", "an unknown ally", (d) => { alliance(d).lists[0] = "BE99"; }],
  ["definition.member-does-not-stand", "an independent in a link", (d) => { link(d).list = "IT04"; }],
  ["definition.member-twice", "an ally twice", (d) => { alliance(d).lists[0] = "BE02"; }],
  ["definition.member-twice", "a list linked to itself", (d) => { link(d).to = "IT03"; }],
  ["definition.link-seats", "a link for more than all seats", (d) => { link(d).seats = 6; }],
  ["definition.share-above-100", "a threshold above 100", (d) => { at(IT(d).constituencies, 0).threshold = { share: "101", of: "valid" }; }],
  ["definition.share-above-100", "a limit above 100", (d) => { at(IT(d).kinds, 0).limits.turnout = "100.1"; }],
  ["definition.first-divisor", "a first divisor of 0", (d) => { at(BE(d).constituencies, 0).allocation = { method: "divisor", divisors: "dhondt", first: "0" }; }],
  ["definition.first-divisor", "a first divisor of 2", (d) => { at(BE(d).constituencies, 0).allocation = { method: "divisor", divisors: "dhondt", first: "2" }; }],
  ["definition.declared-in-part", "declared in part", (d) => { at(BE(d).constituencies, 1).allocation = { method: "declared" }; }],
  ["definition.declared-with-rules", "declared, with a threshold", (d) => { at(IT(d).constituencies, 0).allocation = { method: "declared" }; }],
  ["definition.kind-twice", "a kind twice", (d) => { at(BE(d).kinds, 1).id = "station"; }],
  ["definition.unit-twice", "a unit twice", (d) => { at(IT(d).units, 0).ids.push("IT-1"); }],
  ["definition.unit-of-another-state", "another state's unit", (d) => { at(IT(d).units, 0).ids.push("BE-x"); }],
  ["definition.units-of-no-constituency", "units of no constituency", (d) => { at(IT(d).units, 0).constituency = "FBE"; }],
  ["definition.units-of-no-kind", "units of no kind", (d) => { at(IT(d).units, 0).kind = "postal"; }],
  ["definition.no-closing-counts", "no closing that counts", (d) => { closing(d).counts = false; }],
  ["definition.closing-differs", "two instants", (d) => { closing(d).utc = "2024-06-09T20:00:00Z"; }],
  ["definition.closing-offset", "winter time in June", (d) => { closing(d).local = "2024-06-09T22:00:00+01:00"; }],
  ["definition.closing-offset", "UTC called local", (d) => { closing(d).local = "2024-06-09T21:00:00Z"; }],
  ["definition.closing-without-zone", "a local time without its offset", (d) => { closing(d).local = "2024-06-09T23:00:00"; }],
  ["definition.closing-without-zone", "a state without a zone", (d) => { Reflect.deleteProperty(IT(d), "timezone"); }],
  ["definition.closing-without-zone", "a zone that is none", (d) => { IT(d).timezone = "Europe/Padania"; }],
  ["definition.closing-without-zone", "a closing in a zone that is none", (d) => { closing(d).timezone = "+02:00"; }],
  ["definition.rebuilt-live", "rebuilt votes in a live election", (d) => { d.mode = "live"; }],
  ["definition.key-twice", "one key for two offices", (d) => { at(d.keys, 2).publicKey = testPublicKey("IT-1"); }],
  ["definition.key-twice", "an office with the authority's key", (d) => { at(d.keys, 0).publicKey = testPublicKey("authority-1"); }],
  ["definition.key-twice", "a vault that is its own recovery", (d) => { d.vault.recoveryKey = d.vault.publicKey; }],
  ["definition.key-id-twice", "a key id twice", (d) => { at(d.keys, 1).id = "IT-1"; }],
  ["definition.key-unusable", "a public key of small order", (d) => { at(d.keys, 0).publicKey = `AQ${"A".repeat(41)}`; }],
  ["definition.key-unusable", "set trailing bits", (d) => { at(d.keys, 0).publicKey = `${at(d.keys, 0).publicKey.slice(0, 42)}B`; }],
  ["definition.key-unusable", "a vault's key of small order", (d) => { d.vault.publicKey = "A".repeat(43); }],
  ["definition.key-of-no-state", "an office of no state", (d) => { d.keys[2] = { ...at(d.keys, 2), role: "office", state: "FR", official: "x" }; }],
  ["definition.officials-missing", "one official where two sign", (d) => { d.keys.splice(0, 1); }],
  ["definition.officials-missing", "one official with two keys", (d) => { d.keys[1] = { ...at(d.keys, 1), role: "office", state: "IT", official: "Official IT-1" }; }],
  ["definition.officials-missing", "a back-up key in an official's place", (d) => { d.keys[1] = backUp("IT-2"); }],
  ["definition.officials-missing", "no key but the back-up", (d) => { d.keys[2] = backUp("BE-1"); }],
  ["definition.key-of-no-state", "a back-up key of no state", (d) => { d.keys.push(backUp("FR-9")); }],
  ["definition.key-twice", "a back-up key that is the other too", (d) => { d.keys.push({ ...backUp("BE-9"), publicKey: testPublicKey("BE-1") }); }],
  ["definition.pin-twice", "a door with one pin twice", (d) => { d.door = { pins: ["A".repeat(43), "A".repeat(43)] }; }],
  ["definition.pin-unusable", "a pin in another spelling", (d) => { d.door = { pins: [`${"A".repeat(42)}B`] }; }],
  ["definition.witness-quorum", "half of two witnesses", watched(2, 1)],
  ["definition.witness-quorum", "half of four", watched(4, 2)],
  ["definition.witness-quorum", "more than all", watched(3, 4)],
  ["definition.witness-quorum", "one of fifteen", watched(15, 1)],
  ["definition.witness-twice", "a witness twice", watched(3, 2, (keys) => { at(keys, 2).name = "w1"; })],
  ["definition.witness-is-the-log", "a witness with the log's name", watched(1, 1, (keys) => { at(keys, 0).name = testDefinition().origin; })],
  ["definition.key-twice", "one key for two witnesses", watched(3, 2, (keys) => { at(keys, 2).publicKey = testPublicKey("w1"); })],
  ["definition.key-twice", "a witness with the ledger's key", watched(3, 2, (keys) => { at(keys, 1).publicKey = testPublicKey("ledger-1"); })],
  ["definition.key-twice", "a witness with the authority's key", watched(1, 1, (keys) => { at(keys, 0).publicKey = testPublicKey("authority-2"); })],
  ["definition.key-twice", "a witness with the vault's key", watched(1, 1, (keys) => { at(keys, 0).publicKey = testPublicKey("vault", "x25519"); })],
  ["definition.key-unusable", "a witness' key of small order", watched(2, 2, (keys) => { at(keys, 1).publicKey = `AQ${"A".repeat(41)}`; })],
  ["definition.shape", "a quorum of none", watched(1, 0)],
  ["definition.shape", "no witness", watched(0, 1)],
  ["definition.shape", "sixteen witnesses", watched(16, 9)],
  ["definition.shape", "a witness' name with a space", watched(1, 1, (keys) => { at(keys, 0).name = "w 1"; })],
  ["definition.shape", "a trustee's back-up", (d) => { d.keys[3] = { ...at(d.keys, 3), backup: true } as never; }],
  ["definition.shape", "a back-up that is none", (d) => { d.keys[2] = { ...at(d.keys, 2), backup: false } as never; }],
  ["definition.role-without-key", "no ledger", without("ledger")],
  ["definition.role-without-key", "no tabulate", without("tabulate")],
  ["definition.role-without-key", "no recount", without("recount")],
  ["definition.trustees-missing", "one trustee", (d) => { d.keys.splice(3, 1); }],
  ["definition.trustee-twice", "one person as two trustees", (d) => { d.keys[4] = { id: "trustee-2", role: "trustee", person: "Trustee 1", publicKey: testPublicKey("trustee-2") }; }],
];

describe("a definition that contradicts itself", () => {
  it.each([1, 2, 3, 4, 15])("is not one with %i witnesses, more than half of whom are the quorum", (count) => {
    for (let quorum = Math.floor(count / 2) + 1; quorum <= count; quorum++) {
      const definition = testDefinition();
      watched(count, quorum)(definition);
      definition.keys.push(backUp("IT-9"), backUp("IT-10"));
      expect(codesOf(readSigned(bytesOf(definition)))).toEqual([]);
    }
  });

  it.each(CONTRADICTIONS)("is refused with %s: %s", (code, _what, change) => {
    const definition = testDefinition();
    change(definition);
    expect(codesOf(readSigned(bytesOf(definition)))).toContain(code);
  });
});

describe("whatever comes", () => {
  /** Every place of a JSON document, as paths. */
  const places = (value: unknown, path: (string | number)[] = []): (string | number)[][] =>
    value !== null && typeof value === "object"
      ? [path, ...Object.entries(value).flatMap(([key, inner]) => places(inner, [...path, key]))]
      : [path];
  const all = places(testDefinition()).filter((path) => path.length > 0);

  it("a definition changed anywhere is read or refused, and never throws", () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.integer(),
      fc.string(),
      fc.constantFrom("IT", "IT-1", "IT01", "FBE", "0", "declared"),
    );
    const change = fc.tuple(fc.constantFrom(...all), fc.option(value, { nil: undefined }));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
        const document = testDefinition() as unknown;
        for (const [path, to] of changes) {
          const parent = path
            .slice(0, -1)
            .reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], document);
          if (parent !== null && typeof parent === "object") Reflect.set(parent, path.at(-1)!, to);
        }
        const read = readSigned(bytesOf(document));
        expect(read.kind === "valid" || read.reasons.length > 0).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("signatures of any form never pass and never throw", () => {
    const bytes = bytesOf(testDefinition());
    const entry = fc.record({ protected: fc.string(), signature: fc.base64String() });
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.record({ signatures: fc.array(entry) })), (signatures) => {
        expect(readDefinition(bytes, signatures, TEST_ANCHORS).kind).toBe("invalid");
      }),
    );
  });

  it("any bytes under good signatures never throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(readSigned(bytes).kind).toBe("invalid");
      }),
    );
  });
});
