import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { nkeys } from "nats";
import type { Definition, Key } from "../../shared/definition/schema.ts";
import { WITNESS_NAMES, type WitnessFiles, writeWitnesses } from "./witnesses.ts";

/** A key pair made for one exercise: the public half for the definition, the private one as a JWK with its `kid`. */
export interface KeyPair {
  id: string;
  /** 32 bytes, base64url. */
  publicKey: string;
  privateKey: KeyObject;
  jwk: Record<string, unknown>;
}

/** Every secret of one exercise. None of them outlives its data folder. */
export interface Secrets {
  authority: KeyPair[];
  keys: (KeyPair & { role: Key["role"] })[];
  vault: KeyPair;
  recovery: KeyPair;
  witnesses: KeyPair[];
}

function pair(id: string, curve: "ed25519" | "x25519"): KeyPair {
  const { privateKey } = curve === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("x25519");
  const jwk = privateKey.export({ format: "jwk" });
  if (typeof jwk.x !== "string") throw new Error("a key pair without a public half");
  const use = curve === "ed25519" ? { kid: id, alg: "EdDSA", use: "sig" } : { kid: id, use: "enc" };
  return { id, publicKey: jwk.x, privateKey, jwk: { ...jwk, ...use } };
}

/** Fresh pairs for the same key ids and roles as a definition names. */
export function makeSecrets(definition: Pick<Definition, "keys" | "authority">): Secrets {
  return {
    authority: definition.authority.map(({ id }) => pair(id, "ed25519")),
    keys: definition.keys.map(({ id, role }) => ({ ...pair(id, "ed25519"), role })),
    vault: pair("vault", "x25519"),
    recovery: pair("recovery", "x25519"),
    witnesses: WITNESS_NAMES.map((name) => pair(name, "ed25519")),
  };
}

/** Writes a file that only its owner may read. */
export async function writeSecret(file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: 0o600, flag: "w" });
}

/** Where the secrets of a stack lie. */
export interface SecretFiles {
  /** JWKs of offices and trustees: what people hold, `<kid>.json`. */
  people: string;
  /** Private key file of a service's signing key, by role. */
  service: Record<"ledger" | "tabulate" | "recount", string>;
  vault: string;
  /** None in a folder that was kept before there were witnesses. */
  witnesses?: WitnessFiles[];
}

/**
 * Writes people's keys to `<folder>/keys` and the services' to `<folder>/secrets`. The recovery key is not written: it is
 * the trustees' to keep, and an exercise ends with its folder.
 */
export async function writeSecrets(folder: string, secrets: Secrets): Promise<SecretFiles> {
  const people = join(folder, "keys");
  const services = join(folder, "secrets");
  await mkdir(people, { recursive: true, mode: 0o700 });
  await mkdir(services, { recursive: true, mode: 0o700 });
  const files = { ledger: "", tabulate: "", recount: "" };
  for (const key of secrets.keys) {
    const own = key.role === "office" || key.role === "trustee";
    const file = join(own ? people : services, `${key.id}.json`);
    await writeSecret(file, `${JSON.stringify(key.jwk, null, 2)}\n`);
    if (key.role === "ledger" || key.role === "tabulate" || key.role === "recount") files[key.role] = file;
  }
  const vault = join(services, "vault.json");
  await writeSecret(vault, `${JSON.stringify(secrets.vault.jwk, null, 2)}\n`);
  return { people, service: files, vault, witnesses: await writeWitnesses(folder, secrets.witnesses) };
}

export const SERVICES = ["ledger", "ingest", "tabulate", "recount", "release", "watch"] as const;
export type ServiceName = (typeof SERVICES)[number];

/**
 * What each service may say and hear on NATS: the least subjects, and no verb of the JetStream API that deletes, purges,
 * updates or restores. Streams and the ledger's consumer are made by the stack before the services start.
 */
export const SUBJECTS_OF: Record<ServiceName, { publish: string[]; subscribe: string[] }> = {
  ingest: {
    publish: ["statement.*", "ledger.ask", "ledger.find", "ledger.keys"],
    subscribe: ["receipt.*", "ledger.key"],
  },
  ledger: {
    publish: [
      "$JS.API.CONSUMER.INFO.STATEMENTS.ledger",
      "$JS.API.CONSUMER.MSG.NEXT.STATEMENTS.ledger",
      "$JS.ACK.STATEMENTS.ledger.>",
      "$JS.API.STREAM.MSG.GET.EVENTS",
      "receipt.*",
      "ledger.appended",
      "ledger.key",
      "incident.raised",
      "clock.beat",
      "_INBOX.>",
    ],
    subscribe: ["ledger.ask", "ledger.find", "ledger.keys"],
  },
  tabulate: {
    publish: ["clock.beat", "incident.raised", "release.sealed", "$JS.API.STREAM.MSG.GET.EVENTS"],
    subscribe: ["ledger.appended", "release.>"],
  },
  recount: {
    publish: ["clock.beat", "incident.raised", "release.sealed", "$JS.API.STREAM.MSG.GET.EVENTS"],
    subscribe: ["ledger.appended", "release.>"],
  },
  release: { publish: ["release.published", "incident.raised"], subscribe: ["ledger.appended", "release.>"] },
  watch: {
    publish: ["$JS.API.STREAM.INFO.STATEMENTS", "$JS.API.STREAM.INFO.EVENTS", "$JS.API.STREAM.MSG.GET.EVENTS"],
    subscribe: ["ledger.appended", "release.>", "incident.>", "clock.beat"],
  },
};

export interface NatsUser {
  name: string;
  nkeyPublic: string;
  permissions: { publish: { allow: string[] }; subscribe: { allow: string[] } };
  /** The seed's file, readable by its owner only. */
  file: string;
}

/** One NKEY user per service, and `stack` for the stack itself, which makes the streams. Seeds go to `<folder>/secrets`. */
export async function makeNatsUsers(folder: string): Promise<NatsUser[]> {
  const users: NatsUser[] = [];
  await mkdir(join(folder, "secrets"), { recursive: true, mode: 0o700 });
  for (const name of [...SERVICES, "stack"] as const) {
    const user = nkeys.createUser();
    const file = join(folder, "secrets", `${name}.nkey`);
    await writeSecret(file, new TextDecoder().decode(user.getSeed()));
    const { publish, subscribe } = name === "stack" ? { publish: [">"], subscribe: [">"] } : SUBJECTS_OF[name];
    users.push({
      name,
      nkeyPublic: user.getPublicKey(),
      permissions: { publish: { allow: publish }, subscribe: { allow: [...subscribe, "_INBOX.>"] } },
      file,
    });
  }
  return users;
}
