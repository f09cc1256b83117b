import { createHash, sign } from "node:crypto";
import type { Pool, PoolClient } from "pg";
import { type Role, withClient } from "../infra/stack/database.ts";
import { createRounds as recountRounds } from "../services/recount/round.ts";
import { createRounds as tabulateRounds } from "../services/tabulate/round.ts";
import type { Sample } from "../shared/definition/sample.ts";
import { SAMPLE_CLOSE } from "../shared/definition/sample.ts";
import type { ClockReadings } from "../shared/embargo/gate.ts";
import { createClockWatch } from "../shared/platform/clock-readings.ts";
import type { Incident } from "../shared/platform/incidents.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { createLogReader } from "../shared/platform/log-reader.ts";
import { openPool } from "../shared/platform/postgres.ts";
import type { ReleaseId } from "../shared/platform/release-seal.ts";
import { type Recipient, vaultSecret } from "../shared/platform/seal.ts";
import { vaultOf } from "../shared/platform/vault-fixture.ts";
import { keysOfRole, type VaultKeys } from "../shared/platform/vault-keys.ts";
import { importVerifyKey } from "../shared/statement/ed25519.ts";
import { openEnvelope } from "../shared/statement/jws.ts";
import { readStatement } from "../shared/statement/read.ts";
import type { Harness } from "./harness.ts";
import type { WrittenLog } from "./written-log.ts";

/**
 * Both counts within the test's process, on a real database, with clocks that the test sets and a door that the test holds
 * open: `post` puts what tabulate sends into the written log, as ingest and ledger would.
 */

/** Everything that a test may turn. */
export interface World {
  sample: Sample;
  log: WrittenLog;
  /** Milliseconds since the epoch, for process and all clocks unless `clocks` says otherwise. */
  now: number;
  clocks: Partial<ClockReadings>;
  /** Only goes forward; each turn moves it. */
  steadyMs: number;
  /** What the counts said, in order. */
  incidents: (Incident & { by: string })[];
  hints: ReleaseId[];
  /** Every body that was posted at the door. */
  posted: string[];
  /** False: the door takes nothing. */
  doorOpen: boolean;
  /** Which key a count that is made from now on works with. */
  recipient: Recipient;
  /** The verdict that the next own statement gets. */
  verdict: "accepted" | "quarantined";
}

export function createWorld(sample: Sample, log: WrittenLog): World {
  return {
    sample,
    log,
    now: SAMPLE_CLOSE + 60_000,
    clocks: {},
    steadyMs: 0,
    incidents: [],
    hints: [],
    posted: [],
    doorOpen: true,
    recipient: "vault",
    verdict: "accepted",
  };
}

/** What services/…/main.ts gives the rounds of each count. */
function sourcesOf(world: World, by: "tabulate" | "recount", pool: Pool) {
  const { sample } = world;
  const { definition, hash } = sample;
  const own = sample.keys.get(`${by}-1`)!;
  const keys: VaultKeys = {
    kid: own.id,
    sign: (message) => sign(null, message, own.privateKey),
    own: importVerifyKey(own.publicRaw)!,
    vault: vaultOf(sample, world.recipient),
  };
  const { privateKey: vaultPrivateKey, recipient } = keys.vault;
  const createReader = () => createLogReader({ pool, definitionHash: hash, vaultPrivateKey, recipient, definition });
  const { log, lines } = createHeardLog();
  return {
    common: {
      pool,
      keys,
      hash,
      definition,
      lookAtClocks: createClockWatch(async () => {
        return { process: world.now, postgres: world.now, nats: world.now, ...world.clocks };
      }).look,
      raise: async (incident: Incident) => void world.incidents.push({ ...incident, by }),
      hint: (id: ReleaseId) => void world.hints.push(id),
      now: () => world.now,
      log,
    },
    fold: {
      pool,
      definition,
      hash,
      snapshotKey: vaultSecret(keys.vault, `snapshot/${by}`),
      createReader,
    },
    steadyMs: () => world.steadyMs,
    lines,
  };
}

export function tabulateHere(world: World, pool: Pool) {
  const { common, fold, steadyMs, lines } = sourcesOf(world, "tabulate", pool);
  const recountKeys = keysOfRole(world.sample.definition, "recount");
  const nonce = () => createHash("sha256").update(`${world.posted.length} ${world.steadyMs}`).digest().subarray(0, 16);
  const post = (jws: string) => void world.posted.push(jws);
  const sources = {
    fold,
    releases: { ...common, recountKeys },
    proposals: { ...common, recountKeys, nonce, post },
    log: common.log,
    raise: common.raise,
    now: common.now,
    steadyMs,
  };
  return { sources, lines, ...tabulateRounds(sources) };
}

export function recountHere(world: World, pool: Pool) {
  const { common, fold, steadyMs, lines } = sourcesOf(world, "recount", pool);
  const tabulateKeys = keysOfRole(world.sample.definition, "tabulate");
  const sources = {
    fold,
    answers: { ...common, tabulateKeys },
    cosign: { ...common, tabulateKeys },
    log: common.log,
    raise: common.raise,
    now: common.now,
    steadyMs,
  };
  return { sources, lines, ...recountRounds(sources) };
}

/** A pool as one of the roles; close it. */
export function poolOf(url: string, service: "tabulate" | "recount"): Pool {
  return openPool({ url, service, log: createHeardLog().log });
}

/** Takes what was posted into the log, each once and in order, as the door and the ledger would; answers how many were new. */
export async function takeIn(world: World, taken: Set<string>): Promise<number> {
  let fresh = 0;
  for (const jws of world.doorOpen ? world.posted : []) {
    if (taken.has(jws)) continue;
    taken.add(jws);
    const bytes = Buffer.from(jws, "utf8");
    const opened = openEnvelope(bytes);
    if (opened.kind !== "envelope") throw new Error(`the door refuses what was posted: ${opened.code}`);
    const read = readStatement(opened.envelope.payload);
    if (read.kind !== "statement") throw new Error(`the door refuses what was posted: ${read.detail}`);
    const key = opened.envelope.signatures[0]!.kid;
    await world.log.append({ statement: read.statement, jws: bytes, key, verdict: world.verdict });
    fresh++;
  }
  return fresh;
}

type Rounds = { round(): Promise<number> };

/** Long enough that every pause of a count is over, between candidates, releases and snapshots. */
const TURN_MS = 6_000;

/**
 * Lets both counts look in turn, some seconds apart, with the door between them, until `done` says so. Throws after `most` turns: what
 * has not come by then does not come.
 */
export async function drive(
  world: World,
  counts: () => { tabulate: Rounds; recount: Rounds },
  done: () => boolean | Promise<boolean>,
  taken: Set<string> = new Set(),
  most = 40,
): Promise<void> {
  for (let turn = 0; turn < most; turn++) {
    if (await done()) return;
    world.steadyMs += TURN_MS;
    await counts().tabulate.round();
    await counts().recount.round();
    await takeIn(world, taken);
  }
  throw new Error(`not in ${most} turns`);
}

/** Where a count's connection to Postgres ends: at its n-th query, before it reaches the server or after it was done. */
export interface Crash {
  at: number;
  when: "before" | "after";
}

/**
 * A pool that dies like a process does: at the n-th query, and from then on nothing gets through. A transaction that was open is
 * rolled back by Postgres when its connection ends.
 */
export function crashingPool(pool: Pool, crash: Crash | null) {
  const queries: string[] = [];
  let dead = false;
  const died = () => new Error("the process died");
  const through = async (text: string, send: () => Promise<unknown>) => {
    if (dead) throw died();
    queries.push(text.trim());
    const here = crash !== null && queries.length === crash.at;
    if (here && crash.when === "before") dead = true;
    if (dead) throw died();
    const result = await send();
    if (!here) return result;
    dead = true;
    throw died();
  };
  const wrap = <T extends object>(target: T): T =>
    new Proxy(target, {
      get(object, name) {
        const value = Reflect.get(object, name, object) as unknown;
        if (typeof value !== "function") return value;
        if (name === "query")
          return (...args: unknown[]) => through(String(args[0]), () => value.apply(object, args) as Promise<unknown>);
        if (name === "connect") return async () => wrap((await value.call(object)) as PoolClient);
        return value.bind(object);
      },
    });
  return { pool: wrap(pool), queries: () => queries as readonly string[], dead: () => dead };
}

let clones = 0;

/** A copy of the harness' database, for a scenario of its own; nothing may be connected to the original. */
export async function cloneDatabase(harness: Harness): Promise<{
  adminUrl: string;
  urlOf(role: Role): string;
  drop(): Promise<void>;
}> {
  const name = new URL(harness.adminUrl).pathname.slice(1);
  const clone = `${name}_${++clones}`;
  const server = new URL(harness.adminUrl);
  server.pathname = "/postgres";
  await withClient(server.href, (client) => client.query(`create database ${clone} template ${name}`));
  const inClone = (url: string) => {
    const changed = new URL(url);
    changed.pathname = `/${clone}`;
    return changed.href;
  };
  return {
    adminUrl: inClone(harness.adminUrl),
    urlOf: (role) => inClone(harness.databaseUrl(role)),
    drop: async () => {
      await withClient(server.href, (client) => client.query(`drop database ${clone} with (force)`));
    },
  };
}
