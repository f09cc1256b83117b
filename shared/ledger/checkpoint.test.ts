import { createPrivateKey, sign } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../definition/sample.ts";
import { importVerifyKey, type VerifyKey } from "../statement/ed25519.ts";
import {
  checkpointText,
  MAX_NOTE_SIGNATURES,
  noteSignatureLine,
  readCheckpoint,
  signCheckpoint,
  verifierKey,
  verifyNote,
} from "./checkpoint.ts";
import { leafHash } from "./merkle.ts";

const keyOf = (raw: Uint8Array): VerifyKey => {
  const key = importVerifyKey(raw);
  if (key === undefined) throw new Error("not a key");
  return key;
};

/** The example of Go's golang.org/x/mod/sumdb/note: its verifier key, the seed of its signer key, and its signed note. */
describe("the published example of Go's sumdb/note", () => {
  const vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
  const skey = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
  const text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
  const line =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
  const raw = Buffer.from(vkey.slice("PeterNeumann+c74f20a3+".length), "base64").subarray(1);
  const peter = { name: "PeterNeumann", publicKey: keyOf(raw) };
  const enoch = noteSignatureLine("EnochRoot", raw, Buffer.alloc(64, 7));

  it("verifies, and its key is written the same", () => {
    expect(verifierKey("PeterNeumann", raw)).toBe(vkey);
    expect(verifyNote(`${text}\n${line}`, peter)).toBe(text);
    expect(verifyNote(`${text}\n${enoch}${line}`, peter)).toBe(text);
  });

  it("is signed to the same bytes by its signer key", () => {
    const seed = Buffer.from(skey, "base64").subarray(1);
    const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
    const signature = sign(null, Buffer.from(text), createPrivateKey({ key: der, format: "der", type: "pkcs8" }));
    expect(noteSignatureLine("PeterNeumann", raw, signature)).toBe(line);
  });

  it.each([
    ["another text", `${text.replace("cryptography", "Cryptography")}\n${line}`],
    ["no signature", text],
    ["no blank line", text + line],
    ["only another's signature", `${text}\n${enoch}`],
    ["its signature under another name", `${text}\n${line.replace("PeterNeumann", "Peter")}`],
    ["no last newline", `${text}\n${line.slice(0, -1)}`],
    ["a line that is no signature", `${text}\n${line}hello\n`],
    ["a dash that is no em dash", `${text}\n${line.replace("—", "-")}`],
    ["base64 without its padding", `${text}\n${line.replace("=", "")}`],
    ["base64 with a bit left over", `${text}\n${line.replace("nAM=", "nAN=")}`],
    ["a second word", `${text}\n${line.replace("\n", " x\n")}`],
    ["a tab", `${text.replace(" ", "\t")}\n${line}`],
    ["half of a surrogate pair", `${text.replace("I", "\ud800")}\n${line}`],
    ["too many lines", `${text}\n${line}${enoch.repeat(MAX_NOTE_SIGNATURES)}`],
  ])("does not verify with %s", (_, note) => {
    expect(verifyNote(note, peter)).toBeUndefined();
  });
});

describe("a checkpoint", () => {
  const sample = sampleDefinition();
  const { origin } = sample.definition;
  const log = sample.keys.get("ledger-1");
  const other = sample.keys.get("recount-1");
  if (log === undefined || other === undefined) throw new Error("the sample has lost its keys");
  const signWith = (key: typeof log) => (bytes: Uint8Array) => sign(null, bytes, key.privateKey);
  const publicKey = keyOf(log.publicRaw);
  const root = leafHash(Buffer.from("x"));
  const signed = (size: number) =>
    signCheckpoint({ origin, size, root, sign: signWith(log), publicRaw: log.publicRaw });
  const note = (text: string, ...keys: (typeof log)[]) =>
    `${text}\n${keys.map((key) => noteSignatureLine(origin, key.publicRaw, signWith(key)(Buffer.from(text)))).join("")}`;

  it("is three lines, an empty one and a signature, and reads back", async () => {
    const text = await signed(70_000);
    expect(text.split("\n").slice(0, 4)).toEqual([origin, "70000", Buffer.from(root).toString("base64"), ""]);
    expect(text).toBe(await signed(70_000));
    expect(readCheckpoint(text, { origin, publicKey })).toEqual({ size: 70_000, root });
  });

  it("reads back for every size", async () => {
    await fc.assert(
      fc.asyncProperty(fc.maxSafeNat(), async (size) => {
        expect(readCheckpoint(await signed(size), { origin, publicKey })).toEqual({ size, root });
      }),
    );
  });

  it("ignores the lines of witnesses after the log's", async () => {
    const cosignature = noteSignatureLine("witness.example", other.publicRaw, Buffer.alloc(72, 1));
    expect(readCheckpoint((await signed(5)) + cosignature, { origin, publicKey })?.size).toBe(5);
  });

  const lines = (...of: string[]) => `${of.join("\n")}\n`;
  const base64 = Buffer.from(root).toString("base64");

  it.each([
    ["another origin", note(lines("results.example.eu/other", "5", base64), log)],
    ["a fourth line", note(lines(origin, "5", base64, "extension"), log)],
    ["an empty line and more", note(lines(origin, "5", base64, "", "extension"), log)],
    ["two lines", note(lines(origin, "5"), log)],
    ["a leading zero", note(lines(origin, "05", base64), log)],
    ["a sign", note(lines(origin, "+5", base64), log)],
    ["a hexadecimal size", note(lines(origin, "0x5", base64), log)],
    ["a size beyond 2^53", note(lines(origin, "9007199254740993", base64), log)],
    ["a short root", note(lines(origin, "5", base64.slice(4)), log)],
    ["a root in base64url", note(lines(origin, "5", base64.replace(/[+/]/, "-")), log)],
    ["another key's signature", note(lines(origin, "5", base64), other)],
    ["the log's signature twice", note(lines(origin, "5", base64), log, log)],
    ["the log's signature second", note(lines(origin, "5", base64), other, log)],
    ["a signature over another text", note(lines(origin, "5", base64), log).replace("\n5\n", "\n6\n")],
    ["nothing", ""],
  ])("is refused with %s", (_, text) => {
    expect(readCheckpoint(text, { origin, publicKey })).toBeUndefined();
  });

  it("is not read under another origin, nor by another key", async () => {
    const text = await signed(5);
    expect(readCheckpoint(text, { origin: "results.example.eu", publicKey })).toBeUndefined();
    expect(readCheckpoint(text, { origin, publicKey: keyOf(other.publicRaw) })).toBeUndefined();
  });

  it("is not written for what is no tree", () => {
    expect(() => checkpointText(origin, -1, root)).toThrow(RangeError);
    expect(() => checkpointText(origin, 1.5, root)).toThrow(RangeError);
    expect(() => checkpointText(origin, 1, root.subarray(1))).toThrow(RangeError);
  });

  it("never throws at a note, whatever it holds", () => {
    const part = fc.oneof(fc.string({ unit: "binary" }), fc.constantFrom("\n", "\n\n", "— ", origin, "5", base64));
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        expect(readCheckpoint(parts.join(""), { origin, publicKey })).toBeUndefined();
      }),
    );
  });
});
