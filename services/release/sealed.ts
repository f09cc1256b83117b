import type { Logger } from "pino";
import { type Bell, createBell } from "../../shared/platform/bell.ts";
import { addressName, createBuckets, type Rate } from "../../shared/platform/bounds.ts";
import { type App, Problem, remoteAddress } from "../../shared/platform/http.ts";
import type { Metrics } from "../../shared/platform/metrics.ts";
import type { ReadPullToken } from "../../shared/platform/pull-token.ts";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";
import { encodeSealedCopy } from "../../shared/platform/sealed-copy.ts";
import { bytes, get, given, HELD, header, inPath, refused, UNKNOWN } from "./api/components.ts";
import { type Caching, matches, plain, type Representation, respond } from "./representation.ts";
import type { SealedPair } from "./store.ts";
import { createHold } from "./wait.ts";

/**
 * The next release as it lies sealed, for the Parliament alone: whoever holds it when its key comes has the result after 32 bytes. Nothing
 * of it depends on a figure: neither its length nor when it is sealed anew, and whether the second count agrees is sealed too.
 */
export interface SealedSource {
  /** One look for a newer copy; answers the ms until the next. Never rejects. */
  round(): Promise<number>;
  /** Undefined while there is none. Throws Problem `service.unavailable` as long as no look has reached the database. */
  latest(): SealedCopyShown | undefined;
  find(id: ReleaseId): Promise<Representation | undefined>;
  /** Rung when a look has found a newer copy. */
  news: Bell;
}

export interface SealedCopyShown extends ReleaseId {
  copy: Representation;
}

export interface SealedSources {
  selectNewestAnswer: () => Promise<ReleaseId | undefined>;
  selectSealedPair: (number: number, size: number) => Promise<SealedPair | undefined>;
  log: Logger;
}

/** A new copy is written at most once a second and comes with a hint; a lost hint costs at most this. */
export const LOOK_MS = 1_000;

const SEALED_TYPE = "application/octet-stream";

export function createSealedSource({ selectNewestAnswer, selectSealedPair, log }: SealedSources): SealedSource {
  let looked = false;
  let shown: SealedCopyShown | undefined;
  const news = createBell();

  const find = async ({ number, size }: ReleaseId) => {
    if (shown?.number === number && shown.size === size) return shown.copy;
    const pair = await selectSealedPair(number, size);
    return pair && plain(SEALED_TYPE, encodeSealedCopy(pair));
  };

  const look = async () => {
    const newest = await selectNewestAnswer();
    if (newest !== undefined && (newest.number !== shown?.number || newest.size !== shown.size)) {
      const copy = await find(newest);
      if (copy !== undefined) shown = { ...newest, copy };
      news.ring();
    }
    looked = true;
  };

  return {
    async round() {
      await look().catch((error: unknown) => log.warn({ err: error }, "the look for a sealed release failed"));
      return LOOK_MS;
    },
    latest() {
      if (!looked) throw new Problem("service.unavailable", { retryAfterSeconds: 1 });
      return shown;
    },
    find,
    news,
  };
}

export interface SealedRoutes {
  source: SealedSource;
  readToken: ReadPullToken;
  /** ms since 1970: a token says from when to when it holds. */
  wallNow: () => number;
  /** Milliseconds, always forward. */
  now: () => number;
  metrics: Metrics;
}

/** The Parliament's few clients, behind one address; a signature is verified for each request. */
export const PULLS_PER_ADDRESS: Rate = { perSecond: 10, burst: 50 };
/** Requests that wait for a newer copy; beyond it they are answered at once. */
export const MAX_HELD = 64;

/** It moves on; and nobody else may keep it for anyone. */
const OWN: Caching = { cacheControl: "private, no-cache" };
/** What was sealed once of a number and a size never changes. */
const FOR_EVER: Caching = { cacheControl: "private, max-age=31536000, immutable" };

const SEALED = "/v1/sealed";
const CHALLENGE = { "www-authenticate": 'Bearer realm="sealed"' };

/** `/v1/sealed/latest` and `/v1/sealed/<number>/<size>`: whoever has no token that holds learns of no path whether anything is at it. */
export function addSealed(app: App, { source, readToken, wallNow, now, metrics }: SealedRoutes): void {
  const pulled = metrics.counter(
    "release_sealed_pulls_total",
    "Sealed releases that were asked for with a token that holds.",
  );
  const refused = metrics.counter("release_pull_tokens_refused_total", "Requests for a sealed release without one.");
  const ofAddress = createBuckets(PULLS_PER_ADDRESS);
  app.use(`${SEALED}/*`, async (c, next) => {
    const waitSeconds = ofAddress.take(addressName(remoteAddress(c)), now());
    if (waitSeconds !== undefined) throw new Problem("rate.exceeded", { retryAfterSeconds: waitSeconds });
    if ((await readToken(c.req.header("authorization"), wallNow())) === undefined) {
      refused.inc();
      throw new Problem("pull.unauthorized", { headers: CHALLENGE });
    }
    pulled.inc();
    await next();
  });
  const hold = createHold(source.news, MAX_HELD);
  app.get(`${SEALED}/latest`, async (c) => {
    const tag = c.req.header("if-none-match");
    const waited = tag !== undefined && (await hold(c, () => matches(tag, source.latest()?.copy.sha256 ?? "")));
    const shown = source.latest();
    if (shown === undefined) throw new Problem("sealed.unknown");
    const contentLocation = `${SEALED}/${shown.number}/${shown.size}`;
    if (waited) c.header("preference-applied", "wait");
    return respond(c, shown.copy, { ...OWN, contentLocation });
  });
  app.get(`${SEALED}/:number/:size`, async (c) => {
    const id = idOf(c.req.param("number"), c.req.param("size"));
    const copy = id && (await found(source, id));
    if (copy === undefined) throw new Problem("sealed.unknown");
    return respond(c, copy, FOR_EVER);
  });
}

function idOf(number: string, size: string): ReleaseId | undefined {
  const isId = /^[1-9]\d{0,8}$/.test(number) && /^[1-9]\d{0,11}$/.test(size);
  return isId ? { number: Number(number), size: Number(size) } : undefined;
}

async function found(source: SealedSource, id: ReleaseId): Promise<Representation | undefined> {
  try {
    return await source.find(id);
  } catch (error) {
    throw new Problem("service.unavailable", { retryAfterSeconds: 1, cause: error });
  }
}

const COPY = given(
  "Header (`scrutin-sealed-1`, then number and size as uint64, the lengths of the two as uint32, all big-endian), what tabulate sealed, what recount sealed. As long whatever was counted.",
  bytes(SEALED_TYPE),
);
const UNAUTHORIZED = refused(
  "401",
  "No token of the Parliament that holds now; the same for every reason, and for every path below /v1/sealed.",
);
const SECURITY = [{ parliament: [] }];

/** For the OpenAPI document. */
export const SEALED_PATHS = {
  [`${SEALED}/latest`]: get({
    id: "latestSealed",
    tag: "Sealed",
    summary: "The newest release as it lies sealed, for the Parliament, before the lift and after it.",
    security: SECURITY,
    parameters: [
      header("If-None-Match", "The copy that the client has."),
      header(
        "Prefer",
        "`wait=N`, at most 30: with If-None-Match the answer is held until there is a newer copy, or the time is over.",
      ),
    ],
    responses: [COPY, UNAUTHORIZED, UNKNOWN, HELD],
  }),
  [`${SEALED}/{number}/{size}`]: get({
    id: "sealedByNumberAndSize",
    tag: "Sealed",
    summary:
      "One sealed release for ever: the key of its number and size, which the list and the stream tell, opens it.",
    security: SECURITY,
    parameters: [
      inPath("number", "^[1-9][0-9]{0,8}$", "The release's number.", "1"),
      inPath("size", "^[1-9][0-9]{0,11}$", "Entries of the log that it counts.", "1"),
    ],
    responses: [COPY, UNAUTHORIZED, UNKNOWN, HELD],
  }),
};

/** The `parliament` of `components.securitySchemes`. */
export const PARLIAMENT_SECURITY = {
  type: "http",
  scheme: "bearer",
  bearerFormat:
    "JWS (EdDSA, typ scrutin-pull+jws, at most an hour) by a key of the definition's publication.parliament",
} as const;
