import { createHash } from "node:crypto";
import type { Context } from "hono";
import type { Logger } from "pino";
import type { Entry } from "../../shared/ledger/entry.ts";
import { TILE_WIDTH } from "../../shared/ledger/tiles.ts";
import { type App, type Env, Problem } from "../../shared/platform/http.ts";
import { LogBroken } from "../../shared/platform/log-reader.ts";
import { type Bounds, charge, within } from "./bounds.ts";
import { embargo } from "./embargo.ts";
import type { PublicLog } from "./log.ts";
import { type LogEntry, type Opener, opennessOf } from "./opener.ts";
import { type Caching, matches, plain, respond } from "./representation.ts";
import type { Shelf, Shown } from "./shelf.ts";
import type { FoundStatement, SealedJudgement, UsedDataKey } from "./store.ts";

/** What opens: statements one by one, judgements by the 256. Both are public as soon as this process serves a release that counts them. */
export interface OpenRoutes {
  publicLog: PublicLog;
  shelf: Pick<Shelf, "latest">;
  opener: Opener;
  bounds: Bounds;
  /** Whole seconds from 1 to 5, drawn anew each time. */
  retrySeconds: () => number;
  log: Logger;
  findStatement: (sha256: string) => Promise<FoundStatement | undefined>;
  selectJudgements: (from: number, to: number, maxBytes: number) => Promise<SealedJudgement[]>;
  selectDataKeys: (from: number, to: number) => Promise<UsedDataKey[]>;
}

/** Neither a statement nor a judgement ever changes. */
const FOR_EVER: Caching = { cacheControl: "public, max-age=31536000, immutable" };
/** Judgements that are not all there yet, or some of them withheld. */
const A_SECOND: Caching = { cacheControl: "public, max-age=1" };

const NDJSON = "application/x-ndjson";
/** Sealed, opened, and copied once into the answer. */
const COPIES = 3;
/** Judgements opened at once; each is as long as if everything had been found of all its tallies: half a megabyte for 1,000. */
const CHUNK_BYTES = 2 * 1024 * 1024;

const LINE_END = Buffer.from("\n");
const NULL_LINE = Buffer.from("null\n");

export function addStatements(app: App, deps: OpenRoutes): void {
  app.get("/statements/:sha256", async (c) => {
    charge(deps.bounds, c);
    const sha256 = c.req.param("sha256");
    const found = await deps.publicLog.guarded(() => findEntry(sha256, deps));
    const shown = deps.shelf.latest();
    if (found === undefined) throw shown === undefined ? embargo(deps.retrySeconds) : new Problem("statement.unknown");
    const openness = opennessOf(found.entry, shown);
    if (openness === "embargo.in-force") throw embargo(deps.retrySeconds);
    if (openness !== "open") throw new Problem(openness);
    return within(deps.bounds, c, COPIES * found.bytes, async () => {
      const bytes = await deps.publicLog.guarded(() => deps.opener.statement(found.entry, found.stored));
      // As the door takes it: the general form begins with a brace.
      const type = bytes[0] === 0x7b ? "application/jose+json" : "application/jose";
      return respond(c, plain(type, bytes), FOR_EVER);
    });
  });
}

/** The verified entry that names a statement; undefined for what is no hash, and for what the log as served does not hold. */
async function findEntry(sha256: string, { findStatement, opener }: OpenRoutes) {
  const found = /^[0-9a-f]{64}$/.test(sha256) ? await findStatement(sha256) : undefined;
  const entry = found && (await opener.entry(found.index, found.body));
  if (found === undefined || entry === undefined) return undefined;
  if (entry.type === "definition" || entry.statement !== sha256)
    throw new LogBroken(`entry ${found.index} is not about the statement that lies beside it`);
  return { ...found, entry };
}

export function addJudgements(app: App, deps: OpenRoutes): void {
  app.get("/log/judgements/:bundle", async (c) => {
    charge(deps.bounds, c);
    const shown = deps.shelf.latest();
    if (shown === undefined) throw embargo(deps.retrySeconds);
    const name = c.req.param("bundle");
    const bundle = /^(0|[1-9]\d{0,11})$/.test(name) ? Number(name) : undefined;
    if (bundle === undefined || bundle * TILE_WIDTH >= shown.listed.size) throw new Problem("log.unknown");
    return judgementsOf(c, bundle, shown, deps);
  });
}

async function judgementsOf(c: Context<Env>, bundle: number, shown: Shown, deps: OpenRoutes): Promise<Response> {
  const { guarded } = deps.publicLog;
  const entries = await guarded(() => releasedEntries(bundle, shown, deps));
  const isNull = entries.map(
    (entry) => entry.type === "definition" || opennessOf(entry, shown) === "statement.withheld",
  );
  const tag = tagOf(entries, isNull);
  const isWhole = entries.length === TILE_WIDTH && isNull.lastIndexOf(true) <= (bundle === 0 ? 0 : -1);
  const caching = isWhole ? FOR_EVER : A_SECOND;
  const headers: Record<string, string> = { etag: `"${tag}"`, "cache-control": caching.cacheControl };
  if (matches(c.req.header("if-none-match"), tag)) return c.body(null, 304, headers);
  const keys = await guarded(() => deps.selectDataKeys(bundle * TILE_WIDTH, bundle * TILE_WIDTH + entries.length));
  const bytes = keys.reduce((sum, key) => sum + key.bytes, 0);
  return within(deps.bounds, c, COPIES * Math.min(bytes, CHUNK_BYTES), async () => {
    await guarded(() => deps.opener.demandKeys(keys.map(({ id }) => id)));
    const chunks = readJudgements(entries, isNull, deps);
    // The first chunk is most often all of it: what is wrong there is answered as such, later it cuts the answer off.
    const { value: first = Buffer.of() } = await guarded(() => chunks.next());
    headers["content-type"] = NDJSON;
    if (c.req.method !== "HEAD") return c.body(bodyOf(c, chunks, first, deps), 200, headers);
    await chunks.return(undefined);
    return c.body(null, 200, headers);
  });
}

/** The verified entries of a bundle that the release counts. */
async function releasedEntries(bundle: number, shown: Shown, { publicLog, opener }: OpenRoutes): Promise<LogEntry[]> {
  const { size, number } = shown.listed;
  await publicLog.reach(size - 1);
  const [from, to] = [bundle * TILE_WIDTH, Math.min(size, (bundle + 1) * TILE_WIDTH)];
  const entries = await opener.entries(from, to);
  if (entries.length < to - from) throw new Error(`the log as served does not reach release ${number} yet`);
  return entries;
}

/** The commitments decide every byte of the answer, so they are its tag. */
function tagOf(entries: readonly LogEntry[], isNull: readonly boolean[]): string {
  const hash = createHash("sha256");
  for (const [n, entry] of entries.entries())
    hash.update(isNull[n] || entry.type === "definition" ? "null\n" : `${entry.judgement}\n`);
  return hash.digest("hex");
}

/** The lines of these entries, some at a time; each has been compared with its entry before it is given. */
async function* readJudgements(
  entries: readonly LogEntry[],
  isNull: readonly boolean[],
  { selectJudgements, opener }: OpenRoutes,
): AsyncGenerator<Buffer, undefined> {
  for (let n = 0; n < entries.length; ) {
    const start = (entries[n] as Entry).index;
    const rows = await selectJudgements(start, start + entries.length - n, CHUNK_BYTES);
    const lines: Uint8Array[] = [];
    const before = n;
    if (start === 0) {
      lines.push(NULL_LINE);
      n++;
    }
    for (const row of rows) {
      const entry = entries[n] as Entry;
      if (row.index !== entry.index) throw new LogBroken(`entry ${entry.index}: its judgement is missing`);
      if (isNull[n++]) lines.push(NULL_LINE);
      else lines.push(await opener.judgement(entry, row), LINE_END);
    }
    if (n === before) throw new LogBroken(`entry ${start}: its judgement is missing`);
    yield Buffer.concat(lines);
  }
  return undefined;
}

/**
 * The chunks as a body, the next one only when the last was taken. What goes wrong after the first cuts the connection off, so that nobody
 * takes a part for the whole.
 */
function bodyOf(
  c: Context<Env>,
  chunks: AsyncGenerator<Buffer, undefined>,
  first: Buffer,
  { publicLog, log }: OpenRoutes,
): ReadableStream<Uint8Array> {
  let ready: Buffer | undefined = first;
  const next = async () => {
    const taken = ready;
    ready = undefined;
    return taken ?? (await publicLog.guarded(() => chunks.next())).value;
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const chunk = await next();
        if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      } catch (error) {
        log.warn({ err: error }, "an answer was cut off");
        const outgoing = c.env?.outgoing;
        if (outgoing === undefined) return controller.error(error);
        outgoing.destroy();
        controller.close();
      }
    },
    cancel: async () => void (await chunks.return(undefined)),
  });
}
