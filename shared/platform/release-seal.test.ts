import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../definition/sample.ts";
import { importVerifyKey } from "../statement/ed25519.ts";
import {
  dataKeyShare,
  joinShares,
  keyShare,
  openAnswer,
  openCandidate,
  releaseSignatureHolds,
  sealAnswer,
  sealCandidate,
  signRelease,
} from "./release-seal.ts";
import { open, SealBroken, seal } from "./seal.ts";
import { openPart, sealPart } from "./snapshot-seal.ts";
import { vaultOf } from "./vault-fixture.ts";

const vault = vaultOf(sampleDefinition());
const other = vaultOf(sampleDefinition({ seed: "other" }));
const ID = { number: 3, size: 120 };
const candidate = { release: '{"votes":1}', signature: "a..b" };

describe("a sealed release", () => {
  it("opens with both shares and not with one, as whoever publishes it has them", () => {
    const sealed = sealCandidate(vault, ID, candidate);
    const [a, b] = [keyShare(vault, "tabulate", ID), keyShare(vault, "recount", ID)];
    const read = JSON.parse(Buffer.from(open(joinShares(a, b), "release", "3/120", sealed)).toString("utf8"));
    expect(read).toEqual(candidate);
    for (const key of [a, b, joinShares(a, a), joinShares(a, keyShare(vault, "recount", { number: 3, size: 121 }))])
      expect(() => open(key, "release", "3/120", sealed)).toThrow(SealBroken);
    expect(openCandidate(vault, ID, sealed)).toEqual(candidate);
    expect(() => openCandidate(vault, { number: 4, size: 120 }, sealed)).toThrow(SealBroken);
    expect(() => openAnswer(vault, ID, sealed)).toThrow(SealBroken);
    expect(() => openCandidate(other, ID, sealed)).toThrow(SealBroken);
  });

  it("has a length that says nothing of what is in it", () => {
    const lengths = [1, 1_000, 100_000].map(
      (n) => sealCandidate(vault, ID, { ...candidate, release: "x".repeat(n) }).length,
    );
    expect(new Set(lengths).size).toBe(1);
    const answers = [
      sealAnswer(vault, ID, { agrees: true, signature: "x".repeat(150) }),
      sealAnswer(vault, ID, { agrees: false, differs: "states.0" }),
    ];
    expect(answers[0]!.length).toBe(answers[1]!.length);
    expect(answers.map((answer) => openAnswer(vault, ID, answer).agrees)).toEqual([true, false]);
  });

  it("opens with the recovery key as with the vault's own, and either gives the same shares", () => {
    const recovered = vaultOf(sampleDefinition(), "recovery");
    expect(openCandidate(recovered, ID, sealCandidate(vault, ID, candidate))).toEqual(candidate);
    for (const by of ["tabulate", "recount"] as const)
      expect(keyShare(recovered, by, ID)).toEqual(keyShare(vault, by, ID));
    const [id, dataKey] = ["ab".repeat(16), randomBytes(32)];
    expect(dataKeyShare(recovered, "recount", id, dataKey)).toEqual(dataKeyShare(vault, "recount", id, dataKey));
  });

  it("refuses a share of another length", () => {
    expect(() => joinShares(new Uint8Array(31), new Uint8Array(32))).toThrow(RangeError);
  });
});

describe("a sealed statement", () => {
  const dataKey = randomBytes(32);
  const id = randomBytes(16).toString("hex");
  const bytes = Buffer.from("a statement");
  const sealed = seal(dataKey, "statement", "its hash", bytes);
  const shares = [dataKeyShare(vault, "tabulate", id), dataKeyShare(vault, "recount", id, dataKey)] as const;

  it("opens with both shares of its data key", () => {
    const opened = open(joinShares(...shares), "statement", "its hash", sealed);
    expect(Buffer.from(opened).equals(bytes)).toBe(true);
    // Each is the same however often it is given, and whoever gives it.
    expect(dataKeyShare(vault, "recount", id, dataKey)).toEqual(shares[1]);
    expect(dataKeyShare(vault, "tabulate", id, dataKey)).toEqual(shares[0]);
  });

  it("opens with neither alone, nor with any two or three of both and a release's shares", () => {
    const [a, b] = [keyShare(vault, "tabulate", ID), keyShare(vault, "recount", ID)];
    for (const share of shares)
      for (const with_ of [new Uint8Array(32), share, a, b, joinShares(a, b)])
        expect(() => open(joinShares(share, with_), "statement", "its hash", sealed)).toThrow(SealBroken);
    const another = dataKeyShare(vault, "tabulate", randomBytes(16).toString("hex"));
    expect(() => open(joinShares(another, shares[1]), "statement", "its hash", sealed)).toThrow(SealBroken);
  });

  it("is not what a release's shares open: one vault, other secrets", () => {
    const release = sealCandidate(vault, ID, candidate);
    for (const share of shares) expect(() => open(share, "release", "3/120", release)).toThrow(SealBroken);
    expect(dataKeyShare(other, "tabulate", id)).not.toEqual(shares[0]);
  });
});

describe("a release's signature", () => {
  const pair = generateKeyPairSync("ed25519");
  const key = importVerifyKey(Buffer.from(String(pair.publicKey.export({ format: "jwk" }).x), "base64url"))!;
  const bytes = Buffer.from('{"type":"release"}');
  const signature = signRelease("tabulate-1", bytes, (message) => sign(null, message, pair.privateKey));

  it("stands over these bytes, by this key, and in this form only", () => {
    expect(releaseSignatureHolds("tabulate-1", key, bytes, signature)).toBe(true);
    expect(releaseSignatureHolds("recount-1", key, bytes, signature)).toBe(false);
    expect(releaseSignatureHolds("tabulate-1", key, Buffer.from("{}"), signature)).toBe(false);
    const [header, , raw] = signature.split(".");
    expect(JSON.parse(Buffer.from(header!, "base64url").toString())).toEqual({
      alg: "EdDSA",
      kid: "tabulate-1",
      typ: "scrutin-release+jws",
    });
    for (const wrong of [
      "",
      "..",
      `${header}.`,
      `${header}.x.${raw}`,
      `${header}..${raw}.`,
      `..${raw}`,
      `${header}..${raw}=`,
    ])
      expect(releaseSignatureHolds("tabulate-1", key, bytes, wrong)).toBe(false);
  });
});

describe("a sealed part", () => {
  const key = new Uint8Array(32).fill(5);

  it("property: comes back as it was, under its own name only, in a length that is a power of two", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40_000 }), (bytes) => {
        const sealed = sealPart(key, "AT", bytes);
        expect(Buffer.from(openPart(key, "AT", sealed)).equals(Buffer.from(bytes))).toBe(true);
        expect(() => openPart(key, "LU", sealed)).toThrow(SealBroken);
        expect(Math.log2(sealed.length - 28) % 1).toBe(0);
        expect(sealed.length - 28).toBeGreaterThanOrEqual(16 * 1024);
      }),
      { numRuns: 50 },
    );
  });

  it("property: is as long as the most that it can be, whatever it is", () => {
    fc.assert(
      fc.property(fc.nat(40_000), fc.uint8Array({ maxLength: 40_000 }), (more, bytes) => {
        const most = bytes.length + more;
        expect(sealPart(key, "AT", bytes, most).length).toBe(sealPart(key, "AT", new Uint8Array(), most).length);
        expect(Buffer.from(openPart(key, "AT", sealPart(key, "AT", bytes, most))).equals(Buffer.from(bytes))).toBe(
          true,
        );
      }),
      { numRuns: 50 },
    );
  });
});
