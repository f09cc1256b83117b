import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newSampleKey, sampleDefinition } from "../definition/sample.ts";
import {
  checkShares,
  joinRecoveryShares,
  type RecoveryShare,
  readRecoveryShare,
  splitRecoveryKey,
} from "./recovery.ts";

const { recovery, vault, definition } = sampleDefinition();
const { recoveryKey } = definition.vault;
const TRUSTEES = ["trustee-1", "trustee-2", "trustee-3"] as const;

const made = () => splitRecoveryKey(recovery.jwk, TRUSTEES) as Promise<[RecoveryShare, RecoveryShare, RecoveryShare]>;
const reread = (share: RecoveryShare) => readRecoveryShare(JSON.stringify(share, null, 2), "share.json");

describe("the recovery key", () => {
  it("is rebuilt by every two of three trustees, and by all of them", async () => {
    const [a, b, c] = await made();
    for (const shares of [
      [a, b],
      [b, a],
      [a, c],
      [b, c],
      [a, b, c],
    ])
      expect((await joinRecoveryShares(shares.map(reread), recoveryKey)).d).toBe(recovery.jwk.d);
    expect([a, b, c].map(({ trustee }) => trustee)).toEqual(TRUSTEES);
  });

  it("shows in no share, and no two splits have a share in common", async () => {
    const all = [...(await made()), ...(await made())];
    expect(new Set(all.map(({ share }) => share)).size).toBe(6);
    const secret = Buffer.from(recovery.jwk.d, "base64url");
    for (const { share } of all) expect(Buffer.from(share, "base64url").includes(secret.subarray(0, 4))).toBe(false);
  });

  it("is any key that was split, and that one only", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 2, maxLength: 2 }), fc.nat(2), async ([bit = 0, at = 0], left) => {
        const { privateKey } = generateKeyPairSync("x25519");
        const jwk = privateKey.export({ format: "jwk" });
        const shares = (await splitRecoveryKey(jwk, TRUSTEES)).filter((_, n) => n !== left);
        expect((await joinRecoveryShares(shares, String(jwk.x))).d).toBe(jwk.d);
        // Whoever changes a share and its checksum with it gets no key.
        const bytes = Buffer.from(shares[0]!.share, "base64url");
        bytes[at % 31] = bytes[at % 31]! ^ (1 << (bit % 8));
        const changed = [{ ...shares[0]!, share: bytes.toString("base64url") }, shares[1]!];
        await expect(joinRecoveryShares(changed, String(jwk.x))).rejects.toThrow(/one of them was changed/);
      }),
      { numRuns: 30 },
    );
  });
});

describe("a share", () => {
  it("that was mistyped anywhere is found before it is joined", async () => {
    const [share] = await made();
    const text = JSON.stringify(share);
    expect(reread(share)).toEqual(share);
    for (let at = 0; at < text.length; at++) {
      const typed = `${text.slice(0, at)}${text[at] === "7" ? "8" : "7"}${text.slice(at + 1)}`;
      expect(() => readRecoveryShare(typed, "share.json"), typed).toThrow(/^share\.json is (damaged|no share)/);
    }
    expect(() => readRecoveryShare("", "empty")).toThrow("empty is no share of a recovery key.");
    expect(() => readRecoveryShare(JSON.stringify(recovery.jwk), "key")).toThrow("key is no share");
  });

  it("joins with none of another split, of another key, or of the same trustee", async () => {
    const [a] = await made();
    const [d, e] = await made();
    await expect(joinRecoveryShares([a, e], recoveryKey)).rejects.toThrow(
      "The shares of trustee-1 and trustee-2 are of different splits of the key.",
    );
    await expect(joinRecoveryShares([a, a], recoveryKey)).rejects.toThrow("Both shares are of trustee-1.");
    await expect(joinRecoveryShares([a, d], recoveryKey)).rejects.toThrow("Both shares are of trustee-1.");
    await expect(joinRecoveryShares([a], recoveryKey)).rejects.toThrow("One share is not enough.");
    await expect(joinRecoveryShares([d, e], definition.vault.publicKey)).rejects.toThrow("another recovery key");
    await expect(checkShares([a, d, e], recoveryKey)).rejects.toThrow("Both shares are of trustee-1.");
    // Relabelled as one split, with a checksum that fits: the rebuilt key is compared.
    await expect(joinRecoveryShares([a, { ...e, split: a.split }], recoveryKey)).rejects.toThrow("was changed");
  });

  it("is made of a private X25519 key, for three trustees", async () => {
    const wrong = /no private X25519 key/;
    await expect(splitRecoveryKey({ ...recovery.jwk, x: vault.jwk.x }, TRUSTEES)).rejects.toThrow(wrong);
    await expect(splitRecoveryKey({ kty: "OKP", crv: "X25519", x: recoveryKey }, TRUSTEES)).rejects.toThrow(wrong);
    const ed = newSampleKey(sampleDefinition(), "some-key").jwk;
    await expect(splitRecoveryKey(ed, TRUSTEES)).rejects.toThrow(wrong);
    const twice = ["trustee-1", "trustee-2", "trustee-1"] as const;
    await expect(splitRecoveryKey(recovery.jwk, twice)).rejects.toThrow("three different ones");
  });
});
