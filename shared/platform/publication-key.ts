import { sign } from "node:crypto";
import type { Definition } from "../definition/schema.ts";
import { FILE_TYP, signDetached } from "../statement/detached.ts";
import { readPrivateJwk, refuseConfig } from "./config.ts";

/** Signs a file that was made of a release: the detached signature that lies beside it. */
export type SignFile = (bytes: Uint8Array) => string;

/**
 * Reads the publication endpoint's own key, which must be one that the definition names for it; undefined if the definition names none. It
 * signs what the endpoint makes of a release, never the release. Otherwise prints why and exits with EX_CONFIG.
 */
export async function readPublicationKey(
  { SCRUTIN_KEY_FILE: file }: { SCRUTIN_KEY_FILE?: string | undefined },
  { publication }: Definition,
): Promise<SignFile | undefined> {
  if (publication === undefined && file === undefined) return undefined;
  if (file === undefined)
    refuseConfig(["SCRUTIN_KEY_FILE is missing: the definition names a key that this service signs files with."]);
  const { kid, publicRaw, privateKey } = await readPrivateJwk(file, "Ed25519");
  const named = publication?.release.find(({ id }) => id === kid);
  if (named?.publicKey !== Buffer.from(publicRaw).toString("base64url"))
    refuseConfig([
      `SCRUTIN_KEY_FILE: ${kid} is no key that this definition publishes with. Give the key that it names.`,
    ]);
  return (bytes) => signDetached(kid, FILE_TYP, bytes, (message) => sign(null, message, privateKey));
}
