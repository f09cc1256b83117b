import { createHash, randomBytes, sign } from "node:crypto";
import type { PoolClient } from "pg";
import { openLog } from "../services/ledger/rebuild.ts";
import { append, type EntryRow, insertGateFact, insertLift } from "../services/ledger/store.ts";
import { type Sample, sampleCommon, sampleTally, signSample } from "../shared/definition/sample.ts";
import { signCheckpoint } from "../shared/ledger/checkpoint.ts";
import { canonical, commitJudgement, type Entry, type Verdict } from "../shared/ledger/entry.ts";
import { appendLeaf, cloneFrontier, type Frontier, frontierRoot, leafHash } from "../shared/ledger/merkle.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { openPool } from "../shared/platform/postgres.ts";
import { createKeyring, type DataKey, seal } from "../shared/platform/seal.ts";
import { OPEN_TYPES, type Statement, type Tally } from "../shared/statement/types.ts";
import { dataKeyFor, ledgerKeyOf } from "./ledger.ts";

/**
 * A log written by a test: true entries, seals and checkpoints, by way of the ledger's own SQL, with verdicts that the test
 * chooses. What reads the log cannot tell it from one that the ledger wrote.
 */
export interface WrittenLog {
  size(): number;
  /** One batch: one transaction, one checkpoint. Answers the index of its first entry. */
  append(...batch: Written[]): Promise<number>;
  /** What is appended from now on is sealed with another data key. */
  nextMinute(): Promise<void>;
  close(): Promise<void>;
}

export interface Written {
  statement: Statement;
  jws: Uint8Array;
  key: string;
  verdict?: Verdict["verdict"];
}

/** When entry `index` was received: a second each. */
export const receivedAt = (index: number) => new Date(Date.parse("2024-06-09T21:30:00Z") + index * 1000).toISOString();

/** Opens the log of a database, with entry 0 if it is new. `url`: as the ledger's role or as superuser. */
export async function openWrittenLog(url: string, sample: Sample): Promise<WrittenLog> {
  const pool = openPool({ url, service: "written-log", max: 1, log: createHeardLog().log });
  const client = await pool.connect();
  const privateKey = sample.keys.get("ledger-1")!.privateKey;
  const key = { kid: "ledger-1", own: ledgerKeyOf(sample), sign: (text: Uint8Array) => sign(null, text, privateKey) };
  const keyring = createKeyring({ definition: sample.hash, vaultPrivateKey: sample.vault.privateKey });
  const { register, bytes, signatures } = sample;
  const opened = await openLog(client, { register, bytes, signatures, key, keyring }, Date.parse(receivedAt(0)));
  let { frontier } = opened;
  let dataKey = await dataKeyFor(sample);
  return {
    size: () => frontier.size,
    async append(...batch) {
      const from = frontier.size;
      const old = { size: from, root: frontierRoot(frontier) };
      const next: Frontier = cloneFrontier(frontier);
      const made = batch.map((written, n) => entryOf(written, from + n, dataKey));
      for (const { row } of made) appendLeaf(next, row.leaf);
      const root = frontierRoot(next);
      const { origin } = sample.definition;
      const note = await signCheckpoint({ origin, size: next.size, root, sign: key.sign, publicRaw: key.own.raw });
      const keys = [{ id: Buffer.from(dataKey.id, "hex"), wrapped: dataKey.wrapped }];
      await client.query("begin");
      const entries = made.map(({ row }) => row);
      await append(client, { old, root, note, signedAt: receivedAt(next.size), dataKeys: keys, entries });
      for (const [n, written] of batch.entries()) await insertFacts(client, written, from + n);
      await client.query("commit");
      frontier = next;
      return from;
    },
    async nextMinute() {
      dataKey = await dataKeyFor(sample);
    },
    async close() {
      client.release();
      await pool.end();
    },
  };
}

function entryOf({ statement, jws, key, verdict = "accepted" }: Written, index: number, dataKey: DataKey) {
  const sha256 = createHash("sha256").update(jws).digest();
  const hash = sha256.toString("hex");
  const findings: Verdict["findings"] = verdict === "accepted" ? [] : [{ code: "F.301" }];
  const judgement = { verdict, findings, salt: randomBytes(32).toString("hex") };
  const entry: Entry = {
    index,
    received: receivedAt(index),
    state: statement.state,
    key,
    sequence: statement.sequence,
    type: statement.type,
    units: statement.type === "tally" ? statement.tallies.length : 0,
    statement: hash,
    judgement: commitJudgement(judgement),
  };
  const body = Buffer.from(canonical(entry), "utf8");
  const row: EntryRow = {
    body,
    leaf: leafHash(body),
    received: entry.received,
    type: entry.type,
    state: entry.state,
    key,
    sequence: entry.sequence,
    payload: createHash("sha256").update(JSON.stringify(statement)).digest(),
    takesSequence: true,
    signed: {
      sha256,
      dataKey: Buffer.from(dataKey.id, "hex"),
      sealed: seal(dataKey.key, "statement", hash, jws),
      judgement: seal(dataKey.key, "judgement", hash, Buffer.from(canonical(judgement), "utf8")),
      clear: OPEN_TYPES.has(statement.type) ? jws : null,
    },
  };
  return { entry, row };
}

async function insertFacts(db: PoolClient, { statement, verdict }: Written, index: number): Promise<void> {
  if (verdict === "quarantined") return;
  if (statement.type === "lift") await insertLift(db, index);
  const fact = { index, constituency: null, until: null, voids: null };
  if (statement.type === "polls") {
    const until = statement.polls === "extended" ? statement.until : null;
    const { polls: kind, state, constituency = null } = statement;
    await insertGateFact(db, { ...fact, kind, state, constituency, until });
  }
  if (statement.type !== "decision") return;
  const { decision } = statement;
  if (decision === "hold" || decision === "resume" || decision === "override")
    await insertGateFact(db, { ...fact, kind: decision, state: statement.about });
  if (decision === "void")
    await insertGateFact(db, { ...fact, kind: decision, state: statement.about, voids: statement.entry });
}

/** Statements of a sample, signed by who may say them; sequences count up by themselves. */
export function speakers(sample: Sample) {
  const used = new Map<string, number>();
  const common = (state: string, kid: string, sequence?: number) => {
    const next = sequence ?? (used.get(kid) ?? 0) + 1;
    used.set(kid, next);
    return { ...sampleCommon(sample, state, next), sequence: next };
  };
  const signed = (statement: Statement, ...kids: string[]): Written => ({
    statement,
    jws: signSample(sample, statement, ...kids),
    key: kids[0]!,
  });
  const office = (state: string) => (state === "AT" ? ["AT-1"] : ["LU-1", "LU-2"]);
  const decide = (decision: "hold" | "resume" | "override", about: string) =>
    signed(
      { type: "decision", ...common("EU", "trustee-1"), decision, about, reason: "as ordered" },
      "trustee-1",
      "trustee-2",
    );
  return {
    tally: (unit = "AT-1", changes: Partial<Tally> = {}) =>
      signed({ type: "tally", ...common("AT", "AT-1"), tallies: [sampleTally(unit, changes)] }, "AT-1"),
    tallyBy: (kids: string[], unit: string, changes: Partial<Tally> = {}) =>
      signed({ type: "tally", ...common("AT", kids[0]!), tallies: [sampleTally(unit, changes)] }, ...kids),
    declared: (declares: "final" | "official") =>
      signed({ type: "declaration", ...common("AT", "AT-1"), declares }, "AT-1", "AT-2"),
    revoked: (kid: string, since: string) =>
      signed(
        { type: "key", ...common("EU", "trustee-1"), change: "revoke", revokes: kid, since, reason: "stolen" },
        "trustee-1",
        "trustee-2",
      ),
    closed: (state: string) =>
      signed({ type: "polls", ...common(state, office(state)[0]!), polls: "closed" }, ...office(state)),
    extended: (state: string, until: string) =>
      signed(
        { type: "polls", ...common(state, office(state)[0]!), polls: "extended", until, reason: "a queue" },
        ...office(state),
      ),
    hold: (about: string) => decide("hold", about),
    resume: (about: string) => decide("resume", about),
    override: (about: string) => decide("override", about),
    voided: (about: string, entry: number) =>
      signed(
        { type: "decision", ...common("EU", "trustee-1"), decision: "void", about, entry, reason: "by mistake" },
        "trustee-1",
        "trustee-2",
      ),
    suspended: (trustee: string, by: [string, string]) =>
      signed(
        { type: "decision", ...common("EU", by[0]), decision: "suspend", about: "EU", trustee, reason: "as agreed" },
        ...by,
      ),
    signed,
    common,
  };
}

/** The bytes of a statement that someone else signed, as an entry's source. */
export function writtenOf(statement: Statement, jws: Uint8Array, key: string): Written {
  return { statement, jws, key };
}
