import { importVerifyKey } from "../../statement/ed25519.ts";
import { decodeBase64url } from "../../statement/jws.ts";
import type { DefinitionKey } from "./definition.ts";
import { UsageError } from "./discrepancy.ts";

/** What the commands that read a publisher take alike. */

/** Where results are published. Throws a UsageError for what is no such address. */
export function readUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.search !== "" || url.hash !== "")
    throw new UsageError(`"${text}" is no address: give one such as https://results.example.eu, without a query.`);
  return url;
}

/** ID=BASE64URL or BASE64URL. Throws a UsageError for what is no strict Ed25519 key. */
export function readDefinitionKey(text: string): DefinitionKey {
  const [, id, publicKey = ""] = /^(?:([^=]+)=)?(.*)$/.exec(text) ?? [];
  const raw = decodeBase64url(publicKey);
  if (raw === undefined || importVerifyKey(raw) === undefined)
    throw new UsageError(
      `--definition-key ${text}: it is no Ed25519 key of 32 bytes in base64url, with or without "ID=" in front.`,
    );
  return { id, publicKey };
}
