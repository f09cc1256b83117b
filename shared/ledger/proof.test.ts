import { sign } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../definition/sample.ts";
import { importVerifyKey, type VerifyKey } from "../statement/ed25519.ts";
import { firstAuthority } from "./authority.ts";
import { checkpointText, signCheckpoint } from "./checkpoint.ts";
import { cosign } from "./cosignature.ts";
import { inclusionProof, leafHash, rootOf } from "./merkle.ts";
import { encodeProof, type Proof, readProof, verifyProof } from "./proof.ts";

const sample = sampleDefinition();
const authorities = [firstAuthority(sample.definition)];
const { origin } = sample.definition;
const keyOf = (kid: string) => sample.keys.get(kid) as NonNullable<ReturnType<typeof sample.keys.get>>;
const importKey = (kid: string) => importVerifyKey(keyOf(kid).publicRaw) as VerifyKey;

const BODIES = Array.from({ length: 300 }, (_, n) => Buffer.from(`{"index":${n}}`, "utf8"));
const LEAVES = BODIES.map(leafHash);

const signed = (size: number, kid = "ledger-1", root = rootOf(LEAVES.slice(0, size))) =>
  signCheckpoint({
    origin,
    size,
    root,
    sign: (text) => sign(null, text, keyOf(kid).privateKey),
    publicRaw: keyOf(kid).publicRaw,
  });

async function proofOf(index: number, size: number, checkpoint?: string): Promise<Proof> {
  const extra = BODIES[index] as Uint8Array;
  return { index, hashes: inclusionProof(LEAVES, index, size), checkpoint: checkpoint ?? (await signed(size)), extra };
}

/** Witnesses of the test: any keys will do. */
const witnesses = ["trustee-1", "trustee-2"].map((kid) => ({ name: `${kid}.example`, publicKey: importKey(kid) }));
const lineOf = (size: number, kid: string) =>
  cosign(checkpointText(origin, size, rootOf(LEAVES.slice(0, size))), {
    name: `${kid}.example`,
    raw: keyOf(kid).publicRaw,
    seconds: 1_718_000_000,
    sign: (text) => sign(null, text, keyOf(kid).privateKey),
  });

describe("a proof", () => {
  it("is the file of the specification, byte for byte", () => {
    const hash = Buffer.alloc(32, 1);
    const checkpoint = "example.com/log\n2\nAA==\n\n— example.com/log AAAA\n";
    const proof = { index: 7, hashes: [hash, hash], checkpoint };
    const lines = `${hash.toString("base64")}\n${hash.toString("base64")}\n\n${checkpoint}`;
    expect(encodeProof(proof)).toBe(`c2sp.org/tlog-proof@v1\nindex 7\n${lines}`);
    const extra = Buffer.from("{}");
    expect(encodeProof({ ...proof, extra })).toBe(`c2sp.org/tlog-proof@v1\nextra e30=\nindex 7\n${lines}`);
    expect(encodeProof({ ...proof, extra: Buffer.alloc(0) })).toBe(encodeProof(proof));
  });

  it("is read back as it was written, and holds", async () => {
    const cases = fc.integer({ min: 1, max: 300 }).chain((size) => fc.tuple(fc.constant(size), fc.nat(size - 1)));
    await fc.assert(
      fc.asyncProperty(cases, async ([size, index]) => {
        const proof = await proofOf(index, size);
        const read = readProof(encodeProof(proof)) as Proof;
        expect(encodeProof(read)).toBe(encodeProof(proof));
        expect(Buffer.compare(read.extra as Uint8Array, proof.extra as Uint8Array)).toBe(0);
        const root = Buffer.from(rootOf(LEAVES.slice(0, size)));
        expect(verifyProof(read, { authorities })).toMatchObject({ kind: "holds", index, size, origin, cosigned: [] });
        const verdict = verifyProof(read, { authorities, leaf: LEAVES[index] as Uint8Array });
        expect(verdict.kind === "holds" && root.equals(verdict.root)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it("has no hashes in a log of one entry", async () => {
    const text = encodeProof(await proofOf(0, 1));
    expect(text).toContain("\nindex 0\n\n");
    expect(verifyProof(readProof(text) as Proof, { authorities }).kind).toBe("holds");
  });

  it("is refused in any other form", async () => {
    const text = encodeProof(await proofOf(5, 9));
    const changed: [string | RegExp, string][] = [
      ["tlog-proof@v1", "tlog-proof@v2"],
      ["c2sp.org", " c2sp.org"],
      ["extra ", "extra  "],
      ["extra ", "extras "],
      [/extra .*\n/, "extra \n"],
      [/extra (.*)\n/, "extra $1\nextra $1\n"],
      [/(extra .*\n)(index .*\n)/, "$2$1"],
      [/index .*\n/, ""],
      ["index 5", "index 05"],
      ["index 5", "index -5"],
      ["index 5", "index 5.0"],
      ["index 5", "index 9007199254740992"],
      ["index 5", "Index 5"],
      ["index 5\n", "index 5\r\n"],
      [/index 5\n.{44}\n/, "index 5\nAAAA\n"],
      [/index 5\n(.{43})=\n/, "index 5\n$1\n"],
      [/index 5\n/, `index 5\n${`${"A".repeat(43)}=\n`.repeat(64)}`],
    ];
    for (const [from, to] of changed) {
      const other = text.replace(from, to);
      expect(other).not.toBe(text);
      expect([String(from), readProof(other)]).toEqual([String(from), undefined]);
    }
    expect(readProof("")).toBeUndefined();
    expect(readProof(text.slice(0, text.indexOf("\n\n") + 1))).toBeUndefined();
  });

  it("never throws at a text", () => {
    const texts = fc.array(
      fc.constantFrom("c2sp.org/tlog-proof@v1", "\n", "\n\n", "index ", "0", "extra ", "e30=", "—", "\u0000"),
    );
    fc.assert(
      fc.property(texts, (parts) => {
        const read = readProof(parts.join(""));
        if (read !== undefined)
          expect(verifyProof(read, { authorities })).toEqual({ kind: "refused", reason: "checkpoint" });
      }),
    );
  });
});

describe("a proof is refused", () => {
  it("when its checkpoint is another key's, another origin's, changed, or not one", async () => {
    const reason = { kind: "refused", reason: "checkpoint" };
    const good = await proofOf(3, 9);
    expect(verifyProof({ ...good, checkpoint: await signed(9, "trustee-1") }, { authorities })).toEqual(reason);
    for (const checkpoint of ["", "a\n\nb\n", good.checkpoint.replace("\n9\n", "\n8\n"), `x${good.checkpoint}`])
      expect(verifyProof({ ...good, checkpoint }, { authorities })).toEqual(reason);
  });

  it("when the key that signed it no longer signs heads of that size", async () => {
    const later = { from: 9, origin: `${origin}/2`, kid: "ledger-2", key: importKey("trustee-2") };
    const both = [...authorities, later];
    expect(verifyProof(await proofOf(3, 8), { authorities: both }).kind).toBe("holds");
    expect(verifyProof(await proofOf(3, 9), { authorities: both })).toEqual({ kind: "refused", reason: "checkpoint" });
  });

  it("when fewer witnesses than the quorum have cosigned this very checkpoint", async () => {
    const note = await signed(9);
    const [one, two, other] = await Promise.all([
      lineOf(9, "trustee-1"),
      lineOf(9, "trustee-2"),
      lineOf(8, "trustee-2"),
    ]);
    const verdictOf = async (lines: string) =>
      verifyProof(await proofOf(3, 9, note + lines), { authorities, witnesses, quorum: 2 });
    expect(await verdictOf(one + two)).toMatchObject({ kind: "holds", cosigned: witnesses.map(({ name }) => name) });
    for (const lines of ["", one, one + one, one + other])
      expect(await verdictOf(lines)).toEqual({ kind: "refused", reason: "witnesses" });
  });

  it("when there is nothing to prove, or the bytes are another entry's", async () => {
    const { extra, ...bare } = await proofOf(3, 9);
    const reason = { kind: "refused", reason: "leaf" };
    expect(extra).toBeDefined();
    expect(verifyProof(bare, { authorities })).toEqual(reason);
    expect(verifyProof(bare, { authorities, leaf: LEAVES[3] as Uint8Array }).kind).toBe("holds");
    const other = { ...bare, extra: BODIES[4] as Uint8Array };
    expect(verifyProof(other, { authorities, leaf: LEAVES[3] as Uint8Array })).toEqual(reason);
    expect(verifyProof(other, { authorities })).toEqual({ kind: "refused", reason: "path" });
  });

  it("when a hash is changed, cut off or added, or the index is another", async () => {
    const good = await proofOf(3, 9);
    const [first, ...rest] = good.hashes as [Uint8Array, ...Uint8Array[]];
    const flipped = Uint8Array.from(first, (byte, n) => (n === 31 ? byte ^ 1 : byte));
    for (const wrong of [
      { hashes: rest },
      { hashes: [flipped, ...rest] },
      { hashes: [...good.hashes, first] },
      { index: 2 },
      { index: 9 },
    ])
      expect(verifyProof({ ...good, ...wrong }, { authorities })).toEqual({ kind: "refused", reason: "path" });
  });
});
