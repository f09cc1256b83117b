import { createHash, sign } from "node:crypto";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../../infra/stack/processes.ts";
import { sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import { readReceipt } from "../../shared/ledger/receipt.ts";
import { generalEnvelope, MAX_STATEMENT_BYTES } from "../../shared/statement/jws.ts";
import type { Statement, Tally } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { ledgerKeyOf } from "../../test/ledger.ts";

/** What an attacker, or a broken client, may send: each gets its code, and the next good tally is accepted. */

let harness: Harness;
let ledger: Child;
let ingest: Child;
let sequence = 0;

beforeAll(async () => {
  harness = await startHarness();
  [ledger, ingest] = await Promise.all([harness.start("ledger"), harness.start("ingest")]);
});
afterAll(() => harness.close());

interface Answer {
  status: number;
  body: Record<string, unknown> & { code?: string; findings?: { code: string; means: string; todo: string }[] };
  headers: Headers;
}

async function post(body: RequestInit["body"] | Uint8Array, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${ingest.url}/v1/statements`, {
    method: "POST",
    headers: { "content-type": "application/jose", ...headers },
    body: body as RequestInit["body"],
    ...(body instanceof ReadableStream ? { duplex: "half" } : {}),
  } as RequestInit);
  return { status: response.status, body: (await response.json()) as Answer["body"], headers: response.headers };
}

const common = (state = "AT") => sampleCommon(harness.sample, state, ++sequence);
type TallyStatement = Extract<Statement, { type: "tally" }>;
const tallyOf = (changes: Partial<Tally> = {}, unit = "AT-1"): TallyStatement => {
  return { type: "tally", ...common(), tallies: [sampleTally(unit, { version: sequence, ...changes })] };
};

/** Signs any header and any payload: what no library of ours would write. */
function forge(header: Record<string, unknown> | string, payload: Uint8Array | string, kid = "AT-1"): string {
  const head = Buffer.from(typeof header === "string" ? header : JSON.stringify(header)).toString("base64url");
  const signed = `${head}.${Buffer.from(payload).toString("base64url")}`;
  const key = harness.sample.keys.get(kid)?.privateKey;
  if (key === undefined) throw new Error(`no key ${kid}`);
  return `${signed}.${sign(null, Buffer.from(signed), key).toString("base64url")}`;
}
const HEADER = { alg: "EdDSA", kid: "AT-1", typ: "scrutin+jws" };
const json = (value: unknown) => JSON.stringify(value);

/** A tally whose JWS has exactly this many bytes. */
function ofSize(bytes: number): Uint8Array {
  const statement = tallyOf();
  const make = (fill: number) => forge(HEADER, `${json(statement)}${" ".repeat(fill)}`);
  // Base64 grows by 4 for 3: close in, then by the one that fits.
  let fill = Math.floor(((bytes - make(0).length) * 3) / 4);
  while (make(fill).length < bytes) fill++;
  const made = make(fill);
  if (made.length !== bytes) throw new Error(`no envelope of ${bytes} bytes: ${made.length}`);
  return Buffer.from(made);
}

async function goodTallyIsAccepted(): Promise<void> {
  const { status, body } = await post(signSample(harness.sample, tallyOf(), "AT-1"));
  expect([status, body.verdict]).toEqual([201, "accepted"]);
}

function codeOf({ status, body }: Answer): unknown[] {
  return [status, body.code ?? body.findings?.map(({ code }) => code)];
}

const withTwice = (text: string) => text.replace('"ballots":231', '"ballots":231,"ballots":231');

const REFUSED: [string, () => Promise<Answer>, number, string][] = [
  ["an empty body", () => post(""), 400, "statement.empty"],
  ["1 MiB and one byte", () => post(Buffer.alloc(MAX_STATEMENT_BYTES + 1, 65)), 413, "statement.too-large"],
  ["chunks of more than 1 MiB", () => post(chunks(MAX_STATEMENT_BYTES + 1)), 413, "statement.too-large"],
  ["text/plain", () => post("x", { "content-type": "text/plain" }), 415, "statement.media-type"],
  ["plain JSON", () => post("{}", { "content-type": "application/json" }), 415, "statement.media-type"],
  ["no JWS", () => post("hello"), 400, "jws.malformed"],
  ["a truncated JWS", () => post(signed().subarray(0, -30)), 401, "signature.invalid"],
  ["a JWS cut before its signature", () => post(text().split(".").slice(0, 2).join(".")), 400, "jws.malformed"],
  ["one byte of the payload changed", () => post(changed(200)), 401, "signature.invalid"],
  ["padding in base64url", () => post(`${text()}=`), 400, "jws.malformed"],
  ["alg none", () => post(forge({ ...HEADER, alg: "none" }, json(tallyOf()))), 400, "jws.algorithm"],
  ["alg none without a signature", () => post(unsigned()), 400, "jws.algorithm"],
  ["alg ES256", () => post(forge({ ...HEADER, alg: "ES256" }, json(tallyOf()))), 400, "jws.algorithm"],
  [
    "an unknown crit",
    () => post(forge({ ...HEADER, crit: ["exp"], exp: 1 }, json(tallyOf()))),
    400,
    "jws.critical-header",
  ],
  ["b64 false", () => post(forge({ ...HEADER, b64: false }, json(tallyOf()))), 400, "jws.critical-header"],
  ["another typ", () => post(forge({ ...HEADER, typ: "JWT" }, json(tallyOf()))), 400, "jws.type"],
  ["no kid", () => post(forge({ ...HEADER, kid: undefined }, json(tallyOf()))), 400, "jws.key-id"],
  [
    "a header with a key twice",
    () => post(forge('{"alg":"none","alg":"EdDSA","kid":"AT-1","typ":"scrutin+jws"}', "{}")),
    400,
    "jws.malformed",
  ],
  ["a header that was not signed", () => post(withHeader()), 400, "jws.unsigned-header"],
  ["the same signer twice", () => post(generalEnvelope([text(0), text(0)])), 400, "jws.signer-twice"],
  ["an unknown kid", () => post(forge({ ...HEADER, kid: "XX-1" }, json(tallyOf()))), 401, "key.unknown"],
  ["another key's signature", () => post(forge(HEADER, json(tallyOf()), "LU-1")), 401, "signature.invalid"],
  [
    "another state's key",
    () => post(forge({ ...HEADER, kid: "LU-1" }, json(tallyOf()), "LU-1")),
    403,
    "key.other-state",
  ],
  [
    "a trustee's tally",
    () => post(forge({ ...HEADER, kid: "trustee-1" }, json(tallyOf()), "trustee-1")),
    403,
    "key.wrong-role",
  ],
  ["duplicate JSON keys", () => post(forge(HEADER, withTwice(json(tallyOf())))), 400, "json.duplicate-key"],
  ["__proto__", () => post(forge(HEADER, '{"__proto__":{}}')), 400, "json.forbidden-key"],
  ["a float", () => post(forge(HEADER, json(tallyOf()).replace("231", "231.5"))), 400, "json.not-an-integer"],
  ["an exponent", () => post(forge(HEADER, json(tallyOf()).replace("231", "231e0"))), 400, "json.not-an-integer"],
  ["2^53", () => post(forge(HEADER, json(tallyOf()).replace("231", String(2 ** 53)))), 400, "json.integer-too-large"],
  ["10,000 levels", () => post(forge(HEADER, `${"[".repeat(10_000)}${"]".repeat(10_000)}`)), 400, "json.too-deep"],
  ["invalid UTF-8", () => post(forge(HEADER, Buffer.from([0x7b, 0xff, 0x7d]))), 400, "json.not-utf8"],
  ["a lone surrogate", () => post(forge(HEADER, '{"type":"\\ud800"}')), 400, "json.lone-surrogate"],
  ["no JSON", () => post(forge(HEADER, "tally")), 400, "json.syntax"],
  ["no statement", () => post(forge(HEADER, '{"type":"poem"}')), 400, "statement.malformed"],
  ["a negative figure", () => post(forge(HEADER, json(tallyOf({ blank: -1 })))), 400, "statement.malformed"],
  ["a member too many", () => post(forge(HEADER, json({ ...tallyOf(), more: 1 }))), 400, "statement.malformed"],
];

const signed = () => signSample(harness.sample, tallyOf(), "AT-1");
let kept = "";
/** A good JWS as text; with an argument always the same one. */
function text(same?: number): string {
  if (same !== undefined && kept !== "") return kept;
  kept = Buffer.from(signed()).toString("ascii");
  return kept;
}
function changed(at: number): Uint8Array {
  const bytes = Buffer.from(signed());
  bytes[at] = bytes[at] === 65 ? 66 : 65;
  return bytes;
}
const unsigned = () => `${Buffer.from(json({ ...HEADER, alg: "none" })).toString("base64url")}.e30.`;
function withHeader(): string {
  const [header, payload, signature] = text().split(".");
  return json({ payload, signatures: [{ protected: header, signature, header: { kid: "LU-1" } }] });
}
function chunks(bytes: number): ReadableStream {
  let left = bytes;
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close();
      controller.enqueue(new Uint8Array(Math.min(left, 65_536)).fill(65));
      left -= 65_536;
    },
  });
}

describe("at the door", () => {
  it.each(REFUSED)(
    "%s is refused with its code, and the next good tally is accepted",
    async (_, send, status, code) => {
      const answer = await send();
      expect(codeOf(answer)).toEqual([status, code]);
      expect(answer.headers.get("content-type")).toBe("application/problem+json");
      expect(String(answer.body.detail)).not.toHaveLength(0);
      await goodTallyIsAccepted();
    },
  );

  it("nothing that was refused is in the log", async () => {
    const [row] = await harness.query("select count(*)::int as entries from ledger.entry where index > 0");
    expect(row?.entries).toBe(REFUSED.length);
  });
});

describe("at the limit", () => {
  it.each([MAX_STATEMENT_BYTES - 1, MAX_STATEMENT_BYTES])("%i bytes are taken", async (bytes) => {
    const { status, body } = await post(ofSize(bytes));
    expect([status, body.verdict]).toEqual([201, "accepted"]);
  });
});

describe("in the ledger", () => {
  it("another state's unit is quarantined", async () => {
    const answer = await post(signSample(harness.sample, tallyOf({}, "LU-11"), "AT-1"));
    expect(answer.status).toBe(201);
    expect(answer.body.verdict).toBe("quarantined");
    const finding = answer.body.findings?.find(({ code }) => code === "F.202");
    expect(finding).toMatchObject({ code: "F.202", unit: "LU-11" });
    expect(finding?.todo).not.toBe("");
    await goodTallyIsAccepted();
  });

  it("another definition is quarantined", async () => {
    const statement = { ...tallyOf(), definition: "0".repeat(64) };
    const bytes = signSample(harness.sample, statement, "AT-1");
    const answer = await post(bytes);
    expect(codeOf(answer)).toEqual([201, ["F.101"]]);
    expect((await post(bytes)).body.receipt).toBe(answer.body.receipt);
    // Nor does it use up the office's number: else whoever holds its exercise statements could spend those of the night.
    const right = { ...tallyOf(), sequence: statement.sequence };
    expect(codeOf(await post(signSample(harness.sample, right, "AT-1")))).toEqual([201, []]);
    const second = { ...tallyOf(), sequence: statement.sequence };
    expect(codeOf(await post(signSample(harness.sample, second, "AT-1")))).toEqual([201, ["F.102"]]);
    await goodTallyIsAccepted();
  });

  it("a second payload under a used sequence is equivocation; the first stands and the key is not blocked", async () => {
    const first = tallyOf();
    const second = { ...first, tallies: [sampleTally("AT-1", { version: sequence, electors: 900 })] };
    const accepted = await post(signSample(harness.sample, first, "AT-1"));
    expect(accepted.body.verdict).toBe("accepted");
    expect(codeOf(await post(signSample(harness.sample, second, "AT-1")))).toEqual([201, ["F.102"]]);
    const again = await post(signSample(harness.sample, first, "AT-1"));
    expect(again.body).toEqual(accepted.body);
    await goodTallyIsAccepted();
  });

  it("the same bytes, and the same payload in another envelope, get the same receipt", async () => {
    const compact = signSample(harness.sample, tallyOf(), "AT-1");
    const first = await post(compact);
    expect((await post(compact)).body).toEqual(first.body);
    const general = generalEnvelope([Buffer.from(compact).toString("ascii")]);
    const other = await post(general, { "content-type": "application/jose+json" });
    expect(other.status).toBe(201);
    expect(other.body.receipt).toBe(first.body.receipt);
    expect(other.body.index).toBe(first.body.index);
    await goodTallyIsAccepted();
  });

  it("the receipt is signed, names the bytes and holds the figures as understood", async () => {
    const statement = tallyOf();
    const bytes = signSample(harness.sample, statement, "AT-1");
    const { body } = await post(bytes);
    const receipt = readReceipt(String(body.receipt), ledgerKeyOf(harness.sample));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    expect(receipt).toMatchObject({ statement, entry: { statement: sha256, key: "AT-1", state: "AT", units: 1 } });
    const known = await fetch(`${ingest.url}/v1/statements/${sha256}`);
    expect(await known.json()).toEqual({ statement: sha256, index: body.index });
    const unknown = await fetch(`${ingest.url}/v1/statements/${"0".repeat(64)}`);
    expect([unknown.status, ((await unknown.json()) as { code: string }).code]).toEqual([404, "statement.unknown"]);
  });

  it("two officials sign for a state that asks for two", async () => {
    const statement = { type: "polls", ...common("LU"), polls: "closed" } as const;
    const general = { "content-type": "application/jose+json" };
    expect(codeOf(await post(signSample(harness.sample, statement, "LU-1")))).toEqual([403, "signatures.missing"]);
    // Whoever strips a signature on the way has not used up the whole statement's number.
    expect(codeOf(await post(signSample(harness.sample, statement, "LU-1", "LU-2"), general))).toEqual([201, []]);
    const override = {
      type: "decision",
      ...common("EU"),
      decision: "override",
      about: "AT",
      reason: "no answer",
    } as const;
    const alone = await post(signSample(harness.sample, override, "trustee-1"));
    expect(codeOf(alone)).toEqual([403, "signatures.missing"]);
    const both = await post(signSample(harness.sample, override, "trustee-1", "trustee-2"), general);
    expect(codeOf(both)).toEqual([201, []]);
  });
});

describe("what services tell", () => {
  it("no figure, no verdict and no address is in a log line or a metric", async () => {
    const electors = 987_654;
    await post(signSample(harness.sample, tallyOf({ electors }), "AT-1"));
    for (const name of ["ingest", "ledger"]) {
      const logged = await readFile(`${harness.folder}/logs/${name}.log`, "utf8");
      expect(logged).not.toMatch(/987654|accepted|quarantined|F\.\d{3}/);
      for (const line of logged.split("\n").filter((l) => l.includes('"request"'))) {
        expect(line).not.toMatch(/127\.0\.0\.1|::1/);
        // The size of an answer tells its verdict.
        expect(JSON.parse(line)).not.toHaveProperty("out");
      }
    }
    for (const child of [ingest, ledger]) {
      const metrics = await (await fetch(`${child.url}/metrics`)).text();
      expect(metrics).not.toMatch(/987654|accepted|quarantined|F\.\d{3}|verdict/);
    }
  });
});
