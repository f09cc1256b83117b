import { sign } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newSampleKey, type SampleKey, sampleDefinition } from "../../shared/definition/sample.ts";
import { commitJudgement, type Entry, type Judgement } from "../../shared/ledger/entry.ts";
import { RECEIPT_TYP, receiptPayload } from "../../shared/ledger/receipt.ts";
import { compactEnvelope, openEnvelope } from "../../shared/statement/jws.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Desk, layDesk } from "./fixture.ts";

/** A door that lies, or none: no answer is believed that the ledger did not sign, for these very words. */

const sample = sampleDefinition();
const stranger = newSampleKey(sample, "stranger");
let desk: Desk;
let door: Server;
/** What the door answers to the bytes that it is sent. */
let answer: (bytes: Buffer) => { status: number; body: string };
let asked = 0;

beforeAll(async () => {
  desk = await layDesk(sample);
  door = createServer(async (request, response) => {
    asked++;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { status, body } = answer(Buffer.concat(chunks));
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  door.close();
  await desk.close();
});
const url = () => `http://127.0.0.1:${(door.address() as AddressInfo).port}`;

/** The ledger's answer to these bytes, or what is made of it; signed by this key. */
function receiptFor(bytes: Buffer, by: SampleKey | undefined, more: { about?: string; definition?: string } = {}) {
  if (by === undefined) throw new Error("no such key");
  const opened = openEnvelope(bytes);
  if (opened.kind === "refused") throw new Error(opened.code);
  const said = JSON.parse(Buffer.from(opened.envelope.payload).toString("utf8")) as Extract<
    Statement,
    { decision: "hold" }
  >;
  const statement = { ...said, about: more.about ?? said.about };
  const judgement: Judgement = { verdict: "accepted", findings: [], salt: "0".repeat(64) };
  const [signer] = opened.envelope.signatures;
  const entry: Entry = {
    index: 7,
    received: "2024-06-09T20:00:00.000Z",
    state: "EU",
    key: signer?.kid ?? "",
    sequence: said.sequence,
    type: "decision",
    units: 0,
    statement: "0".repeat(64),
    judgement: commitJudgement(judgement),
  };
  const definition = more.definition ?? sample.hash;
  const payload = receiptPayload({ definition, mode: "exercise", entry, judgement, statement, checkpoint: "" });
  const { signed, assemble } = compactEnvelope(by.id, payload, RECEIPT_TYP);
  const receipt = assemble(sign(null, signed, by.privateKey));
  return { status: 201, body: JSON.stringify({ ...judgement, index: 7, receipt }) };
}

let n = 0;
const hold = (...more: string[]) => {
  const out = ["--out", desk.path(`hold-${++n}.json`)];
  return desk.as("trustee-1", "hold", "EU", "--reason", "x", ...out, "--url", url(), ...more);
};

describe("an answer", () => {
  it("counts when the ledger signed it for what was sent", async () => {
    answer = (bytes) => receiptFor(bytes, sample.keys.get("ledger-1"));
    const { exit, text } = await hold();
    expect([exit, text]).toEqual([0, expect.stringContaining("Entry 7 of the log")]);
  });

  it("proves nothing when somebody else signed it, unless that is the key of the new origin", async () => {
    answer = (bytes) => receiptFor(bytes, stranger);
    expect(await hold()).toMatchObject({ exit: 3, code: "receipt.wrong" });
    expect(await hold("--ledger-key", `stranger=${stranger.jwk.x}`)).toMatchObject({ exit: 0 });
    answer = () => ({ status: 201, body: JSON.stringify({ verdict: "accepted", index: 7, receipt: "a.b.c" }) });
    expect(await hold()).toMatchObject({ exit: 3, code: "receipt.wrong" });
  });

  it("proves nothing when it is for other words, or another election", async () => {
    for (const more of [{ about: "AT" }, { definition: "0".repeat(64) }]) {
      answer = (bytes) => receiptFor(bytes, sample.keys.get("ledger-1"), more);
      expect(await hold()).toMatchObject({ exit: 3, code: "receipt.wrong" });
    }
    // That of an earlier hold of the same trustee: the numbers differ.
    let first: ReturnType<typeof receiptFor> | undefined;
    answer = (bytes) => (first ??= receiptFor(bytes, sample.keys.get("ledger-1")));
    expect(await hold()).toMatchObject({ exit: 0 });
    expect(await hold()).toMatchObject({ exit: 3, code: "receipt.wrong" });
  });

  it("of a door that refuses is shown with its code, as text and nothing else", async () => {
    answer = () => ({ status: 403, body: JSON.stringify({ code: "key.ended", detail: "gone\u001b[2J" }) });
    const { exit, text } = await hold();
    expect(exit).toBe(1);
    expect(text).toContain('REFUSED at the door. "key.ended": "gone\\u{1b}[2J"');
  });

  it("that does not come, or is none, leaves the file to be sent again", async () => {
    for (const body of [
      { status: 503, body: "{}" },
      { status: 200, body: "<html>" },
    ]) {
      answer = () => body;
      const { exit, code, text } = await hold();
      expect([exit, code]).toEqual([3, "door.silent"]);
      expect(text).toContain(`Written to ${desk.path(`hold-${n}.json`)}`);
    }
  });
});

describe("a door that cannot be known", () => {
  it("is sent nothing", async () => {
    const before = asked;
    const file = desk.path(`hold-${n}.json`);
    for (const address of ["http://push.example.eu", url().replace("http:", "https:")]) {
      const ran = await desk.as("trustee-1", "submit", file, "--url", address);
      expect(ran).toMatchObject({ exit: 2, code: "door.insecure" });
    }
    expect(asked).toBe(before);
  });
});
