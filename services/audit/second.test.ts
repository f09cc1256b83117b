import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { verifySignature } from "../../shared/statement/ed25519.ts";
import { createSecondOpinion, type Signed } from "./second.ts";
import { passesStrictChecks } from "./strict.ts";

const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

function signed(seed: number, message: string): Signed {
  const der = Buffer.concat([PKCS8, Buffer.alloc(32, seed)]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const publicKey = Buffer.from(createPublicKey(privateKey).export({ format: "jwk" }).x ?? "", "base64url");
  const bytes = Buffer.from(message, "utf8");
  return { signed: bytes, signature: sign(null, bytes, privateKey), publicKey };
}

async function opinionOn(...all: Signed[]) {
  const second = createSecondOpinion(2);
  try {
    for (const [n, one] of all.entries()) await second.check(n, one);
    return await second.finish();
  } finally {
    await second.close();
  }
}

const flipped = (bytes: Uint8Array, bit: number) =>
  bytes.map((byte, n) => (n === Math.floor(bit / 8) % bytes.length ? byte ^ (1 << (bit % 8)) : byte));

/** Little-endian 32 bytes of a number, and what lies around every bound that the strict rule draws. */
const bytesOf = (value: bigint) => Buffer.from(value.toString(16).padStart(64, "0"), "hex").reverse();
const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const EDGES = [0n, 1n, 2n, P - 2n, P - 1n, P, P + 1n, P + 18n, 2n ** 255n - 1n, L - 1n, L, L + 1n, 2n ** 256n - 1n]
  .flatMap((value) => [value, value | (1n << 255n)])
  .map(bytesOf);
const SMALL = [
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
];

describe("the second implementation", () => {
  it("agrees on signatures that hold, and counts them", async () => {
    const all = Array.from({ length: 12 }, (_, n) => signed(n, `statement ${n}`));
    expect(await opinionOn(...all)).toEqual({ checked: 12, disagrees: undefined });
  });

  it("names the lowest entry at which it disagrees", async () => {
    const good = signed(1, "statement");
    const bad = { ...good, signature: flipped(good.signature, 5) };
    const other = { ...good, signed: Buffer.from("another") };
    expect(await opinionOn(good, good, other, bad)).toEqual({ checked: 4, disagrees: 2 });
  });

  it("gives the first one's verdict on every flipped bit", async () => {
    const cases = fc.record({
      seed: fc.integer({ min: 0, max: 255 }),
      part: fc.constantFrom("signed", "signature", "publicKey", "none"),
      bit: fc.integer({ min: 0, max: 511 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(cases, { minLength: 1, maxLength: 4 }), async (drawn) => {
        const all = drawn.map(({ seed, part, bit }) => {
          const one = signed(seed, "a statement");
          return part === "none" ? one : { ...one, [part]: flipped(one[part as "signed"], bit) };
        });
        const first = all.findIndex((one) => !verifySignature(one.signed, one.signature, one.publicKey));
        expect((await opinionOn(...all)).disagrees).toBe(first < 0 ? undefined : first);
      }),
      { numRuns: 6 },
    );
  });

  it("draws every bound of the strict rule where the first one draws it", () => {
    const good = signed(3, "x");
    const points = [
      ...EDGES,
      ...SMALL.flatMap((hex) => [Buffer.from(hex, "hex"), flipped(Buffer.from(hex, "hex"), 255)]),
    ];
    const decided = [...points, good.publicKey].map((point) => [
      passesStrictChecks(good.signature, point),
      passesStrictChecks(Buffer.concat([point, good.signature.subarray(32)]), good.publicKey),
    ]);
    const isPoint = (point: Uint8Array) => {
      const y = BigInt(`0x${Buffer.from(point).reverse().toString("hex")}`) & (2n ** 255n - 1n);
      return y < P && y > 1n && y !== P - 1n && !SMALL.includes(bytesOf(y).toString("hex"));
    };
    expect(decided).toEqual([...points, good.publicKey].map((point) => [isPoint(point), isPoint(point)]));
    const scalars = EDGES.map((s) =>
      passesStrictChecks(Buffer.concat([good.signature.subarray(0, 32), s]), good.publicKey),
    );
    expect(scalars).toEqual(EDGES.map((s) => BigInt(`0x${Buffer.from(s).reverse().toString("hex")}`) < L));
  });
});
