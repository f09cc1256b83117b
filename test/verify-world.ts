import { createHash, sign } from "node:crypto";
import { type MadeRelease, makeRelease } from "../services/release/fixture.ts";
import { addVerifyPage } from "../services/release/verify/serve.ts";
import {
  newSampleKey,
  type Sample,
  sampleCommon,
  sampleDefinition,
  sampleTally,
  signSample,
} from "../shared/definition/sample.ts";
import { signCheckpoint } from "../shared/ledger/checkpoint.ts";
import { cosign } from "../shared/ledger/cosignature.ts";
import { canonical, commitJudgement, type Entry, type Verdict } from "../shared/ledger/entry.ts";
import { inclusionProof, leafHash, rootOf } from "../shared/ledger/merkle.ts";
import { encodeProof } from "../shared/ledger/proof.ts";
import { createTileTree, tilePath, tilesOf } from "../shared/ledger/tiles.ts";
import { createApp, Problem, serve } from "../shared/platform/http.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { createMetrics } from "../shared/platform/metrics.ts";
import { OPEN_TYPES, type Statement } from "../shared/statement/types.ts";
import { ledgerKeyOf } from "./ledger.ts";

/**
 * A little log for the verification page, made with the code of shared/, and a server that gives its files at the addresses of `release`; any of
 * them can be made to lie. Its statements are signed by the sample's keys, its heads by the ledger and two witnesses.
 */
export interface VerifyWorld {
  sample: Sample;
  url: string;
  port: number;
  /** Entries in the head that is shown. */
  size: number;
  log: WrittenLines;
  /** What is given at a path in place of the truth; a status is a refusal without a body. */
  lies: Map<string, string | Uint8Array | number>;
  lifted: boolean;
  /** Another history under the same keys, and the whole log of someone else. */
  fork: WrittenLines;
  foreign: WrittenLines;
  /** A log like this one, but for one entry. */
  write(twist: Twist): Promise<WrittenLines>;
  close(): Promise<void>;
}

/** One log: its entries, and what can be made of them. */
export interface WrittenLines {
  entries: Entry[];
  /** The JWS of each entry; none of entry 0. */
  statements: (Uint8Array | undefined)[];
  judgements: string[];
  leaves: Uint8Array[];
  /** The signed checkpoint of a size, cosigned by the witnesses of these names. */
  note(size: number, witnesses?: string[]): Promise<string>;
  proof(index: number, size: number, witnesses?: string[]): Promise<string>;
  release: MadeRelease;
}

export const WITNESSES = ["witness-1", "witness-2"];
/** When the witnesses saw every head, in seconds. */
export const COSIGNED = 1_717_966_800;
export const MARKUP = `<img src=x onerror="window.owned=1"><script>window.owned=1</script>`;
/** A key that the definition does not name: it comes by way of the log. */
const NEW_KEY = "AT-9";
/** Where what is in the log. */
export const AT = {
  polls: 1,
  tally: 2,
  quarantined: 3,
  twoSigners: 4,
  markup: 5,
  stranger: 6,
  forged: 7,
  newKey: 8,
  byNewKey: 9,
  lift: 270,
  release: 280,
  last: 299,
};

/** The sample with two witnesses, of which both must cosign, and a list whose name is markup. */
function witnessedSample(seed: string): Sample {
  const sample = sampleDefinition({
    seed,
    witnesses: 2,
    edit(definition) {
      if (seed === "foreign") definition.origin = "elsewhere.example/log";
      definition.states[0]!.lists[1]!.acronym = MARKUP;
    },
  });
  newSampleKey(sample, NEW_KEY);
  return sample;
}

const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");
const receivedAt = (index: number) => new Date(Date.parse("2024-06-09T21:30:00Z") + index * 1000).toISOString();

/** What each entry's statement is, and who signs it. `history` changes every tally: a fork from its first on. */
function statementAt(index: number, sample: Sample, history: string): [Statement, ...string[]] {
  const common = (state: string) => sampleCommon(sample, state, index);
  if (index === AT.polls) return [{ type: "polls", ...common("AT"), polls: "closed" }, "AT-1"];
  if (index === AT.lift) {
    const at = receivedAt(index);
    return [
      { type: "lift", ...common("EU"), clocks: { process: at, postgres: at, nats: at } },
      "tabulate-1",
      "recount-1",
    ];
  }
  if (index === AT.newKey) {
    const key = { id: NEW_KEY, publicKey: sample.keys.get(NEW_KEY)!.jwk.x };
    return [{ type: "key", ...common("AT"), change: "rotate", replaces: "AT-1", key }, "AT-1", NEW_KEY];
  }
  const reason = index === AT.markup ? MARKUP : history;
  const tally: Statement = {
    type: "tally",
    ...common("AT"),
    tallies: [sampleTally("AT-1", { version: index, reason })],
  };
  const others = new Map([
    [AT.stranger, "LU-1"],
    [AT.byNewKey, NEW_KEY],
  ]);
  if (index !== AT.twoSigners) return [tally, others.get(index) ?? "AT-1"];
  const tallies = ["LU-11", "LU-12"].map((unit) => sampleTally(unit, { votes: { LU01: 6, LU02: 12 } }));
  return [{ type: "tally", ...common("LU"), tallies }, "LU-1", "LU-2"];
}

function entryFor(index: number, statement: Statement, jws: Uint8Array, key: string, twist: Twist | undefined) {
  const verdict: Verdict["verdict"] = twist?.verdict ?? (index === AT.quarantined ? "quarantined" : "accepted");
  const findings = verdict === "accepted" ? [] : [{ code: "F.301" as const, unit: "AT-1" }];
  const judgement = { findings, salt: sha256(`salt ${index}`), verdict };
  const entry: Entry = {
    index,
    received: receivedAt(index),
    state: statement.state,
    key,
    sequence: statement.sequence,
    type: statement.type,
    units: statement.type === "tally" ? statement.tallies.length : 0,
    statement: sha256(jws),
    judgement: commitJudgement(judgement),
    ...twist?.entry,
  };
  return { entry, judgement: canonical(judgement) };
}

/** What is wrong with one entry of a log, which is signed and hashed as if it were right. */
export interface Twist {
  at: number;
  statement?: object;
  /** Who signs the statement. */
  kids?: string[];
  entry?: Partial<Entry>;
  verdict?: "accepted";
}

/** Writes a log from its first entry to `AT.last`, with one release in it, which counts all before its lift. */
async function writeLog(sample: Sample, history: string, twist?: Twist): Promise<WrittenLines> {
  const definition = { index: 0, received: receivedAt(0), type: "definition", definition: sample.hash, signatures: [] };
  const bodies = [Buffer.from(canonical(definition))];
  const lines: WrittenLines = {
    entries: [definition as unknown as Entry],
    statements: [undefined],
    judgements: ["null"],
    leaves: [leafHash(bodies[0]!)],
    note: (size, witnesses = WITNESSES) => noteOf(sample, size, rootOf(lines.leaves.slice(0, size)), witnesses),
    async proof(index, size, witnesses) {
      const hashes = inclusionProof(lines.leaves, index, size);
      return encodeProof({ index, hashes, checkpoint: await lines.note(size, witnesses), extra: bodies[index]! });
    },
    release: undefined as unknown as MadeRelease,
  };
  for (let index = 1; index <= AT.last; index++) {
    if (index === AT.release) lines.release = await releaseOf(sample, AT.lift, lines);
    const [said, ...by] =
      index === AT.release ? announcementOf(sample, lines.release, index) : statementAt(index, sample, history);
    const own = twist?.at === index ? twist : undefined;
    const [statement, kids] = [{ ...said, ...own?.statement } as Statement, own?.kids ?? by];
    const signed = signSample(sample, statement, ...kids);
    const jws = index === AT.forged ? signed.map((byte, n) => (n === signed.length - 9 ? byte ^ 1 : byte)) : signed;
    const { entry, judgement } = entryFor(index, statement, jws, kids[0]!, own);
    const body = Buffer.from(canonical(entry));
    bodies.push(body);
    lines.entries.push(entry);
    lines.statements.push(jws);
    lines.judgements.push(judgement);
    lines.leaves.push(leafHash(body));
  }
  return lines;
}

async function noteOf(sample: Sample, size: number, root: Uint8Array, witnesses: string[]): Promise<string> {
  const { origin } = sample.definition;
  const { privateKey } = sample.keys.get("ledger-1")!;
  const publicRaw = ledgerKeyOf(sample).raw;
  const note = await signCheckpoint({ origin, size, root, sign: (text) => sign(null, text, privateKey), publicRaw });
  const text = note.slice(0, note.indexOf("\n\n") + 1);
  const lines = witnesses.map((name) => {
    const key = sample.keys.get(name)!;
    return cosign(text, {
      name,
      raw: key.publicRaw,
      seconds: COSIGNED,
      sign: (bytes) => sign(null, bytes, key.privateKey),
    });
  });
  return note + (await Promise.all(lines)).join("");
}

function releaseOf(sample: Sample, size: number, { leaves }: WrittenLines): Promise<MadeRelease> {
  const root = Buffer.from(rootOf(leaves.slice(0, size))).toString("base64");
  return makeRelease(sample, { number: 1, size }, null, { checkpoint: { root } });
}

function announcementOf(
  sample: Sample,
  { size, bytes, sha256: release }: MadeRelease,
  index: number,
): [Statement, ...string[]] {
  const { root } = (JSON.parse(Buffer.from(bytes).toString("utf8")) as { checkpoint: { root: string } }).checkpoint;
  const common = sampleCommon(sample, "EU", index);
  return [{ type: "release", ...common, number: 1, size, root, release, previous: null }, "tabulate-1", "recount-1"];
}

/** Makes the logs and starts the server. */
export async function startVerifyWorld(): Promise<VerifyWorld> {
  const sample = witnessedSample("");
  const [log, fork, foreign] = await Promise.all([
    writeLog(sample, "as counted"),
    writeLog(sample, "as it should not have been"),
    writeLog(witnessedSample("foreign"), "as counted"),
  ]);
  const world = {
    sample,
    log,
    fork,
    foreign,
    size: AT.last + 1,
    lies: new Map(),
    lifted: true,
    write: (twist: Twist) => writeLog(sample, "as counted", twist),
  } as unknown as VerifyWorld;
  const heard = createHeardLog();
  const app = createApp({
    service: "release",
    log: heard.log,
    metrics: createMetrics("release"),
    ready: async () => ({ ok: true, checks: {} }),
  });
  await addVerifyPage(app, sample.register);
  app.get("/v1/*", (c) => answer(c.req.path));
  app.get("/log/*", (c) => answer(c.req.path));
  app.get("/statements/*", (c) => answer(c.req.path));
  const answer = async (path: string) => {
    const lie = world.lies.get(path);
    if (typeof lie === "number") return new Response("", { status: lie });
    const body = lie ?? (await truthAt(world, path));
    return new Response(typeof body === "string" ? body : Buffer.from(body));
  };
  const server = await serve(app, { host: "127.0.0.1", port: 0, log: heard.log });
  return Object.assign(world, { url: server.url, port: server.port, close: () => server.close() });
}

/** What `release` gives at a path; throws the Problem with which it refuses. */
async function truthAt(world: VerifyWorld, path: string): Promise<string | Uint8Array> {
  const { log, sample, size, lifted } = world;
  const [, top, ...rest] = path.split("/");
  const embargo = new Problem("embargo.in-force", { retryAfterSeconds: 1 });
  const below = (list: string) => log.entries.findIndex(({ statement }) => statement === list);
  if (path === "/v1/definition") return sample.bytes;
  if (path === "/log/checkpoint") return log.note(size);
  if (path.startsWith("/log/tile/")) return tileAt(log, size, path.slice("/log/".length));
  if (path.startsWith("/v1/proofs/")) {
    const index = below(rest.at(-1) ?? "");
    if (index < 0) throw new Problem("statement.unknown");
    return log.proof(index, size);
  }
  if (top === "statements") {
    const index = below(rest[0] ?? "");
    if (!lifted && !OPEN_TYPES.has(log.entries[index]?.type as never)) throw embargo;
    if (index >= AT.lift && log.entries[index]?.type === "tally") throw new Problem("statement.not-released");
    return log.statements[index] ?? notFound();
  }
  if (!lifted) throw embargo;
  const { number, size: counted, sha256: hash, bytes } = log.release;
  if (path === "/v1/releases") return JSON.stringify({ releases: [{ number, size: counted, sha256: hash }] });
  if (path === "/v1/releases/1") return bytes;
  if (path === "/v1/releases/1/proof") return log.proof(AT.release, size);
  if (path.startsWith("/log/judgements/")) {
    const from = Number(rest.at(-1)) * 256;
    return `${log.judgements.slice(from, Math.min(from + 256, AT.lift)).join("\n")}\n`;
  }
  return notFound();
}

function notFound(): never {
  throw new Problem("request.not-found");
}

function tileAt({ leaves }: WrittenLines, size: number, path: string): Uint8Array {
  const tree = createTileTree();
  for (const leaf of leaves.slice(0, size)) tree.append(leaf);
  const tile = [...tilesOf(size)].find((one) => tilePath(one) === path) ?? notFound();
  const from = tile.index * 256;
  return tile.level === 0
    ? Buffer.concat(leaves.slice(from, from + tile.width))
    : tree.tile(tile.level, tile.index, tile.width);
}
