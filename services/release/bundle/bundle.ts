import { createHash } from "node:crypto";
import type { Definition } from "../../../shared/definition/schema.ts";
import { releaseFiles } from "../../../shared/formats/files.ts";
import type { Release } from "../../../shared/formats/release.ts";
import { canonical } from "../../../shared/ledger/entry.ts";
import type { SignFile } from "../../../shared/platform/publication-key.ts";
import { bundlePage } from "./page.ts";

/**
 * A release as a folder of files that any web server, or none, can show: whoever has it needs nothing of ours to read it, and to check it
 * only the definition's keys.
 */

export interface BundleFile {
  /** Its path within the bundle, with `/`. */
  name: string;
  bytes: Uint8Array;
}

export interface BundleSources {
  definition: Definition;
  /** Hex. */
  hash: string;
  /** The definition's exact bytes, and the detached JWS over them. */
  bytes: Uint8Array;
  signatures: unknown;
  /** Undefined: the definition names no key for it, and the manifest is not signed. */
  signFile: SignFile | undefined;
}

export interface BundleRelease {
  /** The release's exact bytes. */
  bytes: Uint8Array;
  /** Both counts' signatures over them. */
  signatures: Uint8Array;
  /** That the release is in the log (C2SP tlog-proof). */
  proof: string;
}

/** What the manifest says of a file. */
export interface ManifestFile {
  name: string;
  /** Hex. */
  sha256: string;
  bytes: number;
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const utf8 = (text: string) => Buffer.from(text, "utf8");

/** Every file of the bundle; the last two are the manifest, which lists the others, and its signature. The same release makes the same bytes. */
export function makeBundle(published: BundleRelease, sources: BundleSources): BundleFile[] {
  const release = JSON.parse(Buffer.from(published.bytes).toString("utf8")) as Release;
  const made = releaseFiles(release, sources.definition).map(({ name, text }) => ({ name, bytes: utf8(text()) }));
  const files: BundleFile[] = [
    { name: "release.json", bytes: published.bytes },
    { name: "release.signatures.json", bytes: published.signatures },
    { name: "release.proof", bytes: utf8(published.proof) },
    { name: "definition.json", bytes: sources.bytes },
    { name: "definition.signatures.json", bytes: utf8(JSON.stringify(sources.signatures)) },
    ...made,
    { name: "VERIFY.txt", bytes: utf8(howToVerify(release, sources)) },
  ];
  const listed = files.map(manifestOf);
  const page = bundlePage(release, sha256(published.bytes), sources.definition, listed);
  const all = [...files, { name: "index.html", bytes: utf8(page) }];
  const { election, mode, number } = release;
  const about = { type: "bundle", election, mode, definition: sources.hash, number, release: sha256(published.bytes) };
  const manifest = utf8(canonical({ ...about, files: all.map(manifestOf) }));
  const signature = sources.signFile?.(manifest);
  return [
    ...all,
    { name: "manifest.json", bytes: manifest },
    ...(signature === undefined ? [] : [{ name: "manifest.json.jws", bytes: utf8(signature) }]),
  ];
}

const manifestOf = ({ name, bytes }: BundleFile): ManifestFile => {
  return { name, sha256: sha256(bytes), bytes: bytes.length };
};

function howToVerify({ number, mode, checkpoint }: Release, { definition, hash, signFile }: BundleSources): string {
  const keys = (role: string) => definition.keys.filter((key) => key.role === role).map(({ id }) => id);
  return `${mode === "exercise" ? "EXERCISE: this is no election.\n\n" : ""}How to check release ${number} with tools that are not ours

1. The definition. SHA-256 of definition.json is ${hash}:
   compare it with what the election authority has published elsewhere (sha256sum definition.json).
   definition.signatures.json holds the authority's signatures over these bytes (JWS, payload detached, EdDSA).
2. The release. release.signatures.json holds two signatures over the bytes of release.json, of ${[...keys("tabulate"), ...keys("recount")].join(" and ")},
   whose public keys the definition names: JWS (RFC 7515) with its payload detached (appendix F), type scrutin-release+jws, EdDSA.
3. The log. release.proof (C2SP tlog-proof) shows that the release was announced in the log ${definition.origin};
   any implementation of C2SP signed notes and RFC 6962 verifies it. The release counts the first ${checkpoint.size} entries.
4. The other files. manifest.json gives the SHA-256 of every file here${
    signFile === undefined
      ? "."
      : `; manifest.json.jws is a signature over its bytes
   (type scrutin-file+jws) by ${definition.publication?.release.map(({ id }) => id).join(" or ")}, the publication endpoint's key in the definition.`
  }
   They are made of release.json: where one differs, release.json is right.
5. The count. With the network: npm run audit -- <address of a publication endpoint>, which counts every statement again.
`;
}
