import { createHash, createPrivateKey, createPublicKey, sign, verify } from "node:crypto";
import fc from "fast-check";
import nacl from "tweetnacl";
import { describe, expect, it } from "vitest";
import { importVerifyKey, isStrictPoint, isStrictPublicKey, verifySignature, verifySignatureAsync } from "./ed25519.ts";

/** The rule of RFC 8032 where libraries differ. Every signature here that is refused satisfies somebody's equation. */

const FIELD = (1n << 255n) - 19n;
const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
const SIGN_BIT = 1n << 255n;

const bytesOf = (n: bigint) => Buffer.from(n.toString(16).padStart(64, "0"), "hex").reverse();
const numberOf = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
const sha512 = (...parts: Uint8Array[]) => createHash("sha512").update(Buffer.concat(parts)).digest();

const SEED = createHash("sha256").update("strict").digest();
const privateKey = createPrivateKey({
  key: Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), SEED]),
  format: "der",
  type: "pkcs8",
});
const PUBLIC = Buffer.from(createPublicKey(privateKey).export({ format: "jwk" }).x ?? "", "base64url");
const MESSAGE = Buffer.from("a tally");
const GOOD = sign(null, MESSAGE, privateKey);

/** The secret scalar (RFC 8032, 5.1.5). */
const SCALAR = (() => {
  const h = sha512(SEED).subarray(0, 32);
  h[0] = (h[0] as number) & 248;
  h[31] = ((h[31] as number) & 127) | 64;
  return numberOf(h);
})();

/** The base point, y = 4/5: it signs anything, with S = 1, under a key that is the identity. */
const BASE = Buffer.from("5866666666666666666666666666666666666666666666666666666666666666", "hex");
const IDENTITY = bytesOf(1n);

/** All y of small order, canonical; then the same and others as y + p, which fits 255 bits for y below 19. */
const SMALL: [string, Buffer][] = [
  0n,
  1n,
  FIELD - 1n,
  numberOf(Buffer.from("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "hex")),
  numberOf(Buffer.from("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", "hex")),
].flatMap((y) => [y, y + SIGN_BIT].map((n): [string, Buffer] => [bytesOf(n).toString("hex"), bytesOf(n)]));
const LOOSE: [string, Buffer][] = [0n, 1n, 3n, 18n].flatMap((y) =>
  [y + FIELD, y + FIELD + SIGN_BIT].map((n): [string, Buffer] => [bytesOf(n).toString("hex"), bytesOf(n)]),
);

async function both(message: Uint8Array, signature: Uint8Array, raw: Uint8Array): Promise<boolean[]> {
  const key = importVerifyKey(raw);
  const async_ = key === undefined ? false : await verifySignatureAsync(message, signature, key);
  return [verifySignature(message, signature, raw), async_];
}

describe("a signature", () => {
  it("holds for its message and key, on the thread and through the pool, as another library says", async () => {
    expect(await both(MESSAGE, GOOD, PUBLIC)).toEqual([true, true]);
    expect(nacl.sign.detached.verify(MESSAGE, GOOD, PUBLIC)).toBe(true);
    expect(await both(Buffer.from("a tallx"), GOOD, PUBLIC)).toEqual([false, false]);
  });

  it("does not hold with any bit flipped", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(511), async (bit) => {
        const changed = Buffer.from(GOOD);
        changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(await both(MESSAGE, changed, PUBLIC)).toEqual([false, false]);
      }),
      { numRuns: 100 },
    );
  });

  it.each([0, 32, 63, 65, 128])("has 64 bytes, not %i", async (length) => {
    const other = Buffer.concat([GOOD, Buffer.alloc(64)]).subarray(0, length);
    expect(await both(MESSAGE, other, PUBLIC)).toEqual([false, false]);
  });

  it("has an S below the group order: S + L, which satisfies the equation, is refused", async () => {
    const s = numberOf(GOOD.subarray(32));
    for (const larger of [s + ORDER, s + 2n * ORDER, ORDER]) {
      const signature = Buffer.concat([GOOD.subarray(0, 32), bytesOf(larger)]);
      expect(await both(MESSAGE, signature, PUBLIC)).toEqual([false, false]);
    }
    // tweetnacl has no such check: the equation does hold.
    const malleable = Buffer.concat([GOOD.subarray(0, 32), bytesOf(s + ORDER)]);
    expect(nacl.sign.detached.verify(MESSAGE, malleable, PUBLIC)).toBe(true);
  });

  it("has an R of no small order, though its key's owner can make the equation hold with one", async () => {
    const h = numberOf(sha512(IDENTITY, PUBLIC, MESSAGE)) % ORDER;
    const signature = Buffer.concat([IDENTITY, bytesOf((h * SCALAR) % ORDER)]);
    expect(nacl.sign.detached.verify(MESSAGE, signature, PUBLIC)).toBe(true);
    expect(await both(MESSAGE, signature, PUBLIC)).toEqual([false, false]);
  });
});

describe("a key", () => {
  it("is one that was made as such", () => {
    expect(isStrictPublicKey(PUBLIC)).toBe(true);
    expect(isStrictPoint(BASE)).toBe(true);
    expect(isStrictPoint(bytesOf(FIELD - 2n))).toBe(true);
  });

  it.each(SMALL)("is of no small order: %s", async (_, raw) => {
    expect(isStrictPoint(raw)).toBe(false);
    expect(isStrictPublicKey(raw)).toBe(false);
    expect(await both(MESSAGE, Buffer.concat([BASE, bytesOf(1n)]), raw)).toEqual([false, false]);
  });

  it.each(LOOSE)("is canonical: %s", async (_, raw) => {
    expect(isStrictPoint(raw)).toBe(false);
    expect(isStrictPublicKey(raw)).toBe(false);
    expect(await both(MESSAGE, Buffer.concat([BASE, bytesOf(1n)]), raw)).toEqual([false, false]);
  });

  it("that is the identity would sign anything for anyone", () => {
    expect(nacl.sign.detached.verify(MESSAGE, Buffer.concat([BASE, bytesOf(1n)]), IDENTITY)).toBe(true);
    expect(verifySignature(MESSAGE, Buffer.concat([BASE, bytesOf(1n)]), IDENTITY)).toBe(false);
  });

  it.each([0, 31, 33, 64])("has 32 bytes, not %i", (length) => {
    const raw = Buffer.concat([PUBLIC, PUBLIC]).subarray(0, length);
    expect(isStrictPoint(raw)).toBe(false);
    expect(isStrictPublicKey(raw)).toBe(false);
  });

  it("imported is the key that was given", () => {
    const key = importVerifyKey(PUBLIC);
    expect(key?.raw).toEqual(PUBLIC);
    expect(key && verify(null, MESSAGE, key.object, GOOD)).toBe(true);
  });
});
