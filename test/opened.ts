import type { Pool } from "pg";
import { buildApp } from "../services/release/app.ts";
import { type MadeRelease, makeRelease, type Twist } from "../services/release/fixture.ts";
import { createPublicLog } from "../services/release/log.ts";
import { trustOf } from "../services/release/opened.ts";
import { createOpening, type Opening, type Stored, storedIn } from "../services/release/opening.ts";
import { createSealedSource } from "../services/release/sealed.ts";
import { createShelf } from "../services/release/shelf.ts";
import * as store from "../services/release/store.ts";
import { createStream } from "../services/release/stream.ts";
import type { Release } from "../shared/formats/release.ts";
import { witnessesOf } from "../shared/ledger/cosignature.ts";
import type { App } from "../shared/platform/http.ts";
import type { Incident } from "../shared/platform/incidents.ts";
import { authorityOfDefinition } from "../shared/platform/log-authorities.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { createMetrics } from "../shared/platform/metrics.ts";
import { openPool } from "../shared/platform/postgres.ts";
import { createTokenReader } from "../shared/platform/pull-token.ts";
import { dataKeyShare } from "../shared/platform/release-seal.ts";
import { unwrapDataKey } from "../shared/platform/seal.ts";
import { vaultOf } from "../shared/platform/vault-fixture.ts";
import type { Harness } from "./harness.ts";
import { cloneDatabase } from "./vault.ts";
import { openWrittenLog, speakers, type Written, type WrittenLog } from "./written-log.ts";

/**
 * `release` within the test's process, on a real database of its own, with a log that the test writes and releases and shares that it
 * gives as both counts would.
 */
export interface OpenedWorld {
  log: WrittenLog;
  say: ReturnType<typeof speakers>;
  app: App;
  opening: Opening;
  incidents: Incident[];
  /** Milliseconds; long after everything was received unless the test says otherwise. */
  now: number;
  /** Wraps what the service asks of its database. */
  stored: Stored;
  /** As superuser. */
  query: Pool["query"];
  /** The service looks at log and releases, as its rounds do. */
  look(): Promise<void>;
  ask(path: string, init?: RequestInit): Promise<Response>;
  codeOf(path: string, init?: RequestInit): Promise<[status: number, code: unknown]>;
  /** Closures and the lift, at the end of the log. */
  lift(): Promise<void>;
  /** The next release, of the log as it stands; `withheld`: states on hold. It is on the shelf afterwards. */
  release(withheld?: readonly string[], twist?: Twist): Promise<MadeRelease>;
  /** The same as far as it goes before its shares are given: `release` goes on from here. */
  seal(twist?: Twist): Promise<MadeRelease>;
  /** The statement that announces a release, signed by both counts, at the end of the log; answers its entry. */
  announce(made: MadeRelease, verdict?: Written["verdict"]): Promise<number>;
  /** Gives shares of every data key of the log that has none; `change` spoils one count's. */
  giveKeys(by?: readonly ("tabulate" | "recount")[], change?: (share: Uint8Array) => Uint8Array): Promise<void>;
  close(): Promise<void>;
}

export async function openOpenedWorld(harness: Harness): Promise<OpenedWorld> {
  const { sample } = harness;
  const database = await cloneDatabase(harness);
  const log = await openWrittenLog(database.urlOf("ledger"), sample);
  const { log: lines } = createHeardLog();
  const pool = openPool({ url: database.urlOf("release"), service: "release", log: lines });
  const admin = openPool({ url: database.adminUrl, service: "admin", max: 1, log: lines });
  const query = admin.query.bind(admin) as Pool["query"];
  const say = speakers(sample);
  const { register, definition, hash, bytes, signatures, vault } = sample;
  const incidents: Incident[] = [];
  const raise = async (incident: Incident) => void incidents.push(incident);
  const authorities = () => [authorityOfDefinition(definition)];
  const witnesses = witnessesOf(definition);
  const shelf = createShelf({
    trust: trustOf(definition, hash),
    selectAfter: (number, limit) => store.selectAfter(pool, number, limit),
    selectOne: (number) => store.selectOne(pool, number),
  });
  const publicLog = createPublicLog({
    selectHead: () => store.selectHead(pool),
    selectCheckpoint: (size) => store.selectCheckpoint(pool, size),
    selectCosigned: (from, to, quorum) => store.selectCosigned(pool, from, to, quorum),
    hasCheckpoint: (from, to) => store.hasCheckpoint(pool, from, to),
    selectLeaves: (from, to) => store.selectLeaves(pool, from, to),
    selectBodies: (from, to) => store.selectBodies(pool, from, to),
    authorities,
    witnesses,
    raise,
    log: lines,
  });
  const stored = storedIn(pool);
  const retrySeconds = () => 3;
  const opening = createOpening({
    stored: through(() => world.stored, stored),
    register,
    publicLog,
    shelf,
    authorities,
    quorum: witnesses.quorum,
    retrySeconds,
    now: () => world.now,
    log: lines,
  });
  const sealedSource = createSealedSource({
    selectNewestAnswer: () => store.selectNewestAnswer(pool),
    selectSealedPair: (number, size) => store.selectSealedPair(pool, number, size),
    log: lines,
  });
  const metrics = createMetrics("release");
  const stream = createStream(shelf.list, metrics);
  const app = await buildApp({
    log: lines,
    metrics,
    stream,
    register,
    bytes,
    signatures,
    shelf,
    publicLog,
    opening,
    sealed: { source: sealedSource, readToken: createTokenReader(definition, hash), wallNow: () => world.now },
    findStatement: (sha256) => store.findStatement(pool, sha256),
    now: () => world.now,
    retrySeconds,
    status: () => ({ looked: true, broken: false }),
    pingNats: async () => undefined,
  });
  const made: MadeRelease[] = [];
  let sealed: MadeRelease | undefined;

  const world: OpenedWorld = {
    log,
    say,
    app,
    opening,
    incidents,
    now: Date.parse("2024-06-11T00:00:00Z"),
    stored,
    query,
    async look() {
      await shelf.take((listed) => stream.tell([listed]));
      await opening.facts.round();
      await sealedSource.round();
    },
    ask: async (path, init) => app.request(path, init),
    async codeOf(path, init) {
      const answer = await app.request(path, init);
      return [answer.status, ((await answer.json()) as { code: unknown }).code];
    },
    async lift() {
      const at = "2024-06-09T21:31:00.000Z";
      const clocks = { process: at, postgres: at, nats: at };
      await log.append(say.closed("AT"), say.closed("LU"));
      const lift = { type: "lift", ...say.common("EU", "tabulate-1"), clocks } as const;
      await log.append(say.signed(lift, "tabulate-1", "recount-1"));
    },
    async seal(twist = {}) {
      const id = { number: made.length + 1, size: log.size() };
      sealed = await nextRelease(harness, query, id, made.at(-1)?.sha256 ?? null, [], twist);
      await storeSealed(query, sealed);
      await world.look();
      return sealed;
    },
    async release(withheld = [], twist = {}) {
      const id = { number: made.length + 1, size: log.size() };
      const isSealed = sealed?.number === id.number;
      const next =
        sealed !== undefined && isSealed
          ? sealed
          : await nextRelease(harness, query, id, made.at(-1)?.sha256 ?? null, withheld, twist);
      made.push(next);
      if (!isSealed) await storeSealed(query, next);
      await storeShares(query, next);
      await world.look();
      return next;
    },
    async announce({ number, size, sha256, bytes: document }, verdict = "accepted") {
      const { checkpoint, previous } = JSON.parse(Buffer.from(document).toString("utf8")) as Release;
      const says = { number, size, root: checkpoint.root, release: sha256, previous };
      const statement = { type: "release", ...say.common("EU", "tabulate-1"), ...says } as const;
      const index = await log.append({ ...say.signed(statement, "tabulate-1", "recount-1"), verdict });
      await world.look();
      return index;
    },
    async giveKeys(by = ["tabulate", "recount"], change = (share) => share) {
      const { rows } = await query<{ id: Buffer; wrapped: Buffer }>("select id, wrapped from ledger.data_key");
      for (const { id: raw, wrapped } of rows)
        for (const count of by) {
          const id = raw.toString("hex");
          const key = await unwrapDataKey({ definition: hash, id, wrapped, vaultPrivateKey: vault.privateKey });
          await query(
            "insert into release.data_key_share (id, given_by, share) values ($1, $2, $3) on conflict do nothing",
            [raw, count, change(dataKeyShare(vaultOf(sample), count, id, key))],
          );
        }
    },
    async close() {
      stream.end();
      await log.close();
      await pool.end();
      await admin.end();
      await database.drop();
    },
  };
  return world;
}

/** What is asked of `stored()` at the time of asking. */
function through(stored: () => Stored, shape: Stored): Stored {
  const names = Object.keys(shape) as (keyof Stored)[];
  return Object.fromEntries(
    names.map((name) => [name, (...args: never[]) => (stored()[name] as (...all: never[]) => unknown)(...args)]),
  ) as unknown as Stored;
}

/** A release of the log as it stands, in which these states are on hold. */
async function nextRelease(
  { sample }: Harness,
  query: Pool["query"],
  id: { number: number; size: number },
  previous: string | null,
  withheld: readonly string[],
  twist: Twist,
): Promise<MadeRelease> {
  const { rows } = await query<{ root: Buffer; note: string }>(
    "select root, note from ledger.checkpoint where size = $1",
    [id.size],
  );
  const root = rows[0]?.root.toString("base64") ?? "";
  const plain = await makeRelease(sample, id, previous, { checkpoint: { root }, ...twist });
  const { states } = JSON.parse(Buffer.from(plain.bytes).toString("utf8")) as Release;
  const held = states.map((state) => ({ ...state, withheld: withheld.includes(state.state) }));
  const says = { states: held, ...twist.says };
  const checkpoint = rows[0]?.note ?? null;
  return { ...(await makeRelease(sample, id, previous, { checkpoint: { root }, ...twist, says })), checkpoint };
}

async function storeSealed(query: Pool["query"], made: MadeRelease): Promise<void> {
  const { number, size } = made;
  await query("insert into tabulate.candidate (number, size, sealed) values ($1, $2, $3)", [
    number,
    size,
    made.candidate,
  ]);
  await query("insert into recount.answer (number, size, sealed) values ($1, $2, $3)", [number, size, made.answer]);
}

async function storeShares(query: Pool["query"], made: MadeRelease): Promise<void> {
  const { number, size } = made;
  for (const [by, share] of [
    ["tabulate", made.tabulateShare],
    ["recount", made.recountShare],
  ])
    await query("insert into release.key_share (number, size, given_by, share) values ($1, $2, $3, $4)", [
      number,
      size,
      by,
      share,
    ]);
}
