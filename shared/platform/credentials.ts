import { createPrivateKey, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { z } from "zod";
import { file, HOST, isLoopback, PORT, readOrRefuse, readSecretFile, refuseConfig } from "./config.ts";

/**
 * How a service proves who it is, and how it knows whom it talks to: TLS where it listens, a certificate and a password to
 * Postgres, a certificate and an NKEY to NATS. Off loopback none of them may be missing. Secrets come from files that only their
 * owner may read; what a variable holds is no secret.
 */

/** A certificate chain and its private key, both PEM. */
export interface ServerTls {
  cert: string;
  key: string;
}

/** The same, with the authority by which the other side is known. */
export interface ClientTls extends ServerTls {
  ca: string;
}

/** Where a service listens. */
export const LISTEN = {
  HOST,
  PORT,
  SCRUTIN_TLS_CERT_FILE: file(
    "Name the PEM file of this service's certificate, and its key in SCRUTIN_TLS_KEY_FILE.",
  ).optional(),
  SCRUTIN_TLS_KEY_FILE: file("Name the PEM file of the private key, for SCRUTIN_TLS_CERT_FILE.").optional(),
};

/** How a service reaches NATS. */
export const NATS = {
  NATS_URL: z
    .string()
    .regex(/^(nats|tls):\/\//, "is not a nats:// or tls:// URL")
    .refine((urls) => natsUrls(urls).every((url) => url !== undefined), "is not a list of URLs")
    .refine((urls) => natsUrls(urls).every((url) => url?.username === "" && url.password === ""), "holds a password")
    .describe("Give nats://127.0.0.1:4222, or tls://host:port for another machine; several are separated by commas."),
  NATS_NKEY_FILE: file("Name the file that holds this service's NKEY seed (SU…), or leave it out.").optional(),
  NATS_CA_FILE: file("Name the PEM file of the authority that vouches for the nats-server.").optional(),
  NATS_CERT_FILE: file("Name the PEM file of this service's certificate for NATS.").optional(),
  NATS_CERT_KEY_FILE: file("Name the PEM file of its private key.").optional(),
};

/** How a service reaches Postgres. */
export const DATABASE = {
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, "is not a postgres:// URL")
    .refine((text) => urlOf(text) !== undefined, "is not a postgres:// URL")
    .refine((text) => !urlOf(text)?.password && !urlOf(text)?.searchParams.has("password"), "holds a password")
    .refine((text) => parametersOf(text).every(isKnownParameter), "has an unknown parameter")
    .describe(
      "Give postgres://user@host:port/database and the password in SCRUTIN_DATABASE_PASSWORD_FILE; unless the host is loopback " +
        "also ?sslmode=verify-full&sslrootcert=FILE&sslcert=FILE&sslkey=FILE.",
    ),
  SCRUTIN_DATABASE_PASSWORD_FILE: file("Name the file that holds the password of DATABASE_URL's role.").optional(),
};

type Given<S extends Record<string, z.ZodType>> = { [name in keyof S]?: z.infer<S[name]> | undefined };

/** Where a service listens: `tls` is there when it serves TLS. */
export interface Listen {
  host: string;
  port: number;
  tls?: ServerTls;
}

/** Reads the files of `LISTEN`. Whatever is wrong is printed in a sentence and the process exits with `EX_CONFIG`. */
export async function readListen(config: { HOST: string; PORT: number } & Given<typeof LISTEN>): Promise<Listen> {
  const { HOST: host, PORT: port, SCRUTIN_TLS_CERT_FILE: cert, SCRUTIN_TLS_KEY_FILE: key } = config;
  const tls = await readPair(["SCRUTIN_TLS_CERT_FILE", cert], ["SCRUTIN_TLS_KEY_FILE", key]);
  if (tls !== undefined) return { host, port, tls };
  if (!isLoopback(host))
    refuseConfig([
      `HOST: ${host} is not a loopback address, and nothing is served in clear there. Set SCRUTIN_TLS_CERT_FILE and SCRUTIN_TLS_KEY_FILE.`,
    ]);
  return { host, port };
}

/** What `openNats` is given. */
export interface NatsAccess {
  url: string;
  nkeyFile: string | undefined;
  tls?: ClientTls;
}

/** Reads the files of `NATS`. Whatever is wrong is printed in a sentence and the process exits with `EX_CONFIG`. */
export async function readNats(config: { NATS_URL: string } & Given<typeof NATS>): Promise<NatsAccess> {
  const { NATS_URL: url, NATS_NKEY_FILE: nkeyFile, NATS_CA_FILE: caFile } = config;
  const urls = natsUrls(url).filter((one) => one !== undefined);
  const files = [caFile, config.NATS_CERT_FILE, config.NATS_CERT_KEY_FILE];
  const secured = urls.filter(({ protocol }) => protocol === "tls:").length;
  if (secured !== 0 && secured !== urls.length)
    refuseConfig(["NATS_URL mixes nats:// and tls://. Give tls:// for all."]);
  if (secured === 0) {
    if (!urls.every(({ hostname }) => isLoopback(hostname)))
      refuseConfig(["NATS_URL names another machine without TLS. Give tls://host:port."]);
    if (files.some((name) => name !== undefined))
      refuseConfig(["NATS_URL is nats://, and a certificate is given. Give tls://, or leave the certificate out."]);
    return { url, nkeyFile };
  }
  if (nkeyFile === undefined || caFile === undefined || files.includes(undefined))
    refuseConfig([
      "NATS_URL is tls://. Set NATS_CA_FILE, NATS_CERT_FILE, NATS_CERT_KEY_FILE and NATS_NKEY_FILE: each side proves who it is.",
    ]);
  // The client compares a certificate with the name that it was given, and an address is none to it.
  if (urls.some(({ hostname }) => isIP(hostname.replace(/^\[(.*)\]$/, "$1")) !== 0 && !isLoopback(hostname)))
    refuseConfig(["NATS_URL names another machine by its address. Give the name that its certificate proves."]);
  const pair = await readPair(
    ["NATS_CERT_FILE", config.NATS_CERT_FILE],
    ["NATS_CERT_KEY_FILE", config.NATS_CERT_KEY_FILE],
  );
  return { url, nkeyFile, tls: { ...(pair as ServerTls), ca: await readCertificates("NATS_CA_FILE", caFile) } };
}

/** What `openPool` is given. `url` holds the password: it is not for a log. */
export interface DatabaseAccess {
  url: string;
  tls?: ClientTls;
}

const TLS_PARAMETERS = ["sslmode", "sslrootcert", "sslcert", "sslkey"] as const;

function urlOf(text: string): URL | undefined {
  return URL.canParse(text) ? new URL(text) : undefined;
}

function parametersOf(text: string): string[] {
  return [...(urlOf(text)?.searchParams.keys() ?? [])];
}

/** Others can weaken what these four ask for. */
function isKnownParameter(name: string): boolean {
  return name === "host" || (TLS_PARAMETERS as readonly string[]).includes(name);
}

/** Reads the files of `DATABASE`. Whatever is wrong is printed in a sentence and the process exits with `EX_CONFIG`. */
export async function readDatabase(config: { DATABASE_URL: string } & Given<typeof DATABASE>): Promise<DatabaseAccess> {
  const url = new URL(config.DATABASE_URL);
  const [mode, ca, cert, key] = TLS_PARAMETERS.map((name) => url.searchParams.get(name) ?? undefined);
  const passwordFile = config.SCRUTIN_DATABASE_PASSWORD_FILE;
  if (passwordFile !== undefined) url.password = encodeURIComponent((await readSecretFile(passwordFile)).trim());
  if (passwordFile !== undefined && url.password === "")
    refuseConfig([
      "DATABASE_URL names no host, and the password has no place. Give postgres://user@localhost/database?host=…",
    ]);
  for (const name of TLS_PARAMETERS) url.searchParams.delete(name);
  if ([mode, ca, cert, key].every((value) => value === undefined)) {
    if (isLocal(url)) return { url: url.href };
    refuseConfig([`DATABASE_URL names another machine without TLS. ${DATABASE.DATABASE_URL.description}`]);
  }
  if (
    mode !== "verify-full" ||
    ca === undefined ||
    cert === undefined ||
    key === undefined ||
    passwordFile === undefined
  )
    refuseConfig([`DATABASE_URL asks for TLS, and not for all of it. ${DATABASE.DATABASE_URL.description}`]);
  const pair = await readPair(["DATABASE_URL", cert], ["DATABASE_URL", key]);
  return { url: url.href, tls: { ...(pair as ServerTls), ca: await readCertificates("DATABASE_URL", ca) } };
}

/** On loopback or by a Unix socket. */
function isLocal(url: URL): boolean {
  const host = url.searchParams.get("host") ?? decodeURIComponent(url.hostname);
  return host === "" || host.startsWith("/") || isLoopback(host);
}

function natsUrls(text: string): (URL | undefined)[] {
  return text.split(",").map((url) => urlOf(url.trim()));
}

type Named = readonly [variable: string, path: string | undefined];

/** A certificate and its key; undefined when neither is named. They must belong together. */
async function readPair([certName, certPath]: Named, [keyName, keyPath]: Named): Promise<ServerTls | undefined> {
  if (certPath === undefined && keyPath === undefined) return undefined;
  if (certPath === undefined || keyPath === undefined)
    refuseConfig([`${certName} and ${keyName} belong together. Set both, or neither.`]);
  const cert = await readCertificates(certName, certPath);
  const key = await readSecretFile(keyPath);
  if (!belongsTo(cert, key))
    refuseConfig([`${keyName}: ${keyPath} is not the private key, in PEM without a passphrase, of ${certPath}.`]);
  return { cert, key };
}

function belongsTo(cert: string, key: string): boolean {
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch {
    return false; // no key at all; the reason is left out: it could quote it
  }
}

async function readCertificates(variable: string, path: string): Promise<string> {
  const text = Buffer.from(await readOrRefuse(variable, path)).toString("utf8");
  try {
    new X509Certificate(text);
    return text;
  } catch {
    refuseConfig([`${variable}: ${path} holds no certificate in PEM.`]);
  }
}
