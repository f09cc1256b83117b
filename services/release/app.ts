import type { Context } from "hono";
import type { Logger } from "pino";
import type { Register } from "../../shared/definition/register.ts";
import { answersWithin } from "../../shared/platform/answers.ts";
import { addressName } from "../../shared/platform/bounds.ts";
import { type App, createApp, type Env, Problem, remoteAddress } from "../../shared/platform/http.ts";
import type { Metrics } from "../../shared/platform/metrics.ts";
import { addApi } from "./api/serve.ts";
import { addViews } from "./api/views.ts";
import { addDelivery, type DeliveryRoutes } from "./delivery.ts";
import { embargo, isEmbargoed, onlyRead, READ } from "./embargo.ts";
import { addFiles, type FileRoutes } from "./files.ts";
import { addLimits, createReads, type TakeRead } from "./limits.ts";
import { addLog, type LogRoutes } from "./log-routes.ts";
import { addOpened, type Opening } from "./opening.ts";
import { frontPage } from "./page.ts";
import { createProbing } from "./probing.ts";
import { answerPreflights, READABLE } from "./reading.ts";
import {
  type Caching,
  JSON_TYPE,
  matches,
  prefersCsv,
  prepare,
  type Representation,
  respond,
} from "./representation.ts";
import { addSealed, type SealedRoutes } from "./sealed.ts";
import type { Shelf, Shown } from "./shelf.ts";
import { addStream, type ReleaseStream } from "./stream.ts";
import { addVerifyPage } from "./verify/serve.ts";
import { createHold } from "./wait.ts";

/** What the app asks of the rest. */
export interface ReleaseDeps extends LogRoutes {
  log: Logger;
  metrics: Metrics;
  register: Register;
  /** The definition's exact bytes, and the detached JWS over them. */
  bytes: Uint8Array;
  signatures: unknown;
  shelf: Pick<Shelf, "list" | "latest" | "find">;
  opening: Opening;
  stream: Pick<ReleaseStream, "open" | "news">;
  /** Undefined: the definition names no key of the Parliament. */
  sealed?: Omit<SealedRoutes, "metrics" | "now"> | undefined;
  /** Who fetched what; nobody's unless given. */
  delivery?: DeliveryRoutes;
  signFile?: FileRoutes["signFile"];
  /** Shared with whatever answers beside the app. */
  takeRead?: TakeRead;
  /** Told of an address that has asked in many ways for what is under embargo. */
  probed?: (address: string, ways: number) => void;
  /** Whole seconds from 1 to 5, drawn anew each time: whoever is refused comes back at a time that says nothing. */
  retrySeconds: () => number;
  status: () => { looked: boolean; broken: boolean };
  /** Rejects or hangs when NATS is away. */
  pingNats: () => Promise<unknown>;
}

/** A numbered release never changes. */
const FOR_EVER: Caching = { cacheControl: "public, max-age=31536000, immutable" };
/** A new release comes at most once a second. */
const A_SECOND: Caching = { cacheControl: "public, max-age=1" };
const DEFINITION: Caching = { cacheControl: "public, max-age=300" };

const PING_MS = 1_000;

const RESULTS = "/v1/releases";
/** Requests that wait for the next release; beyond it they are answered at once. */
const MAX_HELD = 8_000;

/** The Parliament's publication endpoint. */
export async function buildApp(deps: ReleaseDeps): Promise<App> {
  const { log, metrics, register, shelf, status, publicLog, pingNats } = deps;
  const served = metrics.gauge("release_latest_number", "Number of the last release served; 0 before the lift.");
  Object.assign(served, { collect: () => served.set(shelf.list().length) });
  const entries = metrics.gauge("release_log_size", "Entries of the log that are served.");
  Object.assign(entries, { collect: () => entries.set(publicLog.size()) });
  const app = createApp({
    service: "release",
    log,
    metrics,
    headers: { "Scrutin-Mode": register.definition.mode, ...READABLE },
    ready: async () => {
      const { looked, broken } = status();
      const nats = await answersWithin(PING_MS, pingNats());
      const ofLog = publicLog.status();
      const checks = { database: looked && ofLog.looked, nats, chain: !broken, log: !ofLog.broken };
      return { ok: Object.values(checks).every(Boolean), checks };
    },
    readyDetail: () => ({ latest: shelf.list().length, log: publicLog.size() }),
  });
  answerPreflights(app);
  addLimits(app, deps.takeRead ?? createReads(deps.now));
  const hold = createHold(deps.stream.news, MAX_HELD);
  const isShut = () => shelf.latest() === undefined;
  const probing = createProbing(deps.now);
  // Asked of the path as the router sees it, for every method and suffix: nothing below tells what exists.
  app.use("*", async (c, next) => {
    const { method, path } = c.req;
    if (isShut() && isEmbargoed(method, path)) {
      if (AWAITED.has(path)) await hold(c, isShut);
      if (isShut()) {
        const address = addressName(remoteAddress(c));
        const ways = probing.refused(address, method, path);
        if (ways !== undefined) deps.probed?.(address, ways);
        throw READ.has(method) ? embargo(deps.retrySeconds) : onlyRead();
      }
    }
    await next();
  });
  if (deps.delivery !== undefined) addDelivery(app, deps.delivery);
  addReleases(app, deps, hold);
  addStream(app, deps.stream);
  addViews(app, deps);
  addFiles(app, { definition: register.definition, shelf, signFile: deps.signFile });
  await addDefinition(app, deps);
  addLog(app, deps);
  addOpened(app, deps.opening);
  if (deps.sealed !== undefined) addSealed(app, { ...deps.sealed, metrics, now: deps.now });
  await addVerifyPage(app, register);
  await addApi(app, register);
  app.get("/", (c) => {
    const { document, policy } = frontPage(register, shelf.latest());
    return c.html(document, 200, { "content-security-policy": policy });
  });
  return app;
}

/** Where a client may wait for the next release, and before the lift for the first. */
const AWAITED: ReadonlySet<string> = new Set([RESULTS, `${RESULTS}/latest`, `${RESULTS}/latest.csv`]);

function addReleases(app: App, { register, shelf }: ReleaseDeps, hold: ReturnType<typeof createHold>): void {
  let listing: { length: number; made: Promise<Representation> } | undefined;
  const listed = (): Promise<Representation> => {
    const releases = shelf.list();
    if (listing?.length !== releases.length)
      listing = { length: releases.length, made: prepare(JSON_TYPE, listOf(register, releases)) };
    return listing.made;
  };
  /** `found` is what there is now: whoever has it already and asks to wait for the next one, waits. */
  const newest = async (c: Context<Env>, found: Representation): Promise<boolean> => {
    const { length } = shelf.list();
    if (!matches(c.req.header("if-none-match"), found.sha256)) return false;
    const waited = await hold(c, () => shelf.list().length === length);
    if (waited) c.header("preference-applied", "wait");
    return waited;
  };
  app.get(RESULTS, async (c) => {
    const found = await listed();
    return respond(c, (await newest(c, found)) ? await listed() : found, A_SECOND);
  });
  app.get(`${RESULTS}/:name`, async (c) => {
    const name = c.req.param("name");
    const inCsv = prefersCsv(c.req.header("accept"));
    const find = async () => {
      const { shown, csv, caching } = await asked(shelf, name);
      return { found: csv || inCsv ? shown.csv : shown.json, caching };
    };
    const now = await find();
    const waited = AWAITED.has(c.req.path) && (await newest(c, now.found));
    const { found, caching } = waited ? await find() : now;
    return respond(c, found, caching);
  });
  app.get(`${RESULTS}/:name/signatures`, async (c) => {
    const { shown, csv, caching } = await asked(shelf, c.req.param("name"));
    if (csv) throw new Problem("release.unknown", { detail: "Signatures are over the JSON document." });
    return respond(c, shown.signatures, caching.contentLocation ? at(caching, "/signatures") : caching);
  });
}

const at = (caching: Caching, suffix: string): Caching => ({
  ...caching,
  contentLocation: `${caching.contentLocation}${suffix}`,
});

function listOf({ definition, hash }: Register, releases: ReturnType<Shelf["list"]>): string {
  const { mode, election } = definition;
  const listed = releases.map((release) => ({ ...release, url: `${RESULTS}/${release.number}` }));
  return JSON.stringify({ mode, election, definition: hash, releases: listed });
}

interface Asked {
  shown: Shown;
  /** The address itself asks for CSV. */
  csv: boolean;
  caching: Caching;
}

/** `name` is `latest` or a number, with or without `.csv`. Throws Problem `release.unknown` for anything else. */
async function asked(shelf: ReleaseDeps["shelf"], name: string): Promise<Asked> {
  const [, which, suffix] = /^(latest|[1-9]\d{0,8})(\.csv)?$/.exec(name) ?? [];
  const shown = which === "latest" ? shelf.latest() : which && (await shelf.find(Number(which)));
  if (!shown) throw new Problem("release.unknown");
  const contentLocation = `${RESULTS}/${shown.listed.number}${suffix ?? ""}`;
  const caching = which === "latest" ? { ...A_SECOND, contentLocation } : FOR_EVER;
  return { shown, csv: suffix !== undefined, caching };
}

/** The definition holds no figures: it is public before the lift. */
async function addDefinition(app: App, { bytes, signatures }: ReleaseDeps): Promise<void> {
  const [document, signed] = await Promise.all([
    prepare(JSON_TYPE, bytes),
    prepare("application/jose+json", JSON.stringify(signatures)),
  ]);
  const give = (what: Representation) => (c: Context<Env>) => respond(c, what, DEFINITION);
  app.get("/v1/definition", give(document));
  app.get("/v1/definition/signatures", give(signed));
}
