import { createPublicKey, sign } from "node:crypto";
import { CompactSign, compactVerify, GeneralSign } from "jose";
import { describe, expect, it } from "vitest";
import { sampleDefinition } from "../definition/sample.ts";
import { compactEnvelope, decodeBase64url, generalEnvelope, MAX_SIGNATURES, openEnvelope } from "./jws.ts";

const sample = sampleDefinition();
const keyOf = (kid: string) => sample.keys.get(kid)!.privateKey;
const PAYLOAD = Buffer.from('{"type":"tally"}');
const HEADER = { alg: "EdDSA", kid: "AT-1", typ: "scrutin+jws" };
const b64 = (value: unknown) =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

function compact(header: unknown = HEADER, payload = PAYLOAD, kid = "AT-1"): string {
  const signed = `${b64(header)}.${payload.toString("base64url")}`;
  return `${signed}.${sign(null, Buffer.from(signed), keyOf(kid)).toString("base64url")}`;
}
const [protectedPart = "", payloadPart = "", signaturePart = ""] = compact().split(".");
const SIGNATURE = { protected: protectedPart, signature: signaturePart };
const general = (changes: object = {}, signatures: unknown = [SIGNATURE]) =>
  JSON.stringify({ payload: payloadPart, signatures, ...changes });
/** As if by so many signers. */
const many = (count: number) =>
  Array.from({ length: count }, (_, n) => ({
    protected: b64({ ...HEADER, kid: `AT-${n}` }),
    signature: signaturePart,
  }));

const openText = (text: string) => openEnvelope(Buffer.from(text, "latin1"));
const codeOf = (text: string) => {
  const opened = openText(text);
  return opened.kind === "refused" ? opened.code : "envelope";
};

describe("an envelope", () => {
  it("is taken apart in both forms alike", () => {
    const one = openText(compact());
    expect(one).toEqual(openText(general()));
    expect(one).toMatchObject({ kind: "envelope", envelope: { payload: PAYLOAD, signatures: [{ kid: "AT-1" }] } });
  });

  it("is the one that another library writes, and reads", async () => {
    const theirs = await new CompactSign(PAYLOAD).setProtectedHeader(HEADER).sign(keyOf("AT-1"));
    expect(openText(theirs)).toEqual(openText(compact()));
    const ours = compactEnvelope("AT-1", PAYLOAD);
    const read = await compactVerify(
      ours.assemble(sign(null, ours.signed, keyOf("AT-1"))),
      createPublicKey(keyOf("AT-1")),
    );
    expect(Buffer.from(read.payload)).toEqual(PAYLOAD);
    const both = new GeneralSign(PAYLOAD);
    for (const kid of ["LU-1", "LU-2"]) both.addSignature(keyOf(kid)).setProtectedHeader({ ...HEADER, kid });
    const opened = openText(JSON.stringify(await both.sign()));
    expect(opened).toMatchObject({ envelope: { signatures: [{ kid: "LU-1" }, { kid: "LU-2" }] } });
  });

  it("carries as many signatures as allowed, and not one more", () => {
    expect(codeOf(general({}, many(MAX_SIGNATURES)))).toBe("envelope");
    expect(codeOf(general({}, many(MAX_SIGNATURES + 1)))).toBe("jws.malformed");
  });

  it.each<[string, string, string]>([
    ["nothing", "", "jws.malformed"],
    ["two parts", compact().split(".").slice(0, 2).join("."), "jws.malformed"],
    ["four parts", `${compact()}.`, "jws.malformed"],
    ["a header that is no JSON", `${b64("x")}.e30.AAAA`, "jws.malformed"],
    ["a header that is a list", compact([HEADER]), "jws.malformed"],
    [
      "a header with a key twice",
      compact('{"alg":"none","alg":"EdDSA","kid":"AT-1","typ":"scrutin+jws"}'),
      "jws.malformed",
    ],
    ["a header of more than 1024 characters", compact({ ...HEADER, more: "x".repeat(1024) }), "jws.malformed"],
    ["padding", `${compact()}=`, "jws.malformed"],
    ["plain base64", compact(HEADER, Buffer.from([0xfb, 0xff])).replace(".-_8.", ".+/8."), "jws.malformed"],
    ["trailing bits", compact(HEADER, Buffer.from("a")).replace(".YQ.", ".YR."), "jws.malformed"],
    ["a line break", compact().replace(".", ".\n"), "jws.malformed"],
    ["alg none", compact({ ...HEADER, alg: "none" }), "jws.algorithm"],
    ["alg in other letters", compact({ ...HEADER, alg: "eddsa" }), "jws.algorithm"],
    ["no alg", compact({ ...HEADER, alg: undefined }), "jws.algorithm"],
    ["crit", compact({ ...HEADER, crit: ["exp"] }), "jws.critical-header"],
    ["an empty crit", compact({ ...HEADER, crit: [] }), "jws.critical-header"],
    ["b64", compact({ ...HEADER, b64: true }), "jws.critical-header"],
    ["another typ", compact({ ...HEADER, typ: "JWT" }), "jws.type"],
    ["no typ", compact({ ...HEADER, typ: undefined }), "jws.type"],
    ["no kid", compact({ ...HEADER, kid: undefined }), "jws.key-id"],
    ["a kid that is a number", compact({ ...HEADER, kid: 1 }), "jws.key-id"],
    ["a kid with a space", compact({ ...HEADER, kid: "AT 1" }), "jws.key-id"],
    ["an object that is no JSON", "{", "jws.malformed"],
    ["a member twice", `{"payload":"e30",${general().slice(1)}`, "jws.malformed"],
    ["another member", general({ more: 1 }), "jws.malformed"],
    ["the flattened form", JSON.stringify({ payload: payloadPart, ...SIGNATURE }), "jws.malformed"],
    ["no payload", general({ payload: undefined }), "jws.malformed"],
    ["a payload that is no base64url", general({ payload: "a+" }), "jws.malformed"],
    ["no list of signatures", general({}, {}), "jws.malformed"],
    ["no signature", general({}, []), "jws.malformed"],
    ["a signature that is null", general({}, [null]), "jws.malformed"],
    ["a signature without its header", general({}, [{ signature: signaturePart }]), "jws.malformed"],
    ["a signature with another member", general({}, [{ ...SIGNATURE, more: 1 }]), "jws.malformed"],
    ["a header that was not signed", general({}, [{ ...SIGNATURE, header: { kid: "LU-1" } }]), "jws.unsigned-header"],
    ["a signer twice", general({}, [SIGNATURE, SIGNATURE]), "jws.signer-twice"],
    [
      "a second signature of another alg",
      general({}, [SIGNATURE, { ...SIGNATURE, protected: b64({ ...HEADER, alg: "none" }) }]),
      "jws.algorithm",
    ],
    ["1 MiB and one byte", "A".repeat(1_048_577), "statement.too-large"],
  ])("is refused with %s", (_, text, code) => {
    expect(codeOf(text)).toBe(code);
  });

  it("of another kind is taken only by whoever asks for it", () => {
    const receipt = compact({ ...HEADER, typ: "scrutin-receipt+jws" });
    expect(codeOf(receipt)).toBe("jws.type");
    expect(openEnvelope(Buffer.from(receipt), "scrutin-receipt+jws").kind).toBe("envelope");
  });
});

describe("base64url", () => {
  it.each(["A", "AB", "YR", "YQ==", "Y Q", "+A", "/A", "é"])("refuses %j", (text) => {
    expect(decodeBase64url(text)).toBeUndefined();
  });
  it.each(["", "YQ", "_-8", "AAAA"])("reads %j", (text) => {
    expect(Buffer.from(decodeBase64url(text) ?? "x").toString("base64url")).toBe(text);
  });
});

describe("several signatures in one envelope", () => {
  it("are over one payload", () => {
    expect(() => generalEnvelope([compact(), compact(HEADER, Buffer.from("{}"))])).toThrow("different payloads");
    expect(() => generalEnvelope([])).toThrow();
    expect(() => generalEnvelope(["a.b"])).toThrow();
  });
});
