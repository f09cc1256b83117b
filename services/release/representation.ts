import { createHash } from "node:crypto";
import { promisify } from "node:util";
import { brotliCompress, gzip, constants as zlib } from "node:zlib";
import type { Context } from "hono";
import { type Env, Problem } from "../../shared/platform/http.ts";

/** Prepared once, sent often: a document with its content codings and the hash that its ETags are made of. */
export interface Representation {
  type: string;
  /** Hex SHA-256 of the document without a coding. */
  sha256: string;
  identity: Uint8Array<ArrayBuffer>;
  /** Absent from what is not worth compressing. */
  gzip?: Uint8Array<ArrayBuffer>;
  br?: Uint8Array<ArrayBuffer>;
}

export const JSON_TYPE = "application/json";
export const CSV_TYPE = "text/csv; charset=utf-8; header=present";

type Coding = "identity" | "gzip" | "br";

/** A release a second: a better quality costs ten times as long for a tenth less. */
const BROTLI = { params: { [zlib.BROTLI_PARAM_QUALITY]: 5 } };

const packGzip = promisify(gzip);
const packBrotli = promisify<Uint8Array, object, Uint8Array>(brotliCompress);

/** Hashes and short texts: sent as they are. */
export function plain(type: string, document: Uint8Array | string): Representation {
  const identity = new Uint8Array(typeof document === "string" ? Buffer.from(document, "utf8") : document);
  return { type, sha256: createHash("sha256").update(identity).digest("hex"), identity };
}

export function prepare(type: string, document: Uint8Array | string): Promise<Required<Representation>> {
  return pack(plain(type, document));
}

/** The same document, with its content codings. */
export async function pack(bare: Representation): Promise<Required<Representation>> {
  const [gz, br] = await Promise.all([packGzip(bare.identity), packBrotli(bare.identity, BROTLI)]);
  return { ...bare, gzip: new Uint8Array(gz), br: new Uint8Array(br) };
}

export interface Caching {
  cacheControl: string;
  /** Where this very content stays for ever, if not here (RFC 9110, 8.7). */
  contentLocation?: string;
}

/**
 * Answers a GET or HEAD: 200 with the best coding that the client takes, or 304 when it has it. ETags are strong, so each
 * coding has its own (RFC 9110, 8.8.3.3): the document's SHA-256, and the same with `-gzip` or `-br`.
 */
export function respond(c: Context<Env>, { type, sha256, ...bodies }: Representation, caching: Caching): Response {
  const best = bestCoding(c.req.header("accept-encoding"));
  const coding = bodies[best] === undefined ? "identity" : best;
  const headers: Record<string, string> = {
    etag: tagOf(sha256, coding),
    "cache-control": caching.cacheControl,
    vary: "Accept, Accept-Encoding",
    ...(caching.contentLocation === undefined ? {} : { "content-location": caching.contentLocation }),
  };
  if (matches(c.req.header("if-none-match"), sha256)) return c.body(null, 304, headers);
  const range = askedRange(c, bodies.identity.length, sha256);
  if (range !== undefined) return part(c, range, { type, sha256, identity: bodies.identity }, headers);
  headers["accept-ranges"] = "bytes";
  const body = bodies[coding] ?? bodies.identity;
  headers["content-type"] = type;
  headers["content-length"] = String(body.length);
  if (coding !== "identity") headers["content-encoding"] = coding;
  return c.body(body, 200, headers);
}

/**
 * The range that a GET asks for and may have: of the document without a coding, so that what was cut off goes on whichever coding a client
 * would take. Throws Problem `request.range` for bytes that are not there.
 */
function askedRange(c: Context<Env>, length: number, sha256: string): ByteRange | undefined {
  const ifRange = c.req.header("if-range");
  if (c.req.method !== "GET" || (ifRange !== undefined && ifRange !== tagOf(sha256, "identity"))) return undefined;
  const range = rangeOf(c.req.header("range"), length);
  if (range !== "unsatisfiable") return range;
  throw new Problem("request.range", { headers: { "content-range": `bytes */${length}` } });
}

function part(c: Context<Env>, { from, to }: ByteRange, whole: Representation, headers: Record<string, string>) {
  const { type, sha256, identity } = whole;
  const body = identity.subarray(from, to + 1);
  return c.body(body, 206, {
    ...headers,
    etag: tagOf(sha256, "identity"),
    "accept-ranges": "bytes",
    "content-type": type,
    "content-length": String(body.length),
    "content-range": `bytes ${from}-${to}/${identity.length}`,
  });
}

export interface ByteRange {
  from: number;
  /** The last byte that belongs to it. */
  to: number;
}

/** One range of bytes (RFC 9110, 14.1.2). Undefined for none, and for what a server may ignore: other units, several ranges, nonsense. */
export function rangeOf(header: string | undefined, length: number): ByteRange | "unsatisfiable" | undefined {
  const [, first = "", last = ""] = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i.exec(header ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const count = Math.min(Number(last), length);
    return count === 0 ? "unsatisfiable" : { from: length - count, to: length - 1 };
  }
  const from = Number(first);
  if (last !== "" && Number(last) < from) return undefined;
  if (from >= length) return "unsatisfiable";
  return { from, to: last === "" ? length - 1 : Math.min(Number(last), length - 1) };
}

const tagOf = (sha256: string, coding: Coding) => (coding === "identity" ? `"${sha256}"` : `"${sha256}-${coding}"`);

/** RFC 9110, 13.1.2. A client that has the content in any coding has it. */
export function matches(ifNoneMatch: string | undefined, sha256: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === "*") return true;
  const held = ifNoneMatch.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return (["identity", "gzip", "br"] as const).some((coding) => held.includes(tagOf(sha256, coding)));
}

/** The weights of a header such as Accept-Encoding or Accept, by lower-case name without parameters (RFC 9110, 12.4.2). */
function weights(header: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const part of header.toLowerCase().split(",")) {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim());
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    if (name !== "" && weight >= 0 && weight <= 1) found.set(name, weight);
  }
  return found;
}

/** Brotli before gzip before none, unless the client weighs them otherwise. */
export function bestCoding(acceptEncoding: string | undefined): Coding {
  if (acceptEncoding === undefined) return "identity";
  const given = weights(acceptEncoding);
  const weightOf = (coding: Coding) => given.get(coding) ?? (coding === "identity" ? 0 : (given.get("*") ?? 0));
  const codings = (["br", "gzip"] as const).filter((coding) => weightOf(coding) > 0);
  const best = codings.sort((a, b) => weightOf(b) - weightOf(a))[0];
  // Whoever weighs "identity" above them has a reason.
  return best === undefined || weightOf("identity") > weightOf(best) ? "identity" : best;
}

/** True if the client would rather have CSV than JSON; without a word on either it gets JSON. */
export function prefersCsv(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const given = weights(accept);
  const any = given.get("*/*") ?? 0;
  const csv = given.get("text/csv") ?? given.get("text/*") ?? any;
  const json = given.get(JSON_TYPE) ?? given.get("application/*") ?? any;
  return csv > json;
}
