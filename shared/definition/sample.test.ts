import { createHash, verify } from "node:crypto";
import { describe, expect, it } from "vitest";
import { importVerifyKey, verifySignature } from "../statement/ed25519.ts";
import { openEnvelope } from "../statement/jws.ts";
import { readStatement } from "../statement/read.ts";
import { newSampleKey, SAMPLE_CLOSE, sampleCommon, sampleDefinition, sampleTally, signSample } from "./sample.ts";
import { readDefinition } from "./validate.ts";

describe("the sample", () => {
  const sample = sampleDefinition();

  it("is a valid definition, signed by two keys of its authority", () => {
    const read = readDefinition(sample.bytes, sample.signatures, sample.anchors);
    expect(read).toEqual({ kind: "valid", definition: sample.definition, hash: sample.hash, signers: sample.anchors });
    expect(sample.hash).toBe(createHash("sha256").update(sample.bytes).digest("hex"));
    expect(sample.register.lastClosing()).toBe(SAMPLE_CLOSE);
  });

  it("is the same every time, and shares no key with one of another seed", () => {
    expect(sampleDefinition().hash).toBe(sample.hash);
    const other = sampleDefinition({ seed: "another", closesAt: SAMPLE_CLOSE + 90_500 });
    expect(readDefinition(other.bytes, other.signatures, other.anchors).kind).toBe("valid");
    expect(other.register.closesAt("LU")).toBe(SAMPLE_CLOSE + 90_500);
    const publicKeys = (of: typeof sample) => [...of.keys.values(), of.vault, of.recovery].map((key) => key.jwk.x);
    expect(new Set([...publicKeys(sample), ...publicKeys(other)]).size).toBe(2 * publicKeys(sample).length);
    expect(readDefinition(sample.bytes, sample.signatures, other.anchors).kind).toBe("invalid");
  });

  it("takes a last edit into its hash and signatures", () => {
    const edited = sampleDefinition({
      edit: (definition) => {
        definition.title = "Another title";
      },
    });
    expect(edited.hash).not.toBe(sample.hash);
    expect(readDefinition(edited.bytes, edited.signatures, edited.anchors).kind).toBe("valid");
  });

  it("holds the private half of each key of the definition", () => {
    for (const { id, publicKey } of [...sample.definition.keys, ...sample.definition.authority]) {
      expect(sample.keys.get(id)?.jwk.x).toBe(publicKey);
    }
    expect(sample.vault.jwk).toMatchObject({ crv: "X25519", x: sample.definition.vault.publicKey });
    expect(sample.recovery.jwk).toMatchObject({ crv: "X25519", x: sample.definition.vault.recoveryKey });
  });

  it("has back-up keys and witnesses when it is asked to", () => {
    const more = sampleDefinition({ backups: ["AT", "LU"], witnesses: 3 });
    expect(readDefinition(more.bytes, more.signatures, more.anchors).kind).toBe("valid");
    expect(more.register.key("LU-backup")).toMatchObject({ role: "office", state: "LU", backup: true });
    expect(more.definition.witnesses).toMatchObject({ quorum: 2, keys: [{ name: "witness-1" }, {}, {}] });
    for (const { name, publicKey } of more.definition.witnesses?.keys ?? [])
      expect(more.keys.get(name)?.jwk.x).toBe(publicKey);
    expect(sample.definition).not.toHaveProperty("witnesses");
    expect(sample.keys.has("AT-backup")).toBe(false);
  });

  it("makes a new key once, for statements that bring one", () => {
    const own = sampleDefinition();
    const { publicRaw } = newSampleKey(own, "AT-9");
    expect(own.keys.get("AT-9")?.publicRaw).toBe(publicRaw);
    expect(own.register.key("AT-9")).toBeUndefined();
    for (const id of ["AT-9", "AT-1"]) expect(() => newSampleKey(own, id)).toThrow(`has a key ${id}`);
  });

  it.each([[["AT-1"]], [["LU-1", "LU-2"]]])("signs statements that open, by %s", (kids) => {
    const statement = { type: "tally", ...sampleCommon(sample, "AT", 3), tallies: [sampleTally()] } as const;
    const opened = openEnvelope(signSample(sample, { ...statement, tallies: [...statement.tallies] }, ...kids));
    if (opened.kind === "refused") throw new Error(opened.code);
    expect(readStatement(opened.envelope.payload)).toEqual({ kind: "statement", statement });
    expect(opened.envelope.signatures.map((s) => s.kid)).toEqual(kids);
    for (const { kid, signed, signature } of opened.envelope.signatures) {
      const key = importVerifyKey(sample.keys.get(kid)?.publicRaw ?? new Uint8Array());
      expect(key && verifySignature(signed, signature, key)).toBe(true);
      expect(key && verify(null, signed, key.object, signature)).toBe(true);
    }
    expect(() => signSample(sample, statement as never, "AT-9")).toThrow("no key AT-9");
  });
});
