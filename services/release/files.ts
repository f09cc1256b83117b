import { setImmediate as nextTick } from "node:timers/promises";
import { z } from "zod";
import type { Definition } from "../../shared/definition/schema.ts";
import { type ReleaseFile, releaseFiles } from "../../shared/formats/files.ts";
import type { Release } from "../../shared/formats/release.ts";
import { type App, Problem } from "../../shared/platform/http.ts";
import type { SignFile } from "../../shared/platform/publication-key.ts";
import { type Caching, JSON_TYPE, pack, plain, type Representation, respond } from "./representation.ts";
import type { Shelf, Shown } from "./shelf.ts";

/** The files that are made of a release, and the endpoint's signature beside each. */

export interface FileRoutes {
  definition: Definition;
  shelf: Pick<Shelf, "latest" | "find">;
  /** Undefined: the definition names no key for it, and no file has a signature beside it. */
  signFile?: SignFile | undefined;
}

/** The answer of `/v1/releases/<n>/files`. */
export const FileList = z.strictObject({
  number: z.number().int().positive(),
  /** Of the release that they are made of. */
  release: z.string().regex(/^[0-9a-f]{64}$/),
  mode: z.enum(["live", "exercise"]),
  files: z.array(
    z.strictObject({
      name: z.string(),
      mediaType: z.string(),
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      bytes: z.number().int().nonnegative(),
      url: z.string(),
      /** Of the detached JWS over these bytes; null when the definition names no key for it. */
      signature: z.string().nullable(),
    }),
  ),
});
export type FileList = z.infer<typeof FileList>;

const RESULTS = "/v1/releases";
const FOR_EVER: Caching = { cacheControl: "public, max-age=31536000, immutable" };
const A_SECOND: Caching = { cacheControl: "public, max-age=1" };
const JOSE = "application/jose";
const JWS = ".jws";

/** A release's files, each made when it is first asked for. */
interface FileSet {
  list(): Promise<Representation>;
  /** Undefined for a name that no file has. */
  find(name: string): Promise<Representation> | undefined;
}

export function addFiles(app: App, { definition, shelf, signFile }: FileRoutes): void {
  // Kept as long as the shelf keeps the release, and no longer: that bounds them.
  const sets = new WeakMap<Shown, FileSet>();
  const setOf = (shown: Shown): FileSet => {
    const known = sets.get(shown) ?? createFileSet(shown, definition, signFile);
    sets.set(shown, known);
    return known;
  };
  const asked = async (which: string, below: string): Promise<{ set: FileSet; caching: Caching }> => {
    const isNumber = /^[1-9]\d{0,8}$/.test(which);
    const shown = which === "latest" ? shelf.latest() : isNumber ? await shelf.find(Number(which)) : undefined;
    if (shown === undefined) throw new Problem("release.unknown");
    const contentLocation = `${RESULTS}/${shown.listed.number}/files${below}`;
    return { set: setOf(shown), caching: isNumber ? FOR_EVER : { ...A_SECOND, contentLocation } };
  };
  app.get(`${RESULTS}/:which/files`, async (c) => {
    const { set, caching } = await asked(c.req.param("which"), "");
    return respond(c, await set.list(), caching);
  });
  app.get(`${RESULTS}/:which/files/:file{.+}`, async (c) => {
    const file = c.req.param("file");
    const { set, caching } = await asked(c.req.param("which"), `/${file}`);
    const found = set.find(file);
    if (found === undefined)
      throw new Problem("release.unknown", {
        detail: "The release has no file of that name: its list of files is at /files.",
      });
    return respond(c, await found, caching);
  });
}

function createFileSet({ listed, json }: Shown, definition: Definition, signFile: SignFile | undefined): FileSet {
  const release = JSON.parse(Buffer.from(json.identity).toString("utf8")) as Release;
  const files = new Map(releaseFiles(release, definition).map((file) => [file.name, file]));
  const plains = new Map<string, Representation>();
  const made = new Map<string, Promise<Representation>>();
  let list: Promise<Representation> | undefined;
  const plainOf = (file: ReleaseFile): Representation => {
    const known = plains.get(file.name) ?? plain(file.mediaType, file.text());
    plains.set(file.name, known);
    return known;
  };
  const make = (name: string): Promise<Representation> | undefined => {
    const file = files.get(name);
    if (file !== undefined) return pack(plainOf(file));
    const signed = name.endsWith(JWS) ? files.get(name.slice(0, -JWS.length)) : undefined;
    if (signed === undefined || signFile === undefined) return undefined;
    return Promise.resolve(plain(JOSE, signFile(plainOf(signed).identity)));
  };
  const listAll = async (): Promise<Representation> => {
    const entries: FileList["files"] = [];
    for (const file of files.values()) {
      const { sha256, identity } = plainOf(file);
      const url = `${RESULTS}/${listed.number}/files/${file.name}`;
      const signature = signFile === undefined ? null : `${url}${JWS}`;
      entries.push({ name: file.name, mediaType: file.mediaType, sha256, bytes: identity.length, url, signature });
      // Somebody else's answer may wait: one file at a time.
      await nextTick();
    }
    const { number, sha256 } = listed;
    const answer: FileList = { number, release: sha256, mode: release.mode, files: entries };
    return pack(plain(JSON_TYPE, JSON.stringify(answer)));
  };
  return {
    list() {
      if (list === undefined) {
        list = listAll();
        // Whoever asked is told; the next one tries again.
        list.catch(() => {
          list = undefined;
        });
      }
      return list;
    },
    find(name) {
      const known = made.get(name);
      if (known !== undefined) return known;
      const making = make(name);
      if (making === undefined) return undefined;
      made.set(name, making);
      making.catch(() => made.delete(name));
      return making;
    },
  };
}
