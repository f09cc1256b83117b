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
  const codingOf = remembered(bestCoding);
  const isCsv = remembered(prefersCsv);

  const keep = async (key: string, path: string, headers: Record<string, string>, shown: Shown | undefined) => {
    const answer = await app.request(path, { headers });
    const body = Buffer.from(await answer.arrayBuffer());
    if (of !== shown) return;
    if (answer.status === (shown === undefined ? 403 : 200) || answer.status === 304)
      kept.set(key, { status: answer.status, headers: headersOf(answer, body), body });
    else kept.delete(key);
  };

  return {
    answer(incoming, outgoing) {
      const { method, url = "", headers } = incoming;
      if (method !== "GET" || !POLLED.has(url) || hasOwnWish(headers)) return false;
      const shown = shelf.latest();
      if (of !== shown) {
        of = shown;
        kept = new Map();
      }
      const coding = codingOf(headers["accept-encoding"] as string | undefined);
      const accept = isCsv(headers.accept) ? "text/csv" : "*/*";
      const tag = headers["if-none-match"];
      const has = tag !== undefined && shown !== undefined && holds(url, accept, tag, shown);
      // The list has a hash that only the app knows.
      if (tag !== undefined && shown !== undefined && !has) return false;
      const key = `${url} ${coding} ${accept} ${has}`;
      const found = kept.get(key);
      if (found === undefined) {
        kept.set(key, "asked");
        const asked = { accept, "accept-encoding": coding, ...(has && { "if-none-match": tag as string }) };
        keep(key, url, asked, shown).catch(() => kept.delete(key)); // the app answers this one, and says what is wrong
        return false;
      }
      if (found === "asked" || !mayAsk(incoming.socket.remoteAddress ?? "unknown")) return false;
      outgoing.writeHead(found.status, shown === undefined ? comeBack(found.headers, retrySeconds()) : found.headers);
      outgoing.end(found.status === 304 ? undefined : found.body);
      counts.set(found.status, (counts.get(found.status) ?? 0) + 1);
      return true;
    },
  };
}

/** Names and values in turn, as Node takes them; with the length that the server would add to a body that has none. */
function headersOf({ headers }: Response, body: Buffer): string[] {
  const own = [...headers].flat();
  if (body.length > 0 && !headers.has("content-length")) own.push("content-length", String(body.length));
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

/** Clients send the same few headers; what is beyond them is read each time. */
const REMEMBERED = 64;

function remembered<T>(read: (header: string | undefined) => T): (header: string | undefined) => T {
  const known = new Map<string | undefined, T>();
  return (header) => {
    const found = known.get(header);
    if (found !== undefined) return found;
    const made = read(header);
    if (known.size < REMEMBERED) known.set(header, made);
    return made;
  };
}
