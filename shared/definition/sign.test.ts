import { generateKeyPairSync } from "node:crypto";
import { flattenedVerify } from "jose";
import { describe, expect, it } from "vitest";
import { signDefinition } from "./sign.ts";
import { testKey, testPublicKey } from "./test-definition.ts";

const bytes = Buffer.from('{"type":"definition"}');

describe("signing a definition", () => {
  it("makes detached general JWS that another implementation verifies", async () => {
    const { signatures } = signDefinition(bytes, [{ id: "authority-1", privateKey: testKey("authority-1") }]);
    expect(signatures).toHaveLength(1);
    const verified = await flattenedVerify(
      { ...signatures[0]!, payload: bytes.toString("base64url") },
      { kty: "OKP", crv: "Ed25519", x: testPublicKey("authority-1") },
    );
    expect(verified.protectedHeader).toEqual({ alg: "EdDSA", kid: "authority-1", typ: "scrutin-definition+jws" });
  });

  it("refuses a key of another curve", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    expect(() => signDefinition(bytes, [{ id: "a", privateKey }])).toThrow(TypeError);
  });
});
