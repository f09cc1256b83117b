import { leafHash, verifyInclusion } from "../../shared/ledger/merkle.ts";
import { encodeProof } from "../../shared/ledger/proof.ts";
import { parseTilePath, TILE_WIDTH } from "../../shared/ledger/tiles.ts";
import { addressName, createBuckets, createRoom, type Rate } from "../../shared/platform/bounds.ts";
import { type App, Problem, remoteAddress } from "../../shared/platform/http.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import type { PublicLog } from "./log.ts";
import { OCTETS } from "./log-tiles.ts";
import { type Caching, pack, plain, type Representation, respond } from "./representation.ts";

interface LoggedEntry {
  index: number;
  /** The entry's bytes. */
  body: Uint8Array;
}

export interface LogRoutes {
  publicLog: PublicLog;
  /** The entry of the statement with this SHA-256 (hex). */
  findStatement: (sha256: string) => Promise<LoggedEntry | undefined>;
  /** Milliseconds, always forward. */
  now: () => number;
}

const TEXT = "text/plain; charset=utf-8";

/** The head moves on. */
const A_SECOND: Caching = { cacheControl: "public, max-age=1" };
/** A full tile never changes. */
const FOR_EVER: Caching = { cacheControl: "public, max-age=31536000, immutable" };
/** Nor does a partial one; but nobody asks for it when it is full. */
const AN_HOUR: Caching = { cacheControl: "public, max-age=3600, immutable" };

/** Answers in the making, in all and for one address: whoever asks for what is not in memory waits for the database. */
export const MAX_ASKED = 128;
export const MAX_ASKED_PER_ADDRESS = 32;
/** A proof is five hundred hashes, two milliseconds of the thread that serves releases too. Whoever wants them all takes the tiles. */
export const PROOFS_PER_ADDRESS: Rate = { perSecond: 20, burst: 100 };
export const PROOFS_IN_ALL: Rate = { perSecond: 150, burst: 300 };

/** The log as files (C2SP tlog-tiles), and proofs from it: public from the first entry on, for it holds no figure. */
export function addLog(app: App, { publicLog, findStatement, now }: LogRoutes): void {
  const room = createRoom(MAX_ASKED, MAX_ASKED_PER_ADDRESS);
  const [ofAddress, ofAll] = [createBuckets(PROOFS_PER_ADDRESS), createBuckets(PROOFS_IN_ALL)];
  for (const path of ["/log/tile/*", "/v1/proofs/*"])
    app.use(path, async (c, next) => {
      const giveBack = room.take(addressName(remoteAddress(c)), 1);
      if (giveBack === undefined) throw new Problem("service.busy", { retryAfterSeconds: 1 });
      await next().finally(giveBack);
    });
  app.get("/log/checkpoint", (c) => {
    const published = publicLog.checkpoint();
    if (published === undefined) throw new Problem("log.unknown", { detail: "The log has not begun." });
    return respond(c, plain(TEXT, published.note), A_SECOND);
  });
  const find = createFinder(publicLog);
  app.get("/log/tile/*", async (c) => {
    const asked = parseTilePath(c.req.path.slice("/log/".length));
    const found = asked && (await publicLog.guarded(() => find(asked)));
    if (found === undefined) throw new Problem("log.unknown");
    return respond(c, found, asked?.width === TILE_WIDTH ? FOR_EVER : AN_HOUR);
  });
  app.get("/v1/proofs/:sha256", async (c) => {
    const sha256 = c.req.param("sha256");
    if (!/^[0-9a-f]{64}$/.test(sha256)) throw new Problem("statement.unknown");
    const wait = ofAddress.take(addressName(remoteAddress(c)), now()) ?? ofAll.take("", now());
    if (wait !== undefined) throw new Problem("rate.exceeded", { retryAfterSeconds: wait });
    const proof = await publicLog.guarded(async () => {
      const logged = await findStatement(sha256);
      return logged && proofOf(publicLog, logged, sha256);
    });
    if (proof === undefined) throw new Problem("statement.unknown");
    return respond(c, plain(TEXT, proof), A_SECOND);
  });
}

type Asked = NonNullable<ReturnType<typeof parseTilePath>>;

function createFinder(publicLog: PublicLog): (asked: Asked) => Promise<Representation | undefined> {
  // Full bundles are compressed once, when they are first asked for, and forgotten with the bundle. Hashes cannot be made smaller.
  const packed = new WeakMap<Representation, Promise<Representation>>();
  return async ({ index, width, ...asked }) => {
    if (asked.kind === "hashes") {
      const hashes = await publicLog.tile(asked.level, index, width);
      return hashes && plain(OCTETS, hashes);
    }
    const bundle = await publicLog.bundle(index, width);
    if (bundle === undefined || width < TILE_WIDTH) return bundle;
    const smaller = packed.get(bundle) ?? pack(bundle);
    packed.set(bundle, smaller);
    return smaller;
  };
}

/** The tlog-proof of an entry, which is verified before it leaves. Undefined while no checkpoint that is served holds the entry. */
async function proofOf(
  publicLog: PublicLog,
  { index, body }: LoggedEntry,
  sha256: string,
): Promise<string | undefined> {
  await publicLog.reach(index);
  const against = publicLog.newestWith(index);
  if (against === undefined) return undefined;
  const { size, root, note } = against;
  const hashes = await publicLog.inclusion(index, size);
  if (!verifyInclusion({ leaf: leafHash(body), index, size, proof: hashes, root }))
    throw new LogBroken(`entry ${index} is not the one that the log's checkpoint holds`);
  const { statement } = JSON.parse(Buffer.from(body).toString("utf8")) as { statement?: string };
  if (statement !== sha256) throw new LogBroken(`entry ${index} is not about the statement that lies beside it`);
  return encodeProof({ index, hashes, checkpoint: note, extra: body });
}
