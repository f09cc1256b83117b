import { createPrivateKey, createPublicKey, sign } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../definition/sample.ts";
import { importVerifyKey, type VerifyKey } from "../statement/ed25519.ts";
import { parseCheckpoint, verifierKey, verifyNote } from "./checkpoint.ts";
import {
  cosign,
  cosignatureText,
  findCosignature,
  parseVerifierKey,
  verifyCosignatures,
  type Witness,
  witnessesOf,
  witnessVerifierKey,
} from "./cosignature.ts";

function keyOf(raw: Uint8Array): VerifyKey {
  const key = importVerifyKey(raw);
  if (key === undefined) throw new Error("not a key");
  return key;
}

function witnessOf(text: string): Witness {
  const read = parseVerifierKey(text);
  if (read?.alg !== 4) throw new Error(`not a witness' key: ${text}`);
  return { name: read.name, publicKey: keyOf(read.raw) };
}

/** A private key that anyone can make again. */
function signerOf(seed: number) {
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), Buffer.alloc(32, seed)]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const raw = Buffer.from(createPublicKey(privateKey).export({ format: "jwk" }).x ?? "", "base64url");
  return { raw, sign: (bytes: Uint8Array) => sign(null, bytes, privateKey) };
}

// A checkpoint of a staging certificate log (July 2026) with the cosignatures of four operators of the public network, and their keys.
const TEXT = `arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=
`;
const NOTE = `${TEXT}
— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
`;
const LOG = "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
const KEYS = [
  "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
  "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
  "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
  "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
];
const TIME = 1779573024;

describe("a checkpoint that the public network cosigned", () => {
  it("verifies under the keys of its log and of each witness", () => {
    const log = parseVerifierKey(LOG);
    expect(log).toMatchObject({ name: "arche2025h1.staging.ct.transparency.dev", alg: 1 });
    expect(verifyNote(NOTE, { name: log?.name ?? "", publicKey: keyOf(log?.raw ?? new Uint8Array()) })).toBe(TEXT);
    const witnesses = KEYS.map(witnessOf);
    expect(verifyCosignatures(NOTE, witnesses)).toEqual(witnesses.map(({ name }) => ({ name, time: TIME })));
    expect(parseCheckpoint(TEXT)?.size).toBe(1_432_088_532);
  });

  it("gives each witness' own line to whoever asks for it", () => {
    const answer = NOTE.slice(TEXT.length + 1);
    for (const witness of KEYS.map(witnessOf)) {
      const found = findCosignature(TEXT, answer, witness);
      expect(found?.time).toBe(TIME);
      expect(found?.line.startsWith(`— ${witness.name} `) && found.line.endsWith("\n")).toBe(true);
      expect(findCosignature(TEXT, found?.line ?? "", witness)).toEqual(found);
    }
  });

  it.each([
    ["another size", NOTE.replace("\n1432088532\n", "\n1432088533\n")],
    ["another root", NOTE.replace("U7WM", "V7WM")],
    ["another time", NOTE.replaceAll("AAAABqEiEg", "AAAABqEiEh")],
    ["a time of zero", NOTE.replaceAll("AAAABqEiEg", "AAAAAAAAAA")],
    ["other names", NOTE.replace(/^— (\S+) (?=\S+==$)/gm, "— x$1 ")],
    ["no lines", TEXT],
    ["a line that is none", `${NOTE}hello\n`],
  ])("does not verify with %s", (_, note) => {
    expect(note).not.toBe(NOTE);
    expect(verifyCosignatures(note, KEYS.map(witnessOf))).toEqual([]);
  });

  it("counts no witness twice, and none under another's name or key", () => {
    const [, smartit, remora] = KEYS.map(witnessOf) as [Witness, Witness, Witness];
    const lines = NOTE.slice(TEXT.length + 1).split("\n");
    const line = lines.find((row) => row.startsWith("— remora")) ?? "";
    expect(verifyCosignatures(`${NOTE}${line}\n`, [remora])).toHaveLength(1);
    expect(verifyCosignatures(NOTE, [{ name: remora.name, publicKey: smartit.publicKey }])).toEqual([]);
    expect(verifyCosignatures(NOTE, [{ name: smartit.name, publicKey: remora.publicKey }])).toEqual([]);
  });
});

describe("a verifier key", () => {
  it.each(KEYS)("reads and is written again: %s", (text) => {
    const read = parseVerifierKey(text);
    expect(read?.alg).toBe(4);
    expect(witnessVerifierKey(read?.name ?? "", read?.raw ?? new Uint8Array())).toBe(text);
  });

  // transparency-dev/formats, note_cosigv1_test.go, and the vector of C2SP signed-note.
  it.each([
    ["TEST+7997405c+AQcC+FTVKf0jlTdHDY3rbevmnKxxPjigCXlVtGe6RIr6", 1],
    ["example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k", 1],
  ])("of others reads: %s", (text, alg) => {
    const read = parseVerifierKey(text);
    expect(read?.alg).toBe(alg);
    expect(verifierKey(read?.name ?? "", read?.raw ?? new Uint8Array())).toBe(text);
  });

  const [good] = KEYS as [string];
  it.each([
    ["of two parts", "bananas.sigstore.dev+12344556"],
    ["without a name", good.replace(/^[^+]+/, "")],
    ["with a space in its name", good.replace("transparency", "trans parency")],
    ["of another algorithm", "rekor.sigstore.dev+12345678+AwEB"],
    ["with an unknown algorithm byte", good.replace("+BCtu", "+BStu")],
    ["with another id", good.replace("+d8042a87+", "+d8042a88+")],
    ["with an id in capitals", good.replace("+d8042a87+", "+D8042A87+")],
    ["of another key", good.replace("+BCtu", "+BCtv")],
    ["that is cut", good.slice(0, -4)],
    ["that is too long", `${good}AAAA`],
    ["with a line end", `${good}\n`],
    ["that is not base64", good.replace("+BCtu", "+BCt!")],
    ["that is empty", ""],
  ])("%s is none", (_, text) => {
    expect(text).not.toBe(good);
    expect(parseVerifierKey(text)).toBeUndefined();
  });
});

describe("a cosignature", () => {
  const text = "results.example.eu/ep2029\n5\ndRoHZT/QiMQPPRV/u1ej1NhoQQrMjYyGgsvJEJcWZ1g=\n";

  it("says what C2SP says", () => {
    expect(cosignatureText(text, 1679315147)).toBe(`cosignature/v1\ntime 1679315147\n${text}`);
    for (const time of [0, -1, 1.5, 2 ** 53]) expect(() => cosignatureText(text, time)).toThrow(RangeError);
  });

  it("verifies at every time, for its own text, name and key only", async () => {
    const one = signerOf(1);
    const two = signerOf(2);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), async (seconds) => {
        const line = await cosign(text, { name: "witness.example/1", seconds, ...one });
        const witness = { name: "witness.example/1", publicKey: keyOf(one.raw) };
        expect(findCosignature(text, line, witness)).toEqual({ line, time: seconds });
        expect(findCosignature(text.replace("\n5\n", "\n6\n"), line, witness)).toBeUndefined();
        expect(findCosignature(text, line, { ...witness, name: "witness.example/2" })).toBeUndefined();
        expect(findCosignature(text, line, { ...witness, publicKey: keyOf(two.raw) })).toBeUndefined();
      }),
    );
  });

  it("is no signature of a log, and a log's signature is no cosignature", async () => {
    const { raw, sign: signs } = signerOf(3);
    const line = await cosign(text, { name: "witness.example/1", raw, sign: signs, seconds: 7 });
    expect(verifyNote(`${text}\n${line}`, { name: "witness.example/1", publicKey: keyOf(raw) })).toBeUndefined();
  });

  it("with a time beyond 2^53 is not believed, whatever signed it", () => {
    const { raw, sign: signs } = signerOf(4);
    const time = Buffer.from("0020000000000000", "hex");
    const signature = signs(Buffer.from(`cosignature/v1\ntime ${2n ** 53n}\n${text}`));
    const id = parseVerifierKey(witnessVerifierKey("w", raw))?.id ?? new Uint8Array();
    const line = `— w ${Buffer.concat([id, time, signature]).toString("base64")}\n`;
    expect(findCosignature(text, line, { name: "w", publicKey: keyOf(raw) })).toBeUndefined();
  });

  it("never throws at an answer, whatever it holds", () => {
    const witness = witnessOf(KEYS[2] ?? "");
    const part = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom("\n", "— ", "remora.n621.de ", "2net5wAAAABqEiEg"),
    );
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        expect(findCosignature(TEXT, parts.join(""), witness)).toBeUndefined();
      }),
    );
  });
});

describe("the witnesses of a definition", () => {
  it("are its keys by name with its quorum; without any, nobody is waited for", () => {
    const { definition, keys } = sampleDefinition({ witnesses: 3 });
    const { quorum, keys: witnesses } = witnessesOf(definition);
    expect(quorum).toBe(definition.witnesses?.quorum);
    expect(witnesses.map(({ name, publicKey }) => [name, Buffer.from(publicKey.raw).toString("hex")])).toEqual(
      ["witness-1", "witness-2", "witness-3"].map((name) => [
        name,
        Buffer.from(keys.get(name)!.publicRaw).toString("hex"),
      ]),
    );
    expect(witnessesOf({})).toEqual({ quorum: 0, keys: [] });
  });

  it("are none without a key", () => {
    const none = { quorum: 1, keys: [{ name: "w", publicKey: "A".repeat(43) }] };
    expect(() => witnessesOf({ witnesses: none as never })).toThrow("the definition's witness w has no key");
  });
});
