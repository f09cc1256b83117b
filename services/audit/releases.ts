import { createHash } from "node:crypto";
import { z } from "zod";
import { releaseSignatureHolds } from "../../shared/platform/release-seal.ts";
import { keysOfRole } from "../../shared/platform/vault-keys.ts";
import { decodeBase64url } from "../../shared/statement/jws.ts";
import type { TrustedDefinition } from "./definition.ts";
import { Discrepancy } from "./discrepancy.ts";
import type { Client } from "./http.ts";

/** The releases as they are served: the list, each document, and both signatures over its bytes. */

const Listed = z.object({
  number: z.number().int().min(1),
  size: z.number().int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type Listed = z.infer<typeof Listed>;

const List = z.object({ definition: z.string(), releases: z.array(Listed) });

/** A release that was fetched: its bytes are those of the list, and both counts have signed them. */
export interface ServedRelease extends Listed {
  path: string;
  bytes: Buffer;
}

export const RELEASES = "/v1/releases";
export const releaseAddress = (number: number) => `${RELEASES}/${number}`;

const MAX_LIST_BYTES = 64 * 1024 * 1024;
/** The Union of 2024 is 50 kB. */
const MAX_RELEASE_BYTES = 16 * 1024 * 1024;
const MAX_SIGNATURES_BYTES = 16 * 1024;

/** What is served: undefined before the lift, while every address below /v1/releases answers that it is too early. */
export async function takeList(client: Client, trusted: TrustedDefinition): Promise<Listed[] | undefined> {
  const { status, body, problem } = await client.get(RELEASES, MAX_LIST_BYTES);
  if (status === 403 && problem === "embargo.in-force") return undefined;
  const wrong = (what: string) => new Discrepancy("release.list", { path: RELEASES }, what);
  const list = status === 200 ? List.safeParse(jsonOrUndefined(body)) : undefined;
  if (!list?.success) throw wrong(`${RELEASES} is no list of releases (status ${status}).`);
  const { definition, releases } = list.data;
  if (definition !== trusted.hash) throw wrong(`${RELEASES} lists releases of another definition, ${definition}.`);
  for (const [n, { number, size }] of releases.entries()) {
    if (number !== n + 1)
      throw new Discrepancy(
        "release.hidden",
        { path: RELEASES },
        `Release ${n + 1} is not in the list: ${number} stands in its place.`,
      );
    const before = releases[n - 1]?.size ?? 0;
    if (size <= before) throw wrong(`Release ${number} is of ${size} entries, and the one before it of ${before}.`);
  }
  return releases;
}

/** Fetches one release and checks hash and signatures. Throws Discrepancy. */
export async function takeRelease(client: Client, listed: Listed, trusted: TrustedDefinition): Promise<ServedRelease> {
  const path = releaseAddress(listed.number);
  const [document, signatures] = await Promise.all([
    client.get(path, MAX_RELEASE_BYTES),
    client.get(`${path}/signatures`, MAX_SIGNATURES_BYTES),
  ]);
  for (const [address, { status }] of [
    [path, document],
    [`${path}/signatures`, signatures],
  ] as const)
    if (status !== 200)
      throw new Discrepancy("release.missing", { path: address }, `${address} is answered with status ${status}.`);
  const bytes = document.body;
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (sha256 !== listed.sha256)
    throw new Discrepancy(
      "release.bytes",
      { path },
      `${path} has the SHA-256 ${sha256}; the list says ${listed.sha256}.`,
    );
  const signed = detachedSignatures(jsonOrUndefined(signatures.body));
  for (const role of ["tabulate", "recount"] as const)
    if (!signedBy(trusted, role, bytes, signed))
      throw new Discrepancy(
        "release.signature",
        { path: `${path}/signatures` },
        `No key of ${role} has signed release ${listed.number}.`,
      );
  return { ...listed, path, bytes };
}

/** `header..signature` of each part of a general JWS with its payload detached (RFC 7515, 7.2.1 and appendix F). */
function detachedSignatures(document: unknown): { kid: string; compact: string }[] {
  const list = (document as { signatures?: unknown } | null)?.signatures;
  return (Array.isArray(list) ? list : []).flatMap((part: unknown) => {
    const { protected: header, signature } = (part ?? {}) as { protected?: unknown; signature?: unknown };
    if (typeof header !== "string" || typeof signature !== "string") return [];
    const kid = (jsonOrUndefined(decodeBase64url(header)) as { kid?: unknown } | undefined)?.kid;
    return typeof kid === "string" ? [{ kid, compact: `${header}..${signature}` }] : [];
  });
}

function signedBy(
  { definition }: TrustedDefinition,
  role: "tabulate" | "recount",
  bytes: Uint8Array,
  signed: readonly { kid: string; compact: string }[],
): boolean {
  const keys = keysOfRole(definition, role);
  return signed.some(({ kid, compact }) => {
    const key = keys.get(kid);
    return key !== undefined && releaseSignatureHolds(kid, key, bytes, compact);
  });
}

function jsonOrUndefined(bytes: Uint8Array | undefined): unknown {
  try {
    return bytes === undefined ? undefined : JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined; // the shape that is asked for is not there either
  }
}
