import { sign } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../definition/sample.ts";
import { compactEnvelope } from "../statement/jws.ts";
import { createTokenReader, MAX_TOKEN_MS, TOKEN_SKEW_MS, writePullToken } from "./pull-token.ts";

const sample = sampleDefinition();
const other = sampleDefinition({ seed: "another" });
const read = createTokenReader(sample.definition, sample.hash);
const NOW = Date.parse("2024-06-09T20:59:00Z");
const MINUTE = 60_000;

const signerOf = (kid: string, from = sample) => ({ kid, privateKey: from.keys.get(kid)!.privateKey });
const terms = { definition: sample.hash, issuedMs: NOW, expiresMs: NOW + 10 * MINUTE, nonce: Buffer.alloc(16, 7) };
const token = (changes: Partial<typeof terms> = {}) =>
  writePullToken(signerOf("parliament-1"), { ...terms, ...changes });
const bearer = (text: string, nowMs = NOW) => read(`Bearer ${text}`, nowMs);

/** Signed by the Parliament's key, whatever it says. */
function signed(payload: string | object, typ = "scrutin-pull+jws", kid = "parliament-1"): string {
  const text = typeof payload === "string" ? payload : JSON.stringify(payload);
  const envelope = compactEnvelope(kid, Buffer.from(text, "utf8"), typ);
  return envelope.assemble(sign(null, envelope.signed, sample.keys.get("parliament-1")!.privateKey));
}
const payload = {
  definition: sample.hash,
  purpose: "sealed",
  issued: new Date(NOW).toISOString(),
  expires: new Date(NOW + MINUTE).toISOString(),
  nonce: "A".repeat(22),
};

describe("the Parliament's token", () => {
  it("says whose it is, for as long as it says", async () => {
    expect(await bearer(token())).toBe("parliament-1");
    expect(await read(`bearer ${token()}`, NOW)).toBe("parliament-1");
    expect(await bearer(token(), NOW + 10 * MINUTE - 1)).toBe("parliament-1");
    expect(await bearer(token(), NOW + 10 * MINUTE)).toBeUndefined();
    expect(await bearer(signed(payload))).toBe("parliament-1");
  });

  it("is good for an hour at most, whatever it says, and no clock that is ahead makes it more than a minute longer", async () => {
    const hour = token({ expiresMs: NOW + MAX_TOKEN_MS });
    expect(await bearer(hour, NOW + MAX_TOKEN_MS - 1)).toBe("parliament-1");
    expect(await bearer(hour, NOW + MAX_TOKEN_MS)).toBeUndefined();
    expect(await bearer(token({ expiresMs: NOW + MAX_TOKEN_MS + 1 }))).toBeUndefined();
    expect(await bearer(token({ issuedMs: NOW + TOKEN_SKEW_MS }))).toBe("parliament-1");
    expect(await bearer(token({ issuedMs: NOW + TOKEN_SKEW_MS + 1 }))).toBeUndefined();
    expect(await bearer(token({ expiresMs: NOW }), NOW - 1)).toBeUndefined();
  });

  it.each<[string, string | undefined]>([
    ["no header", undefined],
    ["an empty one", ""],
    ["another scheme", `Basic ${token()}`],
    ["two tokens", `Bearer ${token()} ${token()}`],
    ["no token", "Bearer "],
    ["the general form", `Bearer ${JSON.stringify({ payload: "", signatures: [] })}`],
    ["a longer one than any", `Bearer ${"A".repeat(2_000)}`],
    ["one of another definition", `Bearer ${token({ definition: other.hash })}`],
    [
      "one by a key of the same id of another election",
      `Bearer ${writePullToken(signerOf("parliament-1", other), terms)}`,
    ],
    ["one by the publication endpoint's key", `Bearer ${writePullToken(signerOf("release-1"), terms)}`],
    ["one by an office's key", `Bearer ${writePullToken(signerOf("AT-1"), terms)}`],
    ["one in the name of an unknown key", `Bearer ${signed(payload, undefined, "parliament-9")}`],
    ["a signed statement's type", `Bearer ${signed(payload, "scrutin+jws")}`],
    ["a signed file's type", `Bearer ${signed(payload, "scrutin-file+jws")}`],
    ["another purpose", `Bearer ${signed({ ...payload, purpose: "all" })}`],
    ["one more field", `Bearer ${signed({ ...payload, more: 1 })}`],
    ["a field twice", `Bearer ${signed(JSON.stringify(payload).replace("{", '{"purpose":"sealed",'))}`],
    ["a time without a zone", `Bearer ${signed({ ...payload, issued: "2024-06-09T20:59:00" })}`],
    ["no nonce", `Bearer ${signed({ ...payload, nonce: undefined })}`],
    ["no JSON", `Bearer ${signed("sealed")}`],
  ])("is not %s", async (_, header) => {
    expect(await read(header, NOW)).toBeUndefined();
  });

  it("holds in no other spelling: any changed character refuses it", async () => {
    const good = token();
    await fc.assert(
      fc.asyncProperty(fc.nat(good.length - 1), fc.constantFrom(..."ABCxyz019-_.="), async (at, char) => {
        fc.pre(good[at] !== char);
        expect(await bearer(good.slice(0, at) + char + good.slice(at + 1))).toBeUndefined();
      }),
      { numRuns: 200 },
    );
    await fc.assert(
      fc.asyncProperty(fc.string({ maxLength: 600 }), async (text) => {
        expect(await bearer(text)).toBeUndefined();
      }),
    );
  });

  it("is none where the definition names no key of the Parliament", async () => {
    const { publication: _, ...without } = sample.definition;
    expect(await createTokenReader(without, sample.hash)(`Bearer ${token()}`, NOW)).toBeUndefined();
  });
});
