import { describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally, signSample } from "../definition/sample.ts";
import type { Key } from "../definition/schema.ts";
import { claimedSigners, refusalOf, signaturesHold, signersOf, speaksFor, tooFewSigned } from "./authentic.ts";
import { type Envelope, openEnvelope } from "./jws.ts";
import type { Statement, StatementType } from "./types.ts";

const sample = sampleDefinition();
const signers = signersOf(sample.definition);
const tally: Statement = { type: "tally", ...sampleCommon(sample, "LU", 1), tallies: [sampleTally("LU-11")] };

function envelopeOf(...kids: string[]): Envelope {
  const opened = openEnvelope(signSample(sample, tally, ...kids));
  if (opened.kind === "refused") throw new Error(opened.code);
  return opened.envelope;
}
const holds = (envelope: Envelope) => signaturesHold(envelope, claimedSigners(envelope, signers) ?? []);

/** The signature at `n` with one bit changed. */
function spoilt(envelope: Envelope, n: number): Envelope {
  const signatures = envelope.signatures.map((part, at) => {
    const signature = Buffer.from(part.signature);
    if (at === n) signature[40] = (signature[40] as number) ^ 1;
    return { ...part, signature };
  });
  return { ...envelope, signatures };
}

describe("the signatures of an envelope", () => {
  it("hold together, each under its own key", async () => {
    expect(await holds(envelopeOf("LU-1"))).toBe(true);
    expect(await holds(envelopeOf("LU-1", "LU-2"))).toBe(true);
    expect(await holds(envelopeOf("LU-2", "AT-1", "LU-1"))).toBe(true);
  });

  it.each([0, 1, 2])("do not hold when number %i of three does not", async (n) => {
    expect(await holds(spoilt(envelopeOf("LU-1", "LU-2", "AT-1"), n))).toBe(false);
  });

  it("do not hold under one another's keys", async () => {
    const envelope = envelopeOf("LU-1", "LU-2");
    const claimed = claimedSigners(envelope, signers) ?? [];
    expect(await signaturesHold(envelope, [...claimed].reverse())).toBe(false);
    expect(await signaturesHold(envelope, claimed.slice(0, 1))).toBe(false);
  });

  it("do not hold when there are none", async () => {
    expect(await signaturesHold({ payload: Buffer.from("{}"), signatures: [] }, [])).toBe(false);
  });

  it("do not hold for another payload", async () => {
    const { signatures } = envelopeOf("LU-1");
    const other = { ...tally, sequence: 2 } as Statement;
    const opened = openEnvelope(signSample(sample, other, "LU-1"));
    const foreign = opened.kind === "envelope" ? opened.envelope.signatures[0]?.signed : undefined;
    const moved = signatures.map((part) => ({ ...part, signed: foreign ?? part.signed }));
    expect(await holds({ payload: Buffer.from("{}"), signatures: moved })).toBe(false);
  });
});

describe("the keys that an envelope claims", () => {
  it("come in its order", () => {
    expect(claimedSigners(envelopeOf("LU-2", "LU-1"), signers)?.map(({ key }) => key.id)).toEqual(["LU-2", "LU-1"]);
  });

  it("are nobody's when the definition lacks one of them", () => {
    const fewer = new Map([...signers].filter(([id]) => id !== "LU-2"));
    expect(claimedSigners(envelopeOf("LU-1", "LU-2"), fewer)).toBeUndefined();
    expect(claimedSigners(envelopeOf("LU-1"), fewer)).toHaveLength(1);
  });

  it("are refused in a definition when they are no keys", () => {
    const weak = { ...sample.definition, keys: sample.definition.keys.map((key) => ({ ...key })) };
    weak.keys[0]!.publicKey = Buffer.from([1, ...Array<number>(31).fill(0)]).toString("base64url");
    expect(() => signersOf(weak)).toThrow("AT-1 is no key under the strict rule");
  });
});

describe("who may say what", () => {
  const say = (type: StatementType, state: string) => ({ type, state }) as Statement;
  const keys = (...ids: string[]) => ids.map((id) => signers.get(id)!.key);
  const OFFICE = ["tally", "polls", "seats", "declaration", "void"] as const;
  const VAULT = ["lift", "release"] as const;

  it("an office speaks for its state, everyone else for the Union", () => {
    expect(keys("AT-1", "LU-2", "trustee-1", "tabulate-1", "ledger-1").map(speaksFor)).toEqual([
      "AT",
      "LU",
      "EU",
      "EU",
      "EU",
    ]);
  });

  it.each(OFFICE)("%s: an office, of its own state only, and everyone who signs", (type) => {
    expect(refusalOf(say(type, "AT"), keys("AT-1"))).toBeUndefined();
    expect(refusalOf(say(type, "AT"), keys("AT-1", "AT-2"))).toBeUndefined();
    expect(refusalOf(say(type, "AT"), keys("LU-1"))).toBe("key.other-state");
    expect(refusalOf(say(type, "AT"), keys("AT-1", "LU-1"))).toBe("key.other-state");
    expect(refusalOf(say(type, "EU"), keys("AT-1"))).toBe("key.other-state");
    for (const id of ["trustee-1", "tabulate-1", "recount-1", "ledger-1"]) {
      expect(refusalOf(say(type, "EU"), keys(id))).toBe("key.wrong-role");
      expect(refusalOf(say(type, "AT"), keys("AT-1", id))).toBe("key.wrong-role");
    }
  });

  it("decision: trustees, for the Union", () => {
    expect(refusalOf(say("decision", "EU"), keys("trustee-1", "trustee-2"))).toBeUndefined();
    expect(refusalOf(say("decision", "AT"), keys("trustee-1"))).toBe("key.other-state");
    for (const id of ["AT-1", "tabulate-1", "recount-1", "ledger-1"])
      expect(refusalOf(say("decision", "EU"), keys("trustee-1", id))).toBe("key.wrong-role");
  });

  it.each(VAULT)("%s: the two counts, for the Union", (type) => {
    expect(refusalOf(say(type, "EU"), keys("tabulate-1", "recount-1"))).toBeUndefined();
    expect(refusalOf(say(type, "AT"), keys("tabulate-1", "recount-1"))).toBe("key.other-state");
    for (const id of ["AT-1", "trustee-1", "ledger-1"])
      expect(refusalOf(say(type, "EU"), keys("tabulate-1", id))).toBe("key.wrong-role");
  });
});

describe("who may change keys", () => {
  const states = sampleDefinition({ backups: ["AT", "LU"] });
  const known = signersOf(states.definition);
  const brought: Key = { id: "AT-9", role: "office", state: "AT", official: "Eva", publicKey: "x" };
  const keys = (...ids: string[]) => ids.map((id) => (id === brought.id ? brought : known.get(id)!.key));
  const common = (state: string) => ({ type: "key", ...sampleCommon(states, state, 1) }) as const;
  const { id, publicKey, state, official } = brought;
  const rotate = (replaces = "AT-1"): Statement => {
    return { ...common(replaces.slice(0, 2)), change: "rotate", replaces, key: { id, publicKey } };
  };
  const enrol: Statement = { ...common("EU"), change: "enrol", key: { id, publicKey, state, official } };
  const revoke = (by: string, revokes = "AT-1"): Statement => {
    return { ...common(by), change: "revoke", revokes, since: "2024-06-09T21:00:00Z", reason: "lost" };
  };

  it.each<[string, Statement, string[], undefined | string, boolean]>([
    ["a rotation by the old key and the new", rotate(), ["AT-1", "AT-9"], undefined, false],
    ["a back-up key's own rotation", rotate("AT-backup"), ["AT-backup", "AT-9"], undefined, false],
    ["a rotation from which the new key was stripped", rotate(), ["AT-1"], undefined, true],
    ["a rotation to which a colleague was added", rotate(), ["AT-1", "AT-9", "AT-2"], "key.wrong-role", false],
    ["a rotation by a colleague", rotate(), ["AT-2", "AT-9"], "key.wrong-role", false],
    ["a rotation by the back-up key", rotate(), ["AT-backup", "AT-9"], "key.wrong-role", false],
    ["a rotation into another state", rotate("LU-1"), ["LU-1", "AT-9"], "key.other-state", false],
    ["a revocation by the back-up key", revoke("AT"), ["AT-backup"], undefined, false],
    ["by two trustees", revoke("EU"), ["trustee-1", "trustee-2"], undefined, false],
    ["by one trustee", revoke("EU"), ["trustee-1"], undefined, true],
    ["by an ordinary key", revoke("AT", "AT-2"), ["AT-1"], "key.wrong-role", false],
    ["by the key that it revokes", revoke("AT", "AT-backup"), ["AT-backup"], "key.wrong-role", false],
    ["by another state's back-up key", revoke("AT"), ["LU-backup"], "key.other-state", false],
    ["by a trustee for a state", revoke("AT"), ["trustee-1"], "key.wrong-role", false],
    ["an enrolment by two trustees and the key", enrol, ["trustee-1", "trustee-2", "AT-9"], undefined, false],
    ["by all three trustees", enrol, ["trustee-1", "trustee-2", "trustee-3", "AT-9"], undefined, false],
    ["from which the key was stripped", enrol, ["trustee-1", "trustee-2"], undefined, true],
    ["from which a trustee was stripped", enrol, ["trustee-1", "AT-9"], undefined, true],
    ["to which an office was added", enrol, ["trustee-1", "trustee-2", "AT-9", "AT-1"], "key.wrong-role", false],
  ])("%s", (_, statement, ids, refusal, missing) => {
    expect(refusalOf(statement, keys(...ids))).toBe(refusal);
    // However many a state asks of its figures.
    for (const required of [1, 4]) expect(tooFewSigned(statement, keys(...ids), required)).toBe(missing);
  });

  it("a back-up key signs nothing else", () => {
    for (const type of ["tally", "polls", "seats", "declaration", "void"] as const) {
      const say = { type, state: "AT" } as Statement;
      expect(refusalOf(say, keys("AT-1"))).toBeUndefined();
      for (const ids of [["AT-backup"], ["AT-1", "AT-backup"]])
        expect(refusalOf(say, keys(...ids))).toBe("key.wrong-role");
    }
  });

  it("a key that is brought is another than one of the same id that did not sign", () => {
    const impostor: Key = { ...brought, publicKey: "y" };
    expect(tooFewSigned(rotate(), [...keys("AT-1"), impostor], 1)).toBe(true);
  });
});

describe("how many must sign", () => {
  const keys = (...ids: string[]) =>
    ids.map((id) => (signers.get(id) as NonNullable<ReturnType<typeof signers.get>>).key);
  const office = sampleCommon(sample, "LU", 1);
  const union = sampleCommon(sample, "EU", 1);
  const declaration: Statement = { type: "declaration", ...office, declares: "final" };
  const hold: Statement = { type: "decision", ...union, decision: "hold", about: "EU", reason: "a test" };
  const resume: Statement = { ...hold, decision: "resume" };
  const instant = "2024-06-09T21:00:00Z";
  const lift: Statement = { type: "lift", ...union, clocks: { process: instant, postgres: instant, nats: instant } };

  it.each<[string, Statement, string[], number, boolean]>([
    ["a tally where one official is enough", tally, ["LU-1"], 1, false],
    ["a tally where two are asked, by one", tally, ["LU-1"], 2, true],
    ["by two", tally, ["LU-1", "LU-2"], 2, false],
    ["a declaration by one", declaration, ["LU-1"], 1, true],
    ["by two", declaration, ["LU-1", "LU-2"], 1, false],
    ["a hold by one trustee", hold, ["trustee-1"], 1, false],
    ["a resumption by one", resume, ["trustee-1"], 1, true],
    ["by two", resume, ["trustee-1", "trustee-2"], 1, false],
    ["a lift by one count", lift, ["tabulate-1"], 1, true],
    ["by both", lift, ["tabulate-1", "recount-1"], 1, false],
  ])("%s", (_, statement, ids, required, missing) => {
    expect(tooFewSigned(statement, keys(...ids), required)).toBe(missing);
  });
});
