import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { App } from "../../shared/platform/http.ts";
import type { Metrics } from "../../shared/platform/metrics.ts";
import { bestCoding, matches, prefersCsv, type Representation } from "./representation.ts";
import type { Shelf, Shown } from "./shelf.ts";

/**
 * The answers that everyone asks for every second, kept as the app gave them and sent again without asking it: of the newest release, or the
 * refusal while there is none, and to plain questions only. Whatever else a request says is the app's.
 */
export interface Polls {
  /** True if the request was answered. */
  answer(incoming: IncomingMessage, outgoing: ServerResponse): boolean;
}

const POLLED: ReadonlySet<string> = new Set(["/v1/releases", "/v1/releases/latest", "/v1/releases/latest.csv"]);
const KNOWN = 256;

interface Kept {
  status: number;
  headers: string[];
  body: Buffer;
}

export interface PollSources {
  app: App;
  shelf: Pick<Shelf, "latest">;
  /** Takes from what this address may ask; false when it has used that up. */
  mayAsk: (address: string) => boolean;
  /** When to come back while there is nothing, drawn anew for each. */
  retrySeconds: () => number;
  metrics: Metrics;
}

export function createPolls({ app, shelf, mayAsk, retrySeconds, metrics }: PollSources): Polls {
  const answered = metrics.counter(
    "release_polls_total",
    "Polls for the newest release that were answered from memory, beside http_requests_total.",
    ["status"],
  );
  const counts = new Map([200, 304, 403].map((status) => [status, 0]));
  Object.assign(answered, {
    collect: () => {
      for (const [status, count] of counts) answered.inc({ status }, count);
      for (const status of counts.keys()) counts.set(status, 0);
    },
  });
  let of: Shown | undefined;
  let kept = new Map<string, Kept | "asked">();
  /** By the very headers: clients send the same few, again and again. */
  const known = new Map<string, Kept>();

  const keep = async (key: string, path: string, headers: Record<string, string>, shown: Shown | undefined) => {
    const answer = await app.request(path, { headers });
    const body = Buffer.from(await answer.arrayBuffer());
    if (of !== shown) return;
    if (answer.status === (shown === undefined ? 403 : 200) || answer.status === 304)
      kept.set(key, { status: answer.status, headers: headersOf(answer, body), body });
    else kept.delete(key);
  };

  /** By what the headers mean, however they say it. Undefined, and asked of the app, for what is not there yet. */
  const find = ({ url = "", headers }: IncomingMessage, shown: Shown | undefined): Kept | undefined => {
    const coding = bestCoding(headers["accept-encoding"] as string | undefined);
    const accept = prefersCsv(headers.accept) ? "text/csv" : "*/*";
    const tag = headers["if-none-match"];
    const has = tag !== undefined && shown !== undefined && holds(url, accept, tag, shown);
    // The list has a hash that only the app knows.
    if (tag !== undefined && shown !== undefined && !has) return undefined;
    const key = `${url} ${coding} ${accept} ${has}`;
    const found = kept.get(key);
    if (found !== undefined) return found === "asked" ? undefined : found;
    kept.set(key, "asked");
    const asked = { accept, "accept-encoding": coding, ...(has && { "if-none-match": tag as string }) };
    keep(key, url, asked, shown).catch(() => kept.delete(key)); // the app answers this one, and says what is wrong
    return undefined;
  };

  return {
    answer(incoming, outgoing) {
      const { method, url = "", headers } = incoming;
      if (method !== "GET" || !POLLED.has(url) || hasOwnWish(headers)) return false;
      const shown = shelf.latest();
      if (of !== shown) {
        of = shown;
        kept = new Map();
        known.clear();
      }
      const said = [url, headers["accept-encoding"], headers.accept, headers["if-none-match"]].join("\n");
      const found = known.get(said) ?? find(incoming, shown);
      if (found === undefined || !mayAsk(incoming.socket.remoteAddress ?? "unknown")) return false;
      if (known.size < KNOWN) known.set(said, found);
      outgoing.writeHead(found.status, shown === undefined ? comeBack(found.headers, retrySeconds()) : found.headers);
      outgoing.end(found.status === 304 ? undefined : found.body);
      counts.set(found.status, (counts.get(found.status) ?? 0) + 1);
      return true;
    },
  };
}

/** Names and values in turn, as Node takes them; with the length that Node would add, spelt as it does: both ways look the same from outside. */
function headersOf({ headers }: Response, body: Buffer): string[] {
  const own = [...headers].flat();
  if (body.length > 0 && !headers.has("content-length")) own.push("Content-Length", String(body.length));
  return own;
}

function comeBack(headers: readonly string[], seconds: number): string[] {
  const drawn = [...headers];
  drawn[drawn.indexOf("retry-after") + 1] = String(seconds);
  return drawn;
}

/** Who asks with one of these wants something else than what there is, or is noted. */
function hasOwnWish(headers: IncomingHttpHeaders): boolean {
  return (
    headers.authorization !== undefined ||
    headers.prefer !== undefined ||
    headers.range !== undefined ||
    headers["content-length"] !== undefined ||
    headers["transfer-encoding"] !== undefined ||
    headers.expect !== undefined
  );
}

function holds(url: string, accept: string, tag: string, { json, csv }: Shown): boolean {
  if (url === "/v1/releases") return false;
  const document: Representation = url.endsWith(".csv") || accept === "text/csv" ? csv : json;
  return matches(tag, document.sha256);
}
