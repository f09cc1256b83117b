import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { importVerifyKey, verifySignature, verifySignatureAsync, verifySignatureTweetnacl } from "./ed25519.ts";

/**
 * Other people's vectors, under both implementations. `ed25519-vectors.json.br` holds them with the source and the licence of each set;
 * keys, signatures and messages in hex.
 */

interface Vector {
  key: string;
  sig: string;
  msg: string;
  /** CCTV: which edge the vector stands on. */
  flags?: string[];
  /** Wycheproof: its own verdict. */
  valid?: boolean;
}
type Sets = Record<"cctv" | "wycheproof" | "speccheck", { source: string; licence: string; vectors: Vector[] }>;

const file = new URL("ed25519-vectors.json.br", import.meta.url);
const SETS: Sets = JSON.parse(brotliDecompressSync(readFileSync(file)).toString("utf8"));
const bytes = (hex: string) => Buffer.from(hex, "hex");

/** What both implementations say, on the thread and through the pool; they must say the same. */
async function verdictOn({ key, sig, msg }: Vector): Promise<boolean> {
  const [message, signature, raw] = [bytes(msg), bytes(sig), bytes(key)];
  const imported = importVerifyKey(raw);
  const verdicts = [
    verifySignature(message, signature, raw),
    verifySignatureTweetnacl(message, signature, raw),
    imported !== undefined && verifySignatureTweetnacl(message, signature, imported),
    imported !== undefined && (await verifySignatureAsync(message, signature, imported)),
  ];
  expect(new Set(verdicts).size).toBe(1);
  return verdicts[0] as boolean;
}

describe("under the strict rule", () => {
  it("exactly 43 of CCTV's 914 vectors hold: those on no edge but a component of low order that cancels out", async () => {
    const { vectors } = SETS.cctv;
    expect(vectors).toHaveLength(914);
    const refused = /^(low_order_(A|R|residue)|non_canonical_(A|R)|reencoded_k)$/;
    let held = 0;
    for (const vector of vectors) {
      const verdict = await verdictOn(vector);
      expect(verdict).toBe(!vector.flags?.some((flag) => refused.test(flag)));
      if (verdict) held += 1;
    }
    expect(held).toBe(43);
  });

  it("Wycheproof's vectors get Wycheproof's verdicts", async () => {
    const { vectors } = SETS.wycheproof;
    expect(vectors).toHaveLength(145);
    expect(vectors.filter(({ valid }) => valid)).toHaveLength(84);
    for (const vector of vectors) expect(await verdictOn(vector)).toBe(vector.valid);
  });

  it("one of the twelve cases of ed25519-speccheck holds: mixed order, canonical, without a cofactor", async () => {
    const verdicts = await Promise.all(SETS.speccheck.vectors.map(verdictOn));
    expect(verdicts.flatMap((verdict, n) => (verdict ? [n] : []))).toEqual([3]);
    expect(verdicts).toHaveLength(12);
  });
});

describe("both implementations", () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url");
  const vector = (message: Uint8Array, signature: Uint8Array, key: Uint8Array): Vector => ({
    msg: Buffer.from(message).toString("hex"),
    sig: Buffer.from(signature).toString("hex"),
    key: Buffer.from(key).toString("hex"),
  });

  it("agree on good signatures, and on any bit changed in message, signature or key", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(), async (message, at) => {
        const signature = sign(null, message, privateKey);
        expect(await verdictOn(vector(message, signature, raw))).toBe(true);
        const parts = [Buffer.from(message), Buffer.from(signature), Buffer.from(raw)] as const;
        const bit = at % (8 * (message.length + 96));
        let byte = bit >> 3;
        for (const part of parts) {
          if (byte < part.length && byte >= 0) part[byte] = (part[byte] as number) ^ (1 << (bit & 7));
          byte -= part.length;
        }
        expect(await verdictOn(vector(...parts))).toBe(false);
      }),
      { numRuns: 40 },
    );
  });

  it("agree on bytes that are nothing, whatever their length, and never throw", async () => {
    const any = fc.uint8Array({ maxLength: 70 });
    const of = (length: number) => fc.oneof(fc.uint8Array({ minLength: length, maxLength: length }), any);
    await fc.assert(
      fc.asyncProperty(any, of(64), of(32), async (message, signature, key) => {
        expect(await verdictOn(vector(message, signature, key))).toBe(false);
      }),
      { numRuns: 100 },
    );
  });
});
