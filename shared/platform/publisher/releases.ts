import { createHash } from "node:crypto";
import { z } from "zod";
import type { Release } from "../../formats/release.ts";
import { releaseCsv } from "../../formats/release-csv.ts";
import { releaseSignatureHolds } from "../release-seal.ts";
import { keysOfRole } from "../vault-keys.ts";
import type { Client } from "./client.ts";
import type { TrustedDefinition } from "./definition.ts";
import { Discrepancy } from "./discrepancy.ts";

/** The releases as they are served: the list, each document with its CSV, and both signatures over the document's bytes. */

export const Listed = z.strictObject({
  number: z.number().int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  size: z.number().int().min(1),
  asOf: z.string(),
  status: z.string(),
  /** Opens the sealed copy of this number and size. */
  key: z.string().regex(/^[0-9a-f]{64}$/),
  url: z.string(),
});
export type Listed = z.infer<typeof Listed>;

const List = z.strictObject({
  mode: z.string(),
  election: z.string(),
  definition: z.string(),
  releases: z.array(z.unknown()),
});

const Part = z.strictObject({ protected: z.string(), signature: z.string() });
/** Of `tabulate` and of `recount`: a general JWS with its payload detached (RFC 7515, 7.2.1 and appendix F). */
const Signatures = z.strictObject({ signatures: z.tuple([Part, Part]) });

/** A release that was fetched: its bytes are those of the list, and both counts have signed them. Nothing vouches for the CSVs yet. */
export interface ServedRelease extends Listed {
  path: string;
  bytes: Buffer;
  csvs: ServedCsv[];
}

export interface ServedCsv {
  path: string;
  bytes: Uint8Array;
}

export const RELEASES = "/v1/releases";
export const releaseAddress = (name: number | "latest") => `${RELEASES}/${name}`;
/** As CSV a release has an address of its own; and it is given at the document's to whoever would rather have it so. */
export const csvAddresses = (name: number | "latest") => [
  { path: `${releaseAddress(name)}.csv`, accept: "*/*" },
  { path: releaseAddress(name), accept: "text/csv" },
];
export const signaturesAddress = (name: number | "latest") => `${releaseAddress(name)}/signatures`;

/** 200 bytes a release, of which there is one a second at most: twelve hours of them. */
const MAX_LIST_BYTES = 8 * 1024 * 1024;
/** The Union of 2024 is 50 kB, in either form. */
export const MAX_RELEASE_BYTES = 16 * 1024 * 1024;
export const MAX_SIGNATURES_BYTES = 16 * 1024;

/** What is served: undefined before the lift, while every address below /v1/releases answers that it is too early. */
export async function takeList(client: Client, trusted: TrustedDefinition): Promise<Listed[] | undefined> {
  const { status, body, problem } = await client.get(RELEASES, MAX_LIST_BYTES);
  if (status === 403 && problem === "embargo.in-force") return undefined;
  const wrong = (what: string) => new Discrepancy("release.list", { path: RELEASES }, what);
  const isServed = status === 200 && body.length <= MAX_LIST_BYTES && !isCrowded(body);
  const list = isServed ? List.safeParse(jsonAsWritten(body)) : undefined;
  if (!list?.success) throw wrong(`${RELEASES} is no list of releases (status ${status}).`);
  const { mode, election, definition, releases } = list.data;
  if (definition !== trusted.hash) throw wrong(`${RELEASES} lists releases of another definition, ${definition}.`);
  if (mode !== trusted.definition.mode || election !== trusted.definition.election)
    throw wrong(`${RELEASES} lists releases of ${election} (${mode}), which is not the election of its definition.`);
  const rows: Listed[] = [];
  for (const row of releases) rows.push(readRow(row, rows.at(-1)));
  return rows;
}

/** Whether there is more to be made of this JSON than of a list of the same length: a value takes far more memory than its brackets do. */
function isCrowded(json: Uint8Array): boolean {
  let marks = 0;
  for (const byte of json) if (byte === COMMA || byte === BRACKET || byte === BRACE) marks++;
  return marks * BYTES_A_MARK > json.length;
}

const [COMMA, BRACKET, BRACE] = [0x2c, 0x5b, 0x7b];
/** A row has seven of them in 180 bytes. */
const BYTES_A_MARK = 16;

/** The next row of the list. Throws Discrepancy at the first that is wrong. */
function readRow(row: unknown, before: Listed | undefined): Listed {
  const wanted = (before?.number ?? 0) + 1;
  const wrong = (what: string) => new Discrepancy("release.list", { path: RELEASES }, what);
  const read = Listed.safeParse(row);
  if (!read.success) throw wrong(`What ${RELEASES} has in the place of release ${wanted} is no release.`);
  const { number, size, url } = read.data;
  if (number !== wanted)
    throw new Discrepancy(
      "release.hidden",
      { path: RELEASES },
      `Release ${wanted} is not in the list: ${number} stands in its place.`,
    );
  const sizeBefore = before?.size ?? 0;
  if (size <= sizeBefore)
    throw wrong(`Release ${number} is of ${size} entries, and the one before it of ${sizeBefore}.`);
  if (url !== releaseAddress(number)) throw wrong(`${RELEASES} sends whoever looks for release ${number} to ${url}.`);
  return read.data;
}

/** A release's document and the signatures over it: both counts have signed these bytes, which are those of the list. */
export interface SignedDocument {
  bytes: Buffer;
  signatures: Buffer;
}

/** Fetches one release and checks hash and signatures. Throws Discrepancy. */
export async function takeDocument(
  client: Client,
  listed: Listed,
  trusted: TrustedDefinition,
): Promise<SignedDocument> {
  const { number } = listed;
  const path = releaseAddress(number);
  const [bytes, signatures] = await Promise.all([
    take(client, path, MAX_RELEASE_BYTES),
    take(client, signaturesAddress(number), MAX_SIGNATURES_BYTES),
  ]);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== listed.sha256)
    throw new Discrepancy(
      "release.bytes",
      { path },
      `${path} has the SHA-256 ${sha256}; the list says ${listed.sha256}.`,
    );
  const unsigned = whyUnsigned(bytes, signatures, trusted);
  if (unsigned !== undefined)
    throw new Discrepancy("release.signature", { path: signaturesAddress(number) }, `Release ${number}: ${unsigned}.`);
  return { bytes, signatures };
}

/** The same with its CSVs. */
export async function takeRelease(client: Client, listed: Listed, trusted: TrustedDefinition): Promise<ServedRelease> {
  const { number } = listed;
  const path = releaseAddress(number);
  const takeCsv = async ({ path, accept }: { path: string; accept: string }) => {
    return { path, bytes: await take(client, path, MAX_RELEASE_BYTES, accept) };
  };
  const [{ bytes }, ...csvs] = await Promise.all([
    takeDocument(client, listed, trusted),
    ...csvAddresses(number).map(takeCsv),
  ]);
  return { ...listed, path, bytes, csvs };
}

async function take(client: Client, path: string, maxBytes: number, accept?: string): Promise<Buffer> {
  const { status, body } = await client.get(path, maxBytes, accept);
  if (status === 200) return body;
  throw new Discrepancy("release.missing", { path }, `${path} is answered with status ${status}.`);
}

/** Undefined if both counts have signed these bytes, and nothing else stands beside their signatures; otherwise what is wrong, in words. */
export function whyUnsigned(bytes: Uint8Array, signatures: Uint8Array, trusted: TrustedDefinition): string | undefined {
  const read = Signatures.safeParse(jsonAsWritten(signatures));
  if (!read.success) return "what is served beside it is not two signatures";
  const signed = read.data.signatures.map(({ protected: header, signature }) => `${header}..${signature}`);
  for (const role of ["tabulate", "recount"] as const)
    if (!signedBy(trusted, role, bytes, signed)) return `no key of ${role} has signed it`;
  return undefined;
}

function signedBy(
  { definition }: TrustedDefinition,
  role: "tabulate" | "recount",
  bytes: Uint8Array,
  signed: readonly string[],
): boolean {
  const keys = [...keysOfRole(definition, role)];
  return signed.some((compact) => keys.some(([kid, key]) => releaseSignatureHolds(kid, key, bytes, compact)));
}

/** JSON as `JSON.stringify` writes it: nothing between its tokens, no name twice. Undefined for anything else. */
function jsonAsWritten(bytes: Uint8Array): unknown {
  const text = Buffer.from(bytes).toString("utf8");
  try {
    const value: unknown = JSON.parse(text);
    return JSON.stringify(value) === text ? value : undefined;
  } catch {
    return undefined; // the shape that is asked for is not there either
  }
}

/** The first CSV that is not the one that its release's document gives, and where it parts from it, as a sentence; undefined if all are. */
export function wrongCsv(csvs: readonly ServedCsv[], document: Uint8Array): { path: string; what: string } | undefined {
  const ours = csvOf(document);
  for (const { path, bytes } of csvs) {
    if (ours === undefined) return { path, what: `What is served as CSV at ${path} belongs to no release.` };
    if (Buffer.compare(bytes, ours) === 0) continue;
    const at = ours.findIndex((byte, n) => byte !== bytes[n]);
    const same = at < 0 ? ours : ours.subarray(0, at);
    const line = same.reduce((lines, byte) => lines + (byte === LINE_FEED ? 1 : 0), 1);
    return { path, what: `What is served as CSV at ${path} parts from the release's document in line ${line}.` };
  }
  return undefined;
}

const LINE_FEED = 0x0a;

/** Undefined for what is no release: of states that are withheld now, nothing but the counts' signatures vouches for an older one. */
function csvOf(document: Uint8Array): Buffer | undefined {
  try {
    return Buffer.from(releaseCsv(JSON.parse(Buffer.from(document).toString("utf8")) as Release), "utf8");
  } catch {
    return undefined; // then the served one cannot be its CSV
  }
}
