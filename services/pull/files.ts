import type { Definition } from "../../shared/definition/schema.ts";
import type { Release } from "../../shared/formats/release.ts";
import type { Client } from "../../shared/platform/publisher/client.ts";
import { Discrepancy, UsageError } from "../../shared/platform/publisher/discrepancy.ts";
import { releaseAddress } from "../../shared/platform/publisher/releases.ts";
import { detachedHolds, FILE_TYP } from "../../shared/statement/detached.ts";
import { importVerifyKey, type VerifyKey } from "../../shared/statement/ed25519.ts";
import { decodeBase64url } from "../../shared/statement/jws.ts";
import type { Taken } from "./document.ts";
import { fileName, type OutFolder } from "./folder.ts";
import type { Options } from "./options.ts";

/** A file as it is made of a release. */
export interface MadeFile {
  name: string;
  text(): string;
}

export type MakeFiles = (release: Release, definition: Definition) => MadeFile[];

export interface FileSources {
  client: Client;
  definition: Definition;
  folder: OutFolder;
  formats: Options["formats"];
  makeFiles: MakeFiles;
}

const MAX_JWS_BYTES = 4 * 1024;

/**
 * Makes the files asked for of a release, here, and writes each with the publisher's signature beside it; `written` is how many were not there yet:
 * what lies in the folder stays. Throws Discrepancy for a file over which there is no such signature, and a UsageError for a name that no file has.
 */
export async function writeFiles({ number, release }: Taken, sources: FileSources): Promise<{ written: number }> {
  const { client, definition, folder, formats, makeFiles } = sources;
  if (formats.length === 0) return { written: 0 };
  const keys = publicationKeys(definition);
  const wanted = chosen(makeFiles(release, definition), formats);
  let written = 0;
  for (const { name, text } of wanted) {
    const [own, beside] = [fileName(number, name), fileName(number, `${name}.jws`)];
    if ((await folder.read(own)) !== undefined && (keys.size === 0 || (await folder.read(beside)) !== undefined))
      continue;
    const bytes = Buffer.from(text(), "utf8");
    if (keys.size > 0)
      await folder.write(beside, await takeSignature(client, `${releaseAddress(number)}/files/${name}`, bytes, keys));
    await folder.write(own, bytes);
    written++;
  }
  return { written };
}

/** A file is asked for by its name, with or without what stands behind the dot, or by its folder's. */
function chosen(files: readonly MadeFile[], formats: Options["formats"]): MadeFile[] {
  if (formats === "all") return [...files];
  const isMeant = (name: string, asked: string) =>
    name === asked || name.replace(/\.[^./]+$/, "") === asked || name.startsWith(`${asked}/`);
  const unknown = formats.find((asked) => !files.some(({ name }) => isMeant(name, asked)));
  if (unknown !== undefined)
    throw new UsageError(
      `--formats: no file is called ${unknown}. There are ${files.map(({ name }) => name).join(", ")}.`,
    );
  return files.filter(({ name }) => formats.some((asked) => isMeant(name, asked)));
}

/** The served signature, which must be over the very bytes that were made here. */
async function takeSignature(
  client: Client,
  path: string,
  bytes: Uint8Array,
  keys: ReadonlyMap<string, VerifyKey>,
): Promise<Buffer> {
  const { status, body } = await client.get(`${path}.jws`, MAX_JWS_BYTES);
  if (status !== 200)
    throw new Discrepancy("release.missing", { path: `${path}.jws` }, `${path}.jws is answered with status ${status}.`);
  const jws = body.toString("utf8");
  if ([...keys].some(([kid, key]) => detachedHolds(kid, key, FILE_TYP, bytes, jws))) return body;
  throw new Discrepancy(
    "file.differs",
    { path },
    `${path}.jws is no signature of the publisher over the file that this release makes.`,
  );
}

function publicationKeys({ publication }: Definition): Map<string, VerifyKey> {
  const keys = new Map<string, VerifyKey>();
  for (const { id, publicKey } of publication?.release ?? []) {
    const key = importVerifyKey(decodeBase64url(publicKey) ?? new Uint8Array());
    if (key !== undefined) keys.set(id, key);
  }
  return keys;
}
