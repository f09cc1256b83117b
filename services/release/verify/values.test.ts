import { sign } from "node:crypto";
import fc from "fast-check";
import nacl from "tweetnacl";
import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../../../shared/definition/sample.ts";
import { canonical } from "../../../shared/ledger/entry.ts";
import { isStrictPoint, verifySignature } from "../../../shared/statement/ed25519.ts";
import { parseStrict } from "../../../shared/statement/json.ts";
import { decodeBase64url } from "../../../shared/statement/jws.ts";
import { change, hex, load } from "./fixture.ts";

/** The page's values: bytes, JSON and signatures, which run in Node unchanged, take what shared/ takes and refuse what it refuses. */

const bytes = (await load("bytes.js")) as {
  fromBase64(text: string): Uint8Array | undefined;
  fromBase64url(text: string): Uint8Array | undefined;
  textOf(bytes: Uint8Array): string | undefined;
};
const { keys } = sampleDefinition();
const [one, two] = [keys.get("AT-1")!, keys.get("AT-2")!];
const json = (await load("json.js")) as { parseStrict(text: string): unknown; canonical(value: unknown): string };
const ed25519 = (await load("ed25519.js")) as {
  isStrictPoint(bytes: Uint8Array): boolean;
  verifySignature(library: typeof nacl, message: Uint8Array, signature: Uint8Array, key: Uint8Array): boolean;
};

describe("bytes.js", () => {
  it("reads base64 and base64url as shared/ does", () => {
    const text = fc.oneof(
      fc.string({ maxLength: 12 }),
      fc.string({ unit: fc.constantFrom(..."AZaz09+/-_="), maxLength: 9 }),
      fc.base64String({ maxLength: 40 }),
      fc.uint8Array({ maxLength: 40 }).map((raw) => Buffer.from(raw).toString("base64url")),
    );
    fc.assert(
      fc.property(text, (written) => {
        const standard = Buffer.from(written, "base64");
        expect(hex(bytes.fromBase64(written))).toBe(
          standard.toString("base64") === written ? hex(standard) : undefined,
        );
        expect(hex(bytes.fromBase64url(written))).toBe(hex(decodeBase64url(written)));
      }),
      { numRuns: 500 },
    );
  });
});

describe("json.js", () => {
  it("takes what shared/statement/json.ts takes, and nothing else", () => {
    const value = fc.oneof(
      fc.json({ maxDepth: 4 }),
      fc.jsonValue({ noUnicodeString: false }).map((made) => JSON.stringify(made)),
      fc.constantFrom(
        '{"a":1,"a":2}',
        '{"a":1,"\\u0061":2}',
        '{"__proto__":1}',
        '"\\ud800"',
        "1.0",
        "1e3",
        "-0",
        "9007199254740991",
        "9007199254740992",
        "-9007199254740991",
        '{"a":[{"a":1},{"a":1}]}',
        `${"[".repeat(16)}${"]".repeat(16)}`,
        `${"[".repeat(17)}${"]".repeat(17)}`,
        '{"a":"1.5, \\"b\\": {"}',
        " [ 1 , 2 ] ",
        "\ufeff1",
        "",
      ),
    );
    let taken = 0;
    fc.assert(
      fc.property(value, change, (text, changed) => {
        const written = changed(text).toWellFormed();
        const read = parseStrict(Buffer.from(written));
        taken += Number(read.kind === "value");
        expect(json.parseStrict(written)).toEqual(read.kind === "value" ? read.value : undefined);
      }),
      { numRuns: 500 },
    );
    expect(taken).toBeGreaterThan(50);
  });

  it("writes canonical JSON as shared/ledger does", () => {
    const value = fc.jsonValue({ maxDepth: 3 }).map((made) => JSON.parse(JSON.stringify(made)));
    fc.assert(fc.property(value, (made) => json.canonical(made) === canonical(made)));
  });
});

describe("ed25519.js", () => {
  const FIELD = (1n << 255n) - 19n;
  const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
  const little = (number: bigint) => Buffer.from(number.toString(16).padStart(64, "0"), "hex").reverse();
  const add = (encoded: Uint8Array, number: bigint) =>
    little((BigInt(`0x${Buffer.from(encoded).reverse().toString("hex")}`) + number) % (1n << 256n));

  it("refuses the points that the strict rule refuses, and no others", () => {
    const y = fc.oneof(
      fc.bigInt({ min: -3n, max: 3n }),
      fc.bigInt({ min: FIELD - 3n, max: FIELD + 20n }),
      fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }),
    );
    const small = [
      "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
      "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    ];
    const point = fc.oneof(
      fc
        .tuple(y, fc.boolean())
        .map(([number, odd]) => little(((number + (1n << 256n)) % (1n << 255n)) + (odd ? 1n << 255n : 0n))),
      fc.constantFrom(...small).map((text) => Buffer.from(text, "hex")),
      fc.constantFrom(...small).map((text) => add(Buffer.from(text, "hex"), 1n << 255n)),
      fc.uint8Array({ minLength: 31, maxLength: 33 }),
    );
    fc.assert(
      fc.property(point, (raw) => ed25519.isStrictPoint(raw) === isStrictPoint(raw)),
      { numRuns: 500 },
    );
  });

  it("gives the verdicts of node:crypto under the strict rule", () => {
    const twist = fc.constantFrom<(signature: Uint8Array) => Uint8Array>(
      (signature) => signature,
      (signature) => Buffer.concat([signature.subarray(0, 32), add(signature.subarray(32), ORDER)]),
      (signature) => Buffer.concat([little(1n), signature.subarray(32)]),
      (signature) => signature.subarray(0, 63),
      (signature) => Buffer.concat([signature, Buffer.alloc(1)]),
      (signature) => signature.map((byte, n) => (n === 40 ? byte ^ 4 : byte)),
      (signature) => signature.map((byte, n) => (n === 3 ? byte ^ 4 : byte)),
    );
    const key = fc.constantFrom(
      one.publicRaw,
      one.publicRaw,
      one.publicRaw,
      two.publicRaw,
      little(1n),
      little(0n),
      Buffer.alloc(32, 0xff),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 50 }), twist, key, (message, twisted, raw) => {
        const signature = twisted(sign(null, message, one.privateKey));
        const verdict = verifySignature(message, signature, raw);
        const plain = (part: Uint8Array) => new Uint8Array(part);
        expect(ed25519.verifySignature(nacl, message, plain(signature), plain(raw))).toBe(verdict);
      }),
      { numRuns: 120 },
    );
    const genuine = sign(null, Buffer.from("genuine"), one.privateKey);
    expect(ed25519.verifySignature(nacl, Buffer.from("genuine"), new Uint8Array(genuine), one.publicRaw)).toBe(true);
  });
});
