import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { access, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, type TestContext } from "vitest";
import { certifyDoor } from "../infra/stack/certificates.ts";
import { sampleDefinition, sampleTally } from "../shared/definition/sample.ts";
import { commitJudgement, type Judgement } from "../shared/ledger/entry.ts";
import { RECEIPT_TYP, type ReceiptParts, readReceipt, receiptPayload } from "../shared/ledger/receipt.ts";
import { doorFetch, pinOf } from "../shared/platform/door.ts";
import { compactEnvelope, STATEMENT_TYP } from "../shared/statement/jws.ts";
import type { Statement, Tally } from "../shared/statement/types.ts";
import { call, EXAMPLES, type Example } from "./clients.ts";
import { INSTALL_MS } from "./debian.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually, ledgerKeyOf } from "./ledger.ts";

/** An office can sign with its own JOSE library: the examples of services/office/clients, at a real door and at doors that lie. */

const NAMES = ["node", "python", "go", "curl"] as const;
/** What must run wherever the project is checked for good. */
const REQUIRED: readonly string[] = ["node", "curl"];

const newDoorKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" });
const [door, spare, stranger] = [newDoorKey(), newDoorKey(), newDoorKey()];
const pins = [pinOf(door.publicKey), pinOf(spare.publicKey)];
const sample = sampleDefinition({
  edit: (definition) => {
    definition.door = { pins };
    definition.states[0]?.units[0]?.ids.push("AT-5", "AT-6", "AT-7", "AT-8");
  },
});
const ledgerKey = ledgerKeyOf(sample);
const examples = new Map<string, Example>();
const servers: Server[] = [];
let harness: Harness;
let binaries = "";
let ingest = "";
let keyFile = "";

beforeAll(async () => {
  binaries = await mkdtemp(join(tmpdir(), "scrutin-clients-"));
  // Beside the start of the servers: the first time some have to be fetched or compiled.
  const [started, ...built] = await Promise.all([
    startHarness({ sample }),
    ...NAMES.map(async (name) => ({ name, example: await EXAMPLES[name](binaries) })),
  ]);
  harness = started;
  const tls = {
    SCRUTIN_TLS_CERT_FILE: await keep("door.pem", await certifyDoor(door.privateKey, Date.now())),
    SCRUTIN_TLS_KEY_FILE: await keep(
      "door-key.pem",
      door.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    ),
  };
  const [{ url }] = await Promise.all([harness.start("ingest", tls), harness.start("ledger")]);
  ingest = url;
  keyFile = await keep("AT-1.json", JSON.stringify(sample.keys.get("AT-1")?.jwk));
  for (const { name, example } of built) {
    examples.set(name, example);
    if (!("missing" in example)) continue;
    if (process.env.CI === "true" && REQUIRED.includes(name)) throw new Error(`${name}: ${example.missing}`);
    console.warn(`The example in ${name} is skipped: ${example.missing}`);
  }
}, INSTALL_MS);
afterAll(async () => {
  for (const server of servers) server.close().closeAllConnections();
  await harness?.close();
  await rm(binaries, { recursive: true, force: true });
});

async function keep(name: string, content: string): Promise<string> {
  const file = join(harness.folder, name);
  await writeFile(file, content, { mode: 0o600 });
  return file;
}

let sequence = 0;
/** A new tally file under the next sequence number: of a unit of its own where it is to be accepted. */
async function newTally(unit = "AT-1", changes: Partial<Tally> = {}): Promise<string> {
  sequence++;
  const tally = { state: "AT", sequence, tallies: [sampleTally(unit, changes)] };
  return keep(`tally-${sequence}.json`, JSON.stringify(tally));
}

function submit(name: string, test: TestContext, address: string, tally: string) {
  const example = examples.get(name) ?? { missing: "it was not built" };
  if ("missing" in example) return test.skip(`${name}: ${example.missing}`);
  return call(example, keyFile, join(harness.folder, "definition.json"), address, tally);
}

const receiptOf = (tally: string) => readFile(`${tally}.receipt`, "ascii");
const hasReceipt = (tally: string) =>
  access(`${tally}.receipt`).then(
    () => true,
    () => false,
  );

interface Seen {
  url: string;
  handshakes: number;
  closed: number;
  /** In clear, whatever was said. */
  bytes: number;
  bodies: string[];
  headers: IncomingHttpHeaders[];
  at: number[];
}
type Reply = { status: number; body: string; headers?: Record<string, string> };

/** Somebody who answers under this key. */
async function openDoor(
  { privateKey }: { privateKey: KeyObject },
  answer: (body: string, count: number) => Reply | Promise<Reply>,
): Promise<Seen> {
  const cert = await certifyDoor(privateKey, Date.now());
  const key = privateKey.export({ type: "pkcs8", format: "pem" });
  const seen: Seen = { url: "", handshakes: 0, closed: 0, bytes: 0, bodies: [], headers: [], at: [] };
  const server = createServer({ cert, key }, async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString("latin1");
    seen.at.push(performance.now());
    seen.headers.push(request.headers);
    const count = seen.bodies.push(body);
    const reply = await answer(body, count);
    response.writeHead(reply.status, reply.headers).end(reply.body);
  });
  server.on("secureConnection", (socket) => {
    seen.handshakes++;
    socket.on("data", (chunk: Buffer) => {
      seen.bytes += chunk.length;
    });
    socket.on("close", () => seen.closed++);
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  seen.url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return seen;
}

/** The answer of the real door. */
async function relay(body: string): Promise<Reply> {
  const headers = { "content-type": "application/jose" };
  const url = new URL("/v1/statements", ingest);
  const response = await doorFetch(ingest, pins)(url, { method: "POST", headers, body });
  return { status: response.status, body: await response.text() };
}

/** What is wrong with a receipt. */
interface Lie {
  /** Who signed it. */
  by?: string;
  typ?: string;
  /** The bytes that it is about. */
  sent?: (jws: string) => string;
  parts?: (said: Statement) => Partial<ReceiptParts>;
}

/** A receipt such as the ledger gives for these bytes, but for the lie. */
function receiptFor(jws: string, { by = "ledger-1", typ = RECEIPT_TYP, sent = (same) => same, parts }: Lie): string {
  const said = JSON.parse(Buffer.from(jws.split(".")[1] ?? "", "base64url").toString("utf8")) as Statement;
  const judgement: Judgement = { verdict: "accepted", findings: [], salt: "5a".repeat(32) };
  const entry = {
    index: 7,
    received: "2024-06-09T21:40:01.482Z",
    state: "AT",
    key: "AT-1",
    sequence: said.sequence,
    type: said.type,
    units: 1,
    statement: createHash("sha256").update(sent(jws), "latin1").digest("hex"),
    judgement: commitJudgement(judgement),
  };
  const honest: ReceiptParts = {
    definition: sample.hash,
    mode: "exercise",
    entry,
    judgement,
    statement: said,
    checkpoint: "-",
  };
  const payload = receiptPayload({ ...honest, ...parts?.(said) });
  const { signed, assemble } = compactEnvelope("ledger-1", payload, typ);
  const key = sample.keys.get(by);
  if (key === undefined) throw new Error(`the sample has no key ${by}`);
  return assemble(sign(null, signed, key.privateKey));
}

const LIES: [string, Lie | string][] = [
  ["another key signed", { by: "recount-1" }],
  ["a signed message that is no receipt", { typ: STATEMENT_TYP }],
  ["another election", { parts: () => ({ definition: "0".repeat(64) }) }],
  [
    "other figures",
    { parts: (said) => ({ statement: { ...said, tallies: [sampleTally("AT-1", { electors: 813 })] } as Statement }) },
  ],
  ["other bytes", { sent: (jws) => `${jws}x` }],
  ["no receipt", '{"verdict":"accepted"}'],
  ["no JSON", "accepted"],
];

describe.concurrent.each(NAMES)("the example in %s", (name) => {
  it("sends nothing to a door with another key", async (test) => {
    const impostor = await openDoor(stranger, () => ({ status: 201, body: "{}" }));
    const ran = await submit(name, test, impostor.url, await newTally());
    expect(ran).toMatchObject({ exit: 1, out: "", err: expect.stringContaining("door.wrong") });
    // What was sent has come by the end of the connection.
    await eventually(async () => impostor.closed === impostor.handshakes);
    expect(impostor).toMatchObject({ bytes: 0, bodies: [] });
    expect(impostor.handshakes).toBeLessThanOrEqual(1);
  });

  it("sends nothing in clear", async (test) => {
    const tally = await newTally();
    const ran = await submit(name, test, ingest.replace("https:", "http:"), tally);
    expect(ran).toMatchObject({ exit: 2, err: expect.stringContaining("door.insecure") });
    await expect(access(`${tally}.jws`)).rejects.toThrow("ENOENT");
  });

  it("gets an accepted receipt, and the same one for the same bytes", async (test) => {
    const tally = await newTally(`AT-${NAMES.indexOf(name) + 1}`);
    const ran = await submit(name, test, ingest, tally);
    expect(ran).toMatchObject({ exit: 0, err: "" });
    const text = await receiptOf(tally);
    const receipt = readReceipt(text, ledgerKey);
    expect(receipt).toMatchObject({ verdict: "accepted", statement: JSON.parse(await readFile(tally, "utf8")) });
    expect(ran.out).toBe(`accepted: entry ${receipt?.entry.index}\n`);
    await rm(`${tally}.receipt`);
    expect(await submit(name, test, ingest, tally)).toEqual(ran);
    expect(await receiptOf(tally)).toBe(text);
  });

  it("waits as long as it is told, and sends the same bytes again", async (test) => {
    const busy = await openDoor(spare, (body, count) => {
      if (count === 1) return { status: 503, body: "{}", headers: { "Retry-After": "2" } };
      return count === 2 ? { status: 202, body: "{}" } : relay(body);
    });
    const ran = await submit(name, test, busy.url, await newTally(`AT-${NAMES.indexOf(name) + 5}`));
    expect(ran).toMatchObject({ exit: 0, err: "" });
    const [first = "", ...again] = busy.bodies;
    expect(busy.bytes).toBeGreaterThan(3 * first.length);
    expect(again).toEqual([first, first]);
    expect(busy.headers[0]).toMatchObject({ "content-type": "application/jose" });
    expect((busy.at[1] ?? 0) - (busy.at[0] ?? 0)).toBeGreaterThan(1_900);
  });

  it("tells what the door refuses, and what the ledger finds", async (test) => {
    const malformed = await newTally("AT-1", { electors: 812.5 });
    const refused = await submit(name, test, ingest, malformed);
    expect(refused).toMatchObject({ exit: 1, out: "", err: expect.stringContaining("json.not-an-integer: ") });
    expect(await hasReceipt(malformed)).toBe(false);
    const wrong = await newTally("AT-1", { version: 50, ballots: 999 });
    const quarantined = await submit(name, test, ingest, wrong);
    expect(quarantined).toMatchObject({
      exit: 1,
      out: expect.stringMatching(/^quarantined: entry \d+\n {2}F\.\d+ AT-1\n/),
    });
    expect(readReceipt(await receiptOf(wrong), ledgerKey)?.verdict).toBe("quarantined");
  });

  it("believes no receipt but the ledger's for these bytes", async (test) => {
    const tally = await newTally();
    let lie: Lie | string = {};
    const liar = await openDoor(door, (body) => {
      if (typeof lie === "string") return { status: 201, body: lie };
      return { status: 201, body: JSON.stringify({ verdict: "accepted", receipt: receiptFor(body, lie) }) };
    });
    expect(await submit(name, test, liar.url, tally)).toMatchObject({ exit: 0 });
    await rm(`${tally}.receipt`);
    for (const [what, told] of LIES) {
      lie = told;
      const ran = await submit(name, test, liar.url, tally);
      expect(ran, what).toMatchObject({ exit: 3, out: "", err: expect.stringContaining("receipt.wrong") });
      expect(await hasReceipt(tally), what).toBe(false);
    }
  });
});
