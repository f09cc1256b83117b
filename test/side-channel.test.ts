import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../shared/definition/sample.ts";
import { writePullToken } from "../shared/platform/pull-token.ts";
import { decodeSealedCopy } from "../shared/platform/sealed-copy.ts";
import { eventually } from "./ledger.ts";
import { parliamentSigner } from "./pull-run.ts";
import { holdNight, incidentsOf, type Night, sideChannelSample } from "./side-channel-night.ts";
import { ask, logsOf, messagesOf, rowsOf, type SeenAnswer } from "./side-channel-seen.ts";

/**
 * No side channel: two nights that differ in their figures alone cannot be told apart before the lift, by an outsider or by an
 * operator. Everything that either can read is read in both and compared byte by byte.
 */

let calm: Night;
let loud: Night;
const both = async <T>(look: (night: Night) => Promise<T> | T): Promise<[T, T]> => [await look(calm), await look(loud)];

beforeAll(async () => {
  const sample = sideChannelSample();
  [calm, loud] = await Promise.all([holdNight("calm", sample), holdNight("loud", sample)]);
}, 240_000);
afterAll(async () => {
  await calm?.harness.close();
  await loud?.harness.close();
});

const METHODS = ["GET", "HEAD", "OPTIONS", "DELETE"] as const;
const COMMON = ["/healthz", "/readyz", "/metrics", "/v1/codes", "/v1/codes/F.301", "/nothing"];

function releasePaths({ statements }: Night): string[] {
  const size = statements.length + 1;
  const numbers = [
    "latest",
    "1",
    "2",
    "latest.csv",
    "1.csv",
    "latest/signatures",
    "1/files",
    "1/files/sheets/eu.json",
    "nothing",
  ];
  return [
    "/",
    "/verify",
    "/v1/definition",
    "/v1/definition/signatures",
    "/v1/releases",
    ...numbers.map((name) => `/v1/releases/${name}`),
    "/statements",
    ...statements.map((hash) => `/statements/${hash}`),
    ...statements.map((hash) => `/v1/proofs/${hash}`),
    `/statements/${"0".repeat(64)}`,
    "/log/judgements/0",
    "/log/judgements/1",
    "/log/checkpoint",
    `/log/tile/0/000.p/${size}`,
    `/log/tile/entries/000.p/${size}`,
    "/log/tile/0/000",
    "/v1/evidence",
    "/v1/evidence/equivocation/AT-1/2",
    "/v1/evidence/gap/AT-1/20-21",
    "/v1/sealed/latest",
    "/openapi.json",
    "/api",
    "/v1/sealed/1/1",
  ];
}

/** Watch hears of incidents a second later, in one night perhaps a second after the other: of the last one, that somebody asked release a lot. */
const hasHeard = ({ harness }: Night) =>
  eventually(async () => {
    const rows = await harness.query("select from watch.incident_event where detail ->> 'code' = 'embargo.probed'");
    return rows.length > 0 && (await incidentsOf(harness, "ended")) === 1;
  });

async function answersOf(night: Night, service: string, paths: readonly string[]): Promise<SeenAnswer[]> {
  const url = night.services.get(service)?.url ?? "";
  const answers: SeenAnswer[] = [];
  for (const path of paths) for (const method of METHODS) answers.push(await ask(service, url, method, path));
  return answers;
}

/** The newest release as the Parliament holds it sealed: all of it that is not ciphertext. */
async function sealedOf({ harness, services }: Night) {
  const { sample } = harness;
  const now = Date.now();
  const terms = { definition: sample.hash, issuedMs: now, expiresMs: now + 60_000, nonce: randomBytes(16) };
  const authorization = `Bearer ${writePullToken(parliamentSigner(sample), terms)}`;
  const answer = await fetch(`${services.get("release")?.url}/v1/sealed/latest`, { headers: { authorization } });
  const { etag: _, date: __, ...headers } = Object.fromEntries(answer.headers);
  const copy = decodeSealedCopy(new Uint8Array(await answer.arrayBuffer()));
  const { candidate, answer: answered, ...id } = copy ?? { candidate: [], answer: [] };
  return { status: answer.status, headers, id, lengths: [candidate.length, answered.length] };
}

/** What anyone may post at the door, and what the door says to it: bytes of these very offices, but not signed by them. */
async function refusalsOf(night: Night): Promise<SeenAnswer[]> {
  const { sample } = night.harness;
  const url = night.services.get("ingest")?.url ?? "";
  const signed = signSample(
    sample,
    { type: "tally", ...sampleCommon(sample, "AT", 99), tallies: [sampleTally()] },
    "AT-1",
  );
  const [head, payload] = Buffer.from(signed).toString("ascii").split(".");
  const forged = `${head}.${payload}.${"A".repeat(86)}`;
  const unknown = Buffer.from(JSON.stringify({ alg: "EdDSA", kid: "XX-1", typ: "scrutin+jws" })).toString("base64url");
  const bodies: [type: string, body: string][] = [
    ["application/jose", ""],
    ["application/jose", "{"],
    ["application/jose", forged],
    ["application/jose", `${unknown}.${payload}.${"A".repeat(86)}`],
    ["application/jose+json", "{}"],
    ["application/json", forged],
  ];
  const answers: SeenAnswer[] = [];
  for (const [type, body] of bodies)
    answers.push(await ask("ingest", url, "POST", "/v1/statements", { type, bytes: Buffer.from(body) }));
  return answers;
}

describe("two nights that differ in their figures alone", () => {
  it("do differ: in digits, in what was found, in what was accepted", () => {
    const quarantined = ({ answers, statements }: Night) =>
      answers.slice(0, statements.length).filter(({ verdict }) => verdict === "quarantined").length;
    // One statement has another payload under a used number, in both; everything else that is calm was accepted.
    expect(quarantined(calm)).toBe(1);
    expect(quarantined(loud)).toBeGreaterThan(3);
    expect(Math.max(...loud.answers.map(({ findings }) => findings))).toBeGreaterThan(4);
    expect(loud.sentBytes.filter((bytes, n) => bytes !== calm.sentBytes[n]).length).toBeGreaterThan(8);
  });

  it("give the offices answers of one length", () => {
    expect(loud.answers.map(({ bytes }) => bytes)).toEqual(calm.answers.map(({ bytes }) => bytes));
  });

  it.each(["release", "watch", "ingest", "ledger", "tabulate", "recount"])(
    "look the same to whoever asks %s: bodies, headers and their order, sizes, error texts, health, metrics",
    async (service) => {
      const [one, other] = await both(async (night) => {
        const paths = [...COMMON];
        if (service === "release") paths.push(...releasePaths(night));
        if (service === "watch") {
          paths.push("/", "/v1/status", "/v1/incidents", "/v1/states/AT");
          await hasHeard(night);
        }
        if (service === "ingest")
          paths.push("/v1/statements", ...night.statements.map((hash) => `/v1/statements/${hash}`));
        return answersOf(night, service, paths);
      });
      expect(one.filter(({ status }) => status === 200).length).toBeGreaterThan(4);
      for (const [n, answer] of one.entries()) expect(other[n], answer.asked).toEqual(answer);
    },
  );

  it("give the Parliament sealed releases that nobody could tell apart", async () => {
    // Each is the newest one: which of those before it were written, the clock says.
    await eventually(async () => {
      const [one, other] = await both(sealedOf);
      return JSON.stringify(one.id) === JSON.stringify(other.id);
    });
    const [one, other] = await both(sealedOf);
    expect(one).toMatchObject({ status: 200, id: { number: 1 } });
    expect(other).toEqual(one);
  });

  it("refuse alike what nobody signed", async () => {
    const [one, other] = await both(refusalsOf);
    expect(new Set(one.map(({ status }) => status)).size).toBeGreaterThan(2);
    expect(other).toEqual(one);
  });

  it("leave the same lines in every log", async () => {
    await both(hasHeard);
    const [one, other] = await both(({ harness }) => logsOf(harness));
    expect(Object.keys(one)).toEqual(expect.arrayContaining(["ledger.log", "ingest.log", "watch.log"]));
    for (const [name, lines] of Object.entries(one)) expect(other[name], name).toEqual(lines);
  });

  it("send the same messages over the bus, of the same lengths", async () => {
    const [one, other] = await both(({ messages }) => messagesOf(messages));
    for (const prefix of ["statement.AT", "receipt.", "ledger.appended", "incident.raised"])
      expect(
        one.ordered.some((message) => message.startsWith(prefix)),
        prefix,
      ).toBe(true);
    expect(other.ordered).toEqual(one.ordered);
    expect(other.forms).toEqual(one.forms);
  });

  it("keep the same in every stream", async () => {
    const [one, other] = await both(async ({ harness }) => {
      const jsm = await (await harness.nats("stack")).jetstreamManager();
      const { state } = await jsm.streams.info("STATEMENTS");
      return { messages: state.messages, bytes: state.bytes, last: state.last_seq };
    });
    expect(one.last).toBeGreaterThan(10);
    expect(other).toEqual(one);
  });

  it("keep the same rows in every table, of the same lengths, on as many pages", async () => {
    const [one, other] = await both(({ harness }) => rowsOf(harness));
    for (const name of ["ledger.statement", "tabulate.candidate", "tabulate.part", "recount.answer", "recount.part"])
      expect(one[name]?.length, name).toBeGreaterThan(0);
    for (const [name, rows] of Object.entries(one)) expect(other[name], name).toEqual(rows);
  });
});
