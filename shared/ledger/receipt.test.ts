import { createHash, sign } from "node:crypto";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally, signSample } from "../definition/sample.ts";
import { importVerifyKey, type VerifyKey } from "../statement/ed25519.ts";
import { compactEnvelope, STATEMENT_TYP } from "../statement/jws.ts";
import { MAX_TALLIES, type Statement } from "../statement/types.ts";
import { signCheckpoint } from "./checkpoint.ts";
import { canonical, commitJudgement, type Judgement } from "./entry.ts";
import { leafHash } from "./merkle.ts";
import { MAX_RECEIPT_BYTES, RECEIPT_TYP, type ReceiptParts, readReceipt, receiptPayload } from "./receipt.ts";

const sample = sampleDefinition();
const keyOf = (id: string) => {
  const key = sample.keys.get(id);
  const verify = key && importVerifyKey(key.publicRaw);
  if (key === undefined || verify === undefined) throw new Error(`the sample has no key ${id}`);
  return { ...key, verify };
};
const ledger = keyOf("ledger-1");
const common = sampleCommon(sample, "AT", 17);
const key = { type: "key", ...common } as const;
const STATEMENT: Statement = {
  type: "tally",
  ...common,
  tallies: [sampleTally("AT-1", { reason: "recounted: ñ, \u2028 and 🗳" })],
};
const JUDGEMENT: Judgement = {
  verdict: "quarantined",
  findings: [{ code: "F.207" }, { code: "F.301", unit: "AT-1" }],
  salt: "5a".repeat(32),
};
let checkpoint = "";
const parts = (statement: Statement = STATEMENT, judgement = JUDGEMENT): ReceiptParts => ({
  definition: sample.hash,
  mode: "exercise",
  entry: {
    index: 120,
    received: "2024-06-09T21:40:01.482Z",
    state: "AT",
    key: "AT-1",
    sequence: statement.sequence,
    type: statement.type,
    units: statement.type === "tally" ? statement.tallies.length : 0,
    statement: createHash("sha256")
      .update(signSample(sample, statement, "AT-1"))
      .digest("hex"),
    judgement: commitJudgement(judgement),
  },
  judgement,
  statement,
  checkpoint,
});

beforeAll(async () => {
  checkpoint = await signCheckpoint({
    origin: sample.definition.origin,
    size: 121,
    root: leafHash(Buffer.from("x")),
    sign: (bytes) => sign(null, bytes, ledger.privateKey),
    publicRaw: ledger.publicRaw,
  });
});

function issue(payload: Uint8Array, by = ledger, typ = RECEIPT_TYP, kid = by.id): string {
  const { signed, assemble } = compactEnvelope(kid, payload, typ);
  return assemble(sign(null, signed, by.privateKey));
}
const read = (jws: string, key: VerifyKey = ledger.verify) => readReceipt(jws, key);
const payloadOf = (change: (receipt: Record<string, unknown>) => unknown): Uint8Array => {
  const receipt = JSON.parse(Buffer.from(receiptPayload(parts())).toString("utf8"));
  return Buffer.from(canonical(change(receipt)), "utf8");
};

describe("a receipt", () => {
  it("says what the ledger decided and what it understood, and is the same to the byte each time", () => {
    const jws = issue(receiptPayload(parts()));
    expect(jws).toBe(issue(receiptPayload(structuredClone(parts()))));
    const { judgement, ...rest } = parts();
    expect(read(jws)).toEqual({ type: "receipt", ...rest, ...judgement });
  });

  it.each<[string, Statement]>([
    ["rotates", { ...key, change: "rotate", replaces: "AT-1", key: { id: "AT-9", publicKey: ledger.jwk.x } }],
    ["revokes", { ...key, change: "revoke", revokes: "AT-1", since: common.issued, reason: "lost" }],
    [
      "enrols",
      {
        ...key,
        change: "enrol",
        key: { id: "AT-9", publicKey: ledger.jwk.x, state: "AT", official: "Eva", backup: true },
      },
    ],
  ])("is read when it answers a statement that %s a key", (_, statement) => {
    expect(read(issue(receiptPayload(parts(statement))))?.statement).toEqual(statement);
  });

  it("is canonical JSON, whatever the order in which its parts were made", () => {
    const { definition, ...others } = parts();
    const payload = Buffer.from(receiptPayload({ ...others, definition })).toString("utf8");
    expect(payload).toBe(Buffer.from(receiptPayload(parts())).toString("utf8"));
    expect(payload).toBe(canonical(JSON.parse(payload)));
  });

  const edited = (name: string, value: unknown) => () => issue(payloadOf((receipt) => ({ ...receipt, [name]: value })));
  it.each<[string, () => string]>([
    ["a statement's typ", () => issue(receiptPayload(parts()), ledger, STATEMENT_TYP)],
    ["another key's signature", () => issue(receiptPayload(parts()), keyOf("recount-1"), RECEIPT_TYP, "ledger-1")],
    ["no signature", () => issue(receiptPayload(parts())).replace(/[^.]+$/, "")],
    ["a fourth part", () => `${issue(receiptPayload(parts()))}.x`],
    ["another verdict", edited("verdict", "accepted")],
    ["other findings", edited("findings", [])],
    ["another salt", edited("salt", "00".repeat(32))],
    ["a code of no catalogue", edited("findings", [{ code: "F.999" }])],
    ["another type", edited("type", "statement")],
    ["a part too many", edited("extra", 1)],
    ["a statement of no shape", edited("statement", { type: "tally" })],
    ["no entry", edited("entry", undefined)],
    ["an entry of the definition's index", edited("entry", { ...parts().entry, index: 0 })],
    ["JSON that is not strict", () => issue(Buffer.from('{"type":"receipt","type":"receipt"}'))],
    ["nothing", () => ""],
    ["more bytes than any receipt has", () => "a".repeat(MAX_RECEIPT_BYTES + 1)],
  ])("is refused with %s", (_, jws) => {
    expect(read(jws())).toBeUndefined();
  });

  it("is refused with a header of its own", () => {
    const payload = Buffer.from(receiptPayload(parts())).toString("base64url");
    const under = (header: unknown) => {
      const signed = `${Buffer.from(JSON.stringify(header)).toString("base64url")}.${payload}`;
      return read(`${signed}.${sign(null, Buffer.from(signed), ledger.privateKey).toString("base64url")}`);
    };
    const header = { alg: "EdDSA", kid: "ledger-1", typ: RECEIPT_TYP };
    expect(under(header)).toBeDefined();
    expect(under({ ...header, crit: ["x"] })).toBeUndefined();
    expect(under({ ...header, b64: false })).toBeUndefined();
    expect(under({ ...header, alg: "none" })).toBeUndefined();
    expect(under({ ...header, kid: 1 })).toBeUndefined();
    expect(under([header])).toBeUndefined();
    expect(under(null)).toBeUndefined();
  });

  it("is refused with any of its characters changed", () => {
    const jws = issue(receiptPayload(parts()));
    fc.assert(
      fc.property(fc.nat(jws.length - 1), fc.constantFrom("A", "b", "_", "0", ".", "="), (at, character) => {
        fc.pre(jws[at] !== character);
        expect(read(jws.slice(0, at) + character + jws.slice(at + 1))).toBeUndefined();
      }),
      { numRuns: 300 },
    );
  });

  it("is read when it answers the largest statement, with every tally wrong", () => {
    const tallies = Array.from({ length: MAX_TALLIES }, (_, i) => {
      const unit = `AT-${String(i).padEnd(61, "x")}`;
      return sampleTally(unit, { reason: "r".repeat(500), votes: { AT01: 999_999_999, AT02: 999_999_999 } });
    });
    const findings = tallies.flatMap(({ unit }) =>
      (["F.203", "F.204", "F.206", "F.301", "F.303", "W.203", "W.204"] as const).map((code) => ({ code, unit })),
    );
    const judgement: Judgement = { ...JUDGEMENT, findings };
    const jws = issue(receiptPayload(parts({ type: "tally", ...common, tallies }, judgement)));
    expect(jws.length).toBeGreaterThan(1_048_576);
    expect(read(jws)?.findings).toHaveLength(7000);
  });
});
