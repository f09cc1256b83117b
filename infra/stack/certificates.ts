// The certificate library finds its parts by the metadata of decorators, and asks for this first.
import "reflect-metadata";
import { type KeyObject, webcrypto } from "node:crypto";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";

/**
 * The stack's own certificates: made anew at every start, on P-256, by authorities whose keys are forgotten with the call. One
 * authority vouches for servers and another for clients, so that no service's certificate passes for a server's.
 */

/** PEM files of a certificate and its private key. */
export interface Pair {
  cert: string;
  key: string;
}

/** What a client shows, and how it knows the server. */
export interface ClientFiles extends Pair {
  ca: string;
}

/** What a server shows, and by which authority it knows its clients. */
export interface ServerFiles extends Pair {
  clients: string;
}

export interface Certificates {
  postgres: ServerFiles;
  nats: ServerFiles;
  /** By common name: the Postgres role, or the NATS user. */
  client(name: string): ClientFiles;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 24 * 60 * 60 * 1000;
/** Longer than any exercise runs; the next start makes new ones. */
const LIFE_MS = 90 * DAY_MS;
/** A test may set the clock of one process back. */
const BEFORE_MS = DAY_MS;
const LOOPBACK: x509.JsonGeneralNames = [
  { type: "dns", value: "localhost" },
  { type: "ip", value: "127.0.0.1" },
];

x509.cryptoProvider.set(webcrypto);

/** Who signs certificates: it exists in memory only. */
export interface Authority {
  pem: string;
  name: string;
  keys: webcrypto.CryptoKeyPair;
}

/** `now` is ms since the epoch. */
export async function makeAuthority(name: string, now: number): Promise<Authority> {
  const keys = await generate();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${name}`,
    ...lifeFrom(now),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  return { pem: certificate.toString("pem"), name, keys };
}

export interface Wanted {
  /** The common name. */
  name: string;
  for: "server" | "client";
  now: number;
  /** ms; the usual life unless said. */
  life?: number;
  /** What a server is called; loopback unless said. */
  dns?: string;
}

/** A certificate of `authority`, with a key of its own. Both in PEM. */
export async function issue(authority: Authority, wanted: Wanted): Promise<{ cert: string; key: string }> {
  const keys = await generate();
  const cert = await sign({
    ...wanted,
    issuer: authority.name,
    signingKey: authority.keys.privateKey,
    publicKey: keys.publicKey,
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { cert, key: x509.PemConverter.encode(pkcs8, "PRIVATE KEY") };
}

/** The door's certificate, signed by its own key: it is known by that key, and no authority is asked. PEM. */
export async function certifyDoor(privateKey: KeyObject, now: number): Promise<string> {
  const pkcs8 = privateKey.export({ type: "pkcs8", format: "der" });
  const signingKey = await webcrypto.subtle.importKey("pkcs8", pkcs8, ALGORITHM, true, ["sign"]);
  const { d: _, ...jwk } = await webcrypto.subtle.exportKey("jwk", signingKey);
  const publicKey = await webcrypto.subtle.importKey("jwk", { ...jwk, key_ops: ["verify"] }, ALGORITHM, true, [
    "verify",
  ]);
  return sign({ name: "ingest", for: "server", now, issuer: "ingest", signingKey, publicKey });
}

/** Makes the certificates of one start in `folder`, for these clients. Whatever lay there is replaced. */
export async function makeCertificates(folder: string, clients: readonly string[], now: number): Promise<Certificates> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await chmod(folder, 0o700);
  const [forServers, forClients] = await Promise.all([
    makeAuthority("Scrutin stack: servers", now),
    makeAuthority("Scrutin stack: clients", now),
  ]);
  const keep = async (name: string, text: string) => {
    const file = join(folder, `${name}.pem`);
    await writeFile(file, text, { mode: 0o600 });
    return file;
  };
  const pair = async (authority: Authority, wanted: Wanted): Promise<Pair> => {
    const { cert, key } = await issue(authority, wanted);
    return { cert: await keep(wanted.name, cert), key: await keep(`${wanted.name}-key`, key) };
  };
  const [ca, clientsCa] = await Promise.all([keep("servers-ca", forServers.pem), keep("clients-ca", forClients.pem)]);
  const server = async (name: string) => ({
    ...(await pair(forServers, { name, for: "server", now })),
    clients: clientsCa,
  });
  const made = new Map<string, ClientFiles>();
  for (const name of clients) made.set(name, { ...(await pair(forClients, { name, for: "client", now })), ca });
  return {
    postgres: await server("postgres-server"),
    nats: await server("nats-server"),
    client(name) {
      const files = made.get(name);
      if (files === undefined) throw new Error(`no certificate was made for ${name}`);
      return files;
    },
  };
}

interface Signing extends Wanted {
  issuer: string;
  signingKey: webcrypto.CryptoKey;
  publicKey: webcrypto.CryptoKey;
}

async function sign({
  name,
  issuer,
  now,
  life = LIFE_MS,
  dns,
  signingKey,
  publicKey,
  ...wanted
}: Signing): Promise<string> {
  const isServer = wanted.for === "server";
  const names: x509.JsonGeneralNames = dns === undefined ? LOOPBACK : [{ type: "dns", value: dns }];
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${name}`,
    issuer: `CN=${issuer}`,
    ...lifeFrom(now, life),
    signingAlgorithm: ALGORITHM,
    signingKey,
    publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage[isServer ? "serverAuth" : "clientAuth"]], true),
      ...(isServer ? [new x509.SubjectAlternativeNameExtension(names)] : []),
    ],
  });
  return certificate.toString("pem");
}

function lifeFrom(now: number, life = LIFE_MS): { notBefore: Date; notAfter: Date } {
  return { notBefore: new Date(now - BEFORE_MS), notAfter: new Date(now + life) };
}

function generate(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

/** RFC 5280, 4.1.2.2: positive, and not guessable. */
function serial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString("hex");
}
