import { compactVerify, importJWK } from "jose";
import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { checkpointOf, type MadeRelease, makeRelease, rootOfSize, type Twist } from "./fixture.ts";
import { openRelease, ReleaseBroken, trustOf } from "./opened.ts";

const sample = sampleDefinition();
const trust = trustOf(sample.definition, sample.hash);
const PREVIOUS = "a".repeat(64);
const ID = { number: 2, size: 20 };

const made = (twist?: Twist) => makeRelease(sample, ID, PREVIOUS, twist);
const reasonOf = async (sealed: MadeRelease, previous: string | null = PREVIOUS) => {
  try {
    await openRelease(sealed, previous, trust);
    return "it holds";
  } catch (error) {
    if (error instanceof ReleaseBroken) return error.message;
    throw error;
  }
};

describe("openRelease", () => {
  it("opens with both shares what both counts have signed", async () => {
    const sealed = await made();
    const opened = await openRelease(sealed, PREVIOUS, trust);
    expect(Buffer.from(opened.bytes)).toEqual(Buffer.from(sealed.bytes));
    expect(opened.sha256).toBe(sealed.sha256);
    expect(opened.release.number).toBe(2);
  });

  it("gives both signatures as a detached JWS that another library verifies", async () => {
    const opened = await openRelease(await made(), PREVIOUS, trust);
    const { signatures } = JSON.parse(opened.signatures) as { signatures: { protected: string; signature: string }[] };
    const payload = Buffer.from(opened.bytes).toString("base64url");
    const kids: unknown[] = [];
    for (const { protected: header, signature } of signatures) {
      const { kid } = JSON.parse(Buffer.from(header, "base64url").toString()) as { kid: string };
      const x = Buffer.from(sample.keys.get(kid)?.publicRaw ?? []).toString("base64url");
      const key = await importJWK({ kty: "OKP", crv: "Ed25519", x }, "EdDSA");
      const verified = await compactVerify(`${header}.${payload}.${signature}`, key);
      kids.push(verified.protectedHeader.kid);
    }
    expect(kids).toEqual(["tabulate-1", "recount-1"]);
  });

  it.each<[string, Twist, string]>([
    ["tabulate did not sign", { tabulateKid: "recount-1" }, "tabulate's signature"],
    ["recount did not sign", { recountKid: "tabulate-1" }, "recount's signature"],
    ["an office signed for recount", { recountKid: "AT-1" }, "recount's signature"],
    ["recount found something else", { answer: { agrees: false, differs: "/states/0" } }, "recount has not found it"],
    ["a signature without its dots", { answer: { agrees: true, signature: "abc" } }, "recount's signature"],
    ["it was sealed as another number", { sealedAs: { number: 3, size: 20 } }, "2/20 does not open with its shares"],
    ["it was sealed for another prefix", { sealedAs: { number: 2, size: 21 } }, "2/20 does not open with its shares"],
    ["another number", { says: { number: 3 } }, "its number is not the expected one"],
    ["another definition", { says: { definition: "b".repeat(64) } }, "its definition is not the expected one"],
    ["another election", { says: { election: "ep2029" } }, "its election is not the expected one"],
    ["an exercise that says it is none", { says: { mode: "live" } }, "its mode is not the expected one"],
    ["another log", { checkpoint: { origin: "evil.example" } }, "its origin is not the expected one"],
    ["another prefix", { checkpoint: { size: 21 } }, "its size is not the expected one"],
    ["another root", { checkpoint: { root: rootOfSize(21).toString("base64") } }, "its root is not the expected one"],
    ["no release before it", { says: { previous: null } }, "its previous is not the expected one"],
  ])("refuses: %s", async (_, twist, reason) => {
    expect(await reasonOf(await made(twist))).toBe(reason);
  });

  it.each<[string, (sealed: MadeRelease) => Partial<MadeRelease> | Promise<Partial<MadeRelease>>, string]>([
    ["shares of two prefixes", () => ({ recountSize: 30 }), "the shares are of different prefixes of the log"],
    [
      "a share that is not the one",
      ({ recountShare }) => ({ tabulateShare: recountShare }),
      "2/20 does not open with its shares",
    ],
    ["no candidate", () => ({ candidate: null }), "2/20 is missing"],
    ["no answer", () => ({ answer: null }), "2/20/answer is missing"],
    [
      "a byte changed in the answer",
      ({ answer }) => ({ answer: (answer as Uint8Array).map((byte, i) => (i === 99 ? byte ^ 1 : byte)) }),
      "2/20/answer does not open with its shares",
    ],
    ["no checkpoint", () => ({ checkpoint: null }), "the ledger has signed no checkpoint of its size"],
    [
      "a checkpoint that someone else signed",
      async () => ({ checkpoint: await checkpointOf(sampleDefinition({ seed: "other" }), 20) }),
      "the ledger has signed no checkpoint of its size",
    ],
    [
      "a checkpoint of another size",
      async () => ({ checkpoint: await checkpointOf(sample, 21, rootOfSize(20)) }),
      "its size is not the expected one",
    ],
  ])("refuses: %s", async (_, change, reason) => {
    const sealed = await made();
    expect(await reasonOf({ ...sealed, ...(await change(sealed)) })).toBe(reason);
  });

  it("refuses a release that follows another one than was published", async () => {
    expect(await reasonOf(await made(), "c".repeat(64))).toBe("its previous is not the expected one");
    expect(await reasonOf(await made(), null)).toBe("its previous is not the expected one");
  });
});
