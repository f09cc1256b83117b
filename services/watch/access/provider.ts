import { readFile } from "node:fs/promises";
import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  type Configuration,
  calculatePKCECodeChallenge,
  discovery,
  randomNonce,
  randomPKCECodeVerifier,
  randomState,
} from "openid-client";
import { z } from "zod";
import { file, isLoopback, refuseConfig } from "../../../shared/platform/config.ts";
import { ROLES, type Role } from "./sessions.ts";

/** Who signs people in (OpenID Connect Core 1.0, authorization code flow with PKCE). */
export interface Provider {
  /** Where to send a person, and what to keep until they come back. */
  begin(): Promise<{ url: URL; flow: Flow }>;
  /** Who came back. Rejects when the answer is not the one that was asked for, or not of this provider. */
  finish(returned: URL, flow: Flow): Promise<{ name: string; roles: Role[] }>;
}

/** What one person's way to the provider and back is held together by. */
export interface Flow {
  verifier: string;
  state: string;
  nonce: string;
}

const secure = (text: string) => {
  const url = new URL(text);
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
};
const Address = z.url().refine(secure, "is neither https nor on this machine");

const Settings = z.strictObject({
  /** The provider, as its documents name it. */
  issuer: Address,
  clientId: z.string().min(1).max(256),
  clientSecret: z.string().min(1).max(1024),
  /** Our own address, as people's browsers reach it. */
  self: Address,
  /** The claim that holds what people may do, and what stands in it for each of our roles. */
  claim: z.string().min(1).max(64),
  roles: z.partialRecord(z.enum(ROLES), z.string().min(1)),
});
export type ProviderSettings = z.infer<typeof Settings>;

export const SCRUTIN_OIDC_FILE = file(
  'Name the JSON file of the provider that signs operators in: {"issuer", "clientId", "clientSecret", "self", "claim", "roles": {"operator": …}}, or leave it out.',
).optional();

/** Reads the file; undefined without one. What is wrong with it is said in a sentence (`EX_CONFIG`), and never quotes it. */
export async function readProvider(path: string | undefined): Promise<ProviderSettings | undefined> {
  if (path === undefined) return undefined;
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) =>
    refuseConfig([`SCRUTIN_OIDC_FILE: ${path} cannot be read (${error.code ?? error.message}). Correct the path.`]),
  );
  const read = Settings.safeParse(jsonOrUndefined(text));
  if (!read.success) {
    const where = read.error.issues.map(({ path: at, message }) => `${at.join(".") || "all of it"} ${message}`);
    refuseConfig([`SCRUTIN_OIDC_FILE: ${path}: ${where.join("; ")}.`]);
  }
  return read.data;
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema refuses it
  }
}

/** Where the provider sends people back to. */
export const RETURN_PATH = "/auth/return";
const MOST_NAME = 100;

export function createProvider(settings: ProviderSettings): Provider {
  const { issuer, clientId, clientSecret, claim } = settings;
  const redirect = new URL(RETURN_PATH, settings.self).href;
  let found: Promise<Configuration> | undefined;
  /** Asked when somebody signs in: that the provider is away keeps nobody from watching. */
  const configuration = () => {
    const execute = new URL(issuer).protocol === "http:" ? [allowInsecureRequests] : [];
    found ??= discovery(new URL(issuer), clientId, clientSecret, undefined, { execute }).catch((error: unknown) => {
      found = undefined;
      throw error;
    });
    return found;
  };
  return {
    async begin() {
      const flow: Flow = { verifier: randomPKCECodeVerifier(), state: randomState(), nonce: randomNonce() };
      const url = buildAuthorizationUrl(await configuration(), {
        redirect_uri: redirect,
        scope: "openid profile",
        code_challenge: await calculatePKCECodeChallenge(flow.verifier),
        code_challenge_method: "S256",
        state: flow.state,
        nonce: flow.nonce,
      });
      return { url, flow };
    },
    async finish(returned, flow) {
      // The address as the provider knows it, whatever stands between us and the browser.
      const current = new URL(`${redirect}${returned.search}`);
      const tokens = await authorizationCodeGrant(await configuration(), current, {
        pkceCodeVerifier: flow.verifier,
        expectedState: flow.state,
        expectedNonce: flow.nonce,
        idTokenExpected: true,
      });
      const claims = tokens.claims();
      if (claims === undefined) throw new Error("the provider gave no ID token");
      const given = claims[claim];
      const values = new Set(Array.isArray(given) ? given.map(String) : [String(given ?? "")]);
      const roles = ROLES.filter((role) => {
        const value = settings.roles[role];
        return value !== undefined && values.has(value);
      });
      const name = typeof claims.name === "string" && claims.name !== "" ? claims.name : claims.sub;
      return { name: `${name.slice(0, MOST_NAME)} (${claims.sub.slice(0, MOST_NAME)})`, roles };
    },
  };
}
