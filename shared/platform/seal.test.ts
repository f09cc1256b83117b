import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  createDataKey,
  createKeyring,
  createSealer,
  open,
  type Purpose,
  rewrapDataKey,
  SEALER_REMEMBERS,
  SealBroken,
  seal,
  unwrapDataKey,
  vaultKeyOf,
  vaultSecret,
} from "./seal.ts";

const DEFINITION = "ab".repeat(32);
const PURPOSES: Purpose[] = ["statement", "receipt", "judgement", "release", "snapshot"];

function pair(): { privateKey: KeyObject; publicKey: string } {
  const { privateKey } = generateKeyPairSync("x25519");
  return { privateKey, publicKey: String(privateKey.export({ format: "jwk" }).x) };
}

const vault = pair();
const recovery = pair();
const keys = { definition: DEFINITION, vaultPublicKey: vault.publicKey, recoveryPublicKey: recovery.publicKey };

function flipped(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] as number) ^ (1 << bit);
  return copy;
}

const key32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const purpose = fc.constantFrom(...PURPOSES);

describe("seal and open", () => {
  it("give back what was sealed, whatever it is", () => {
    fc.assert(
      fc.property(
        key32,
        purpose,
        fc.string({ unit: "binary" }),
        fc.uint8Array({ maxLength: 3000 }),
        (k, p, c, text) => {
          const sealed = seal(k, p, c, text);
          expect((sealed.length - 28) % 256).toBe(0);
          expect(Buffer.from(open(k, p, c, sealed)).equals(text)).toBe(true);
        },
      ),
    );
  });

  it("refuse any flipped bit, any cut, and any addition", () => {
    fc.assert(
      fc.property(key32, fc.uint8Array({ maxLength: 600 }), fc.nat(), fc.nat(7), (k, text, at, bit) => {
        const sealed = seal(k, "release", "7", text);
        expect(() => open(k, "release", "7", flipped(sealed, at % sealed.length, bit))).toThrow(SealBroken);
        expect(() => open(k, "release", "7", sealed.subarray(0, at % sealed.length))).toThrow(SealBroken);
        expect(() => open(k, "release", "7", Buffer.concat([sealed, Buffer.of(bit)]))).toThrow(SealBroken);
      }),
    );
  });

  it("refuse another key, purpose or context", () => {
    fc.assert(
      fc.property(key32, key32, fc.tuple(purpose, purpose), fc.string(), fc.string(), (k, other, [p, q], c, d) => {
        const sealed = seal(k, p, c, Buffer.from("figures"));
        const refusesUnlessSame = (same: boolean, act: () => unknown) => {
          if (!same) expect(act).toThrow(SealBroken);
        };
        refusesUnlessSame(Buffer.from(k).equals(other), () => open(other, p, c, sealed));
        refusesUnlessSame(p === q, () => open(k, q, c, sealed));
        refusesUnlessSame(c === d, () => open(k, p, d, sealed));
      }),
    );
    const sealed = seal(new Uint8Array(32), "receipt", "a", Buffer.from("x"));
    expect(() => open(new Uint8Array(32).fill(1), "receipt", "a", sealed)).toThrow(SealBroken);
    expect(() => open(new Uint8Array(32), "statement", "a", sealed)).toThrow(SealBroken);
    expect(() => open(new Uint8Array(32), "receipt", "b", sealed)).toThrow(SealBroken);
  });

  it("hide all lengths of one step behind one length", () => {
    const k = new Uint8Array(32);
    const lengths = (n: number) => seal(k, "statement", "IT", new Uint8Array(n)).length;
    expect(new Set([0, 1, 251, 252].map(lengths))).toEqual(new Set([256 + 28]));
    expect(lengths(253)).toBe(512 + 28);
  });

  it("never seal twice alike", () => {
    const k = new Uint8Array(32);
    const text = Buffer.from("same");
    const nonces = Array.from({ length: 2_000 }, () =>
      Buffer.from(seal(k, "receipt", "1", text)).toString("hex", 0, 12),
    );
    expect(new Set(nonces).size).toBe(nonces.length);
  });
});

describe("a data key", () => {
  it("opens with the vault's key and with the recovery key, and with no other", async () => {
    const made = await createDataKey(keys);
    expect(made.id).toMatch(/^[0-9a-f]{32}$/);
    expect(made.wrapped.length).toBe(160);
    const opened = { definition: DEFINITION, id: made.id, wrapped: made.wrapped };
    const raw = Buffer.from(String(vault.privateKey.export({ format: "jwk" }).d), "base64url");
    for (const vaultPrivateKey of [vault.privateKey, raw])
      expect(Buffer.from(await unwrapDataKey({ ...opened, vaultPrivateKey })).equals(made.key)).toBe(true);
    const recovered = await unwrapDataKey({ ...opened, vaultPrivateKey: recovery.privateKey, recipient: "recovery" });
    expect(Buffer.from(recovered).equals(made.key)).toBe(true);
    for (const vaultPrivateKey of [pair().privateKey, recovery.privateKey])
      await expect(unwrapDataKey({ ...opened, vaultPrivateKey })).rejects.toThrow(SealBroken);
  });

  it("does not open under another id, for another definition, or with any byte changed", async () => {
    const { id, wrapped } = await createDataKey(keys);
    const vaultPrivateKey = vault.privateKey;
    const unwrap = (changed: object) =>
      unwrapDataKey({ definition: DEFINITION, id, wrapped, vaultPrivateKey, ...changed });
    await expect(unwrap({ id: "0".repeat(32) })).rejects.toThrow(SealBroken);
    await expect(unwrap({ definition: "cd".repeat(32) })).rejects.toThrow(SealBroken);
    await expect(unwrap({ wrapped: wrapped.subarray(1) })).rejects.toThrow(SealBroken);
    // The top bit of an X25519 point is ignored by RFC 7748, but not by the key schedule, which hashes the point as sent.
    for (let at = 0; at < 80; at++)
      await expect(unwrap({ wrapped: flipped(wrapped, at, at % 8) }), `byte ${at}`).rejects.toThrow(SealBroken);
    await expect(unwrap({ wrapped: flipped(wrapped, 31, 7) })).rejects.toThrow(SealBroken);
  });

  it("keeps the half that opened it, and gets the other one anew whatever came as that", async () => {
    const made = await createDataKey(keys);
    for (const [opened, other, own, from] of [
      ["vault", "recovery", vault, 0],
      ["recovery", "vault", recovery, 80],
    ] as const) {
      const wrapped = Buffer.alloc(160, 7);
      wrapped.set(made.wrapped.subarray(from, from + 80), from);
      const kept = await rewrapDataKey({ ...made, ...keys, wrapped, opened });
      expect(kept.length).toBe(160);
      expect(kept.subarray(from, from + 80)).toEqual(wrapped.subarray(from, from + 80));
      const bound = { definition: DEFINITION, id: made.id };
      const key = await unwrapDataKey({ ...bound, wrapped: kept, vaultPrivateKey: own.privateKey, recipient: opened });
      expect(Buffer.from(key).equals(made.key)).toBe(true);
      const theirs = { vaultPrivateKey: (other === "vault" ? vault : recovery).privateKey, recipient: other };
      expect(Buffer.from(await unwrapDataKey({ ...bound, wrapped: kept, ...theirs })).equals(made.key)).toBe(true);
      await expect(unwrapDataKey({ ...bound, wrapped, ...theirs })).rejects.toThrow(SealBroken);
    }
  });

  it("is refused for what is no public key, and for a signing key as the vault's", async () => {
    await expect(createDataKey({ ...keys, vaultPublicKey: "AAAA" })).rejects.toThrow("not 32 bytes");
    const zero = Buffer.alloc(32).toString("base64url");
    await expect(createDataKey({ ...keys, recoveryPublicKey: zero })).rejects.toThrow();
    const { id, wrapped } = await createDataKey(keys);
    const vaultPrivateKey = generateKeyPairSync("ed25519").privateKey;
    await expect(unwrapDataKey({ definition: DEFINITION, id, wrapped, vaultPrivateKey })).rejects.toThrow(
      "not an X25519",
    );
  });
});

describe("a sealer", () => {
  it("has one key a minute, the same for everyone who asks at once, and remembers the last ten", async () => {
    const sealer = createSealer(keys);
    const asked = await Promise.all([0, 1, 59_999].map((now) => sealer.current(now)));
    expect(new Set(asked.map(({ id }) => id)).size).toBe(1);
    const ids = [];
    for (let minute = 1; minute <= SEALER_REMEMBERS; minute++) ids.push((await sealer.current(minute * 60_000)).id);
    expect(new Set(ids).size).toBe(SEALER_REMEMBERS);
    for (const id of ids) expect(sealer.find(id)?.id).toBe(id);
    expect(sealer.find(String(asked[0]?.id))).toBeUndefined();
  });

  it("says what is wrong to whoever asks, each time", async () => {
    const sealer = createSealer({ ...keys, vaultPublicKey: "AAAA" });
    await expect(sealer.current(0)).rejects.toThrow("the vault's public key");
    await expect(sealer.current(1)).rejects.toThrow("the vault's public key");
  });
});

describe("a keyring", () => {
  it("unwraps once, forgets the least recently used, and keeps a forged key apart from the true one", async () => {
    const ring = createKeyring({ definition: DEFINITION, vaultPrivateKey: vault.privateKey, limit: 2 });
    const [a, b, c] = [await createDataKey(keys), await createDataKey(keys), await createDataKey(keys)];
    const first = ring.unwrap(a.id, a.wrapped);
    expect(Buffer.from(await first).equals(a.key)).toBe(true);
    await ring.unwrap(b.id, b.wrapped);
    expect(ring.unwrap(a.id, a.wrapped)).toBe(first);
    await ring.unwrap(c.id, c.wrapped); // b goes
    expect(ring.unwrap(a.id, a.wrapped)).toBe(first);
    await expect(ring.unwrap(a.id, b.wrapped)).rejects.toThrow(SealBroken);
    expect(Buffer.from(await ring.unwrap(a.id, a.wrapped)).equals(a.key)).toBe(true);
  });

  it("knows a key by the half that opens it, and takes none of another length for it", async () => {
    const ring = createKeyring({ definition: DEFINITION, vaultPrivateKey: vault.privateKey });
    const { id, wrapped } = await createDataKey(keys);
    const first = ring.unwrap(id, wrapped);
    await first;
    expect(ring.unwrap(id, flipped(wrapped, 159, 0))).toBe(first);
    for (const other of [wrapped.subarray(0, 80), Buffer.concat([wrapped, Buffer.alloc(1)])])
      await expect(ring.unwrap(id, other)).rejects.toThrow(SealBroken);
  });

  it("opens with the recovery key what was wrapped to it, and only as that", async () => {
    const { id, wrapped, key } = await createDataKey(keys);
    const vaultPrivateKey = recovery.privateKey;
    const ring = createKeyring({ definition: DEFINITION, vaultPrivateKey, recipient: "recovery" });
    expect(Buffer.from(await ring.unwrap(id, wrapped)).equals(key)).toBe(true);
    const own = createKeyring({ definition: DEFINITION, vaultPrivateKey });
    await expect(own.unwrap(id, wrapped)).rejects.toThrow(SealBroken);
  });
});

describe("the vault's secrets", () => {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const both = { publicKey: vault.publicKey, recoveryKey: recovery.publicKey };

  it("follow from either of its two keys alike, differ by use and by election, and are none of the keys", () => {
    const [own, recovered] = [
      vaultKeyOf(vault.privateKey, both, DEFINITION)!,
      vaultKeyOf(recovery.privateKey, both, DEFINITION)!,
    ];
    expect([own.recipient, recovered.recipient]).toEqual(["vault", "recovery"]);
    expect(hex(vaultSecret(own, "snapshot"))).toBe(hex(vaultSecret(recovered, "snapshot")));
    const third = pair();
    const others = [
      vaultKeyOf(vault.privateKey, { ...both, recoveryKey: third.publicKey }, DEFINITION)!,
      vaultKeyOf(recovery.privateKey, { ...both, publicKey: third.publicKey }, DEFINITION)!,
      vaultKeyOf(third.privateKey, { ...both, publicKey: third.publicKey }, DEFINITION)!,
      vaultKeyOf(vault.privateKey, { publicKey: recovery.publicKey, recoveryKey: vault.publicKey }, DEFINITION)!,
      vaultKeyOf(vault.privateKey, both, "ff".repeat(32))!,
    ];
    const secrets = others.map((key) => vaultSecret(key, "snapshot"));
    expect(hex(secrets[1]!)).toBe(hex(secrets[2]!));
    const known = [
      vaultSecret(own, "snapshot"),
      vaultSecret(own, "release"),
      secrets[0]!,
      secrets[1]!,
      secrets[3]!,
      secrets[4]!,
    ];
    const raw = [vault, recovery].map(({ privateKey }) =>
      Buffer.from(String(privateKey.export({ format: "jwk" }).d), "base64url"),
    );
    expect(new Set([...known, own.secret, ...raw].map(hex)).size).toBe(9);
  });

  it("follow from no other key, and from no signing key", () => {
    expect(vaultKeyOf(pair().privateKey, both, DEFINITION)).toBeUndefined();
    expect(vaultKeyOf(generateKeyPairSync("ed25519").privateKey, both, DEFINITION)).toBeUndefined();
  });

  it("stay what they are: snapshots of an older version must open", () => {
    const [own, other] = [7, 9].map((byte) => {
      const pkcs8 = Buffer.from("302e020100300506032b656e04220420", "hex"); // RFC 8410
      const key = Buffer.concat([pkcs8, Buffer.alloc(32, byte)]);
      return createPrivateKey({ key, format: "der", type: "pkcs8" });
    }) as [KeyObject, KeyObject];
    const publicOf = (key: KeyObject) => String(key.export({ format: "jwk" }).x);
    const key = vaultKeyOf(own, { publicKey: publicOf(own), recoveryKey: publicOf(other) }, DEFINITION)!;
    expect(hex(vaultSecret(key, "snapshot"))).toMatchInlineSnapshot(
      `"3e97900cb0d4ecce8cf6f69b5f3c217275cb0b53636811dfc678c9acc69c7d48"`,
    );
  });
});
