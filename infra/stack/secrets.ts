import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { nkeys } from "nats";
import type { Definition, Key } from "../../shared/definition/schema.ts";
import { pinOf } from "../../shared/platform/door.ts";
import { inboxOf, LEDGER_CONSUMER, STREAMS, SUBJECTS } from "../../shared/platform/nats.ts";
import { type RecoveryShare, splitRecoveryKey } from "../../shared/platform/recovery.ts";
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
  /** The recovery key in shares, one for each of three trustees: nobody holds the key itself. */
  recovery: { publicKey: string; shares: RecoveryShare[] };
  witnesses: KeyPair[];
  /** Of the Parliament's client, and of the publication endpoint. */
  publication: { parliament: KeyPair; release: KeyPair };
  /** Of ingest's certificate (P-256), and the pin by which the definition names it. */
  door: { pin: string; privateKey: KeyObject };
}

function pair(id: string, curve: "ed25519" | "x25519"): KeyPair {
  const { privateKey } = curve === "ed25519" ? generateKeyPairSync("ed25519") : generateKeyPairSync("x25519");
  const jwk = privateKey.export({ format: "jwk" });
  if (typeof jwk.x !== "string") throw new Error("a key pair without a public half");
  const use = curve === "ed25519" ? { kid: id, alg: "EdDSA", use: "sig" } : { kid: id, use: "enc" };
  return { id, publicKey: jwk.x, privateKey, jwk: { ...jwk, ...use } };
}

/** Fresh pairs for the same key ids and roles as a definition names. */
export async function makeSecrets(definition: Pick<Definition, "keys" | "authority">): Promise<Secrets> {
  return {
    authority: definition.authority.map(({ id }) => pair(id, "ed25519")),
    keys: definition.keys.map(({ id, role }) => ({ ...pair(id, "ed25519"), role })),
    vault: pair("vault", "x25519"),
    recovery: await makeRecovery(definition),
    witnesses: WITNESS_NAMES.map((name) => pair(name, "ed25519")),
    publication: { parliament: pair("parliament-1", "ed25519"), release: pair("release-1", "ed25519") },
    door: makeDoor(),
  };
}

function makeDoor(): Secrets["door"] {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { pin: pinOf(createPublicKey(privateKey)), privateKey };
}

/** The pair is forgotten with this call. Rejects unless every two of the shares rebuild it. */
async function makeRecovery({ keys }: Pick<Definition, "keys">): Promise<Secrets["recovery"]> {
  const { jwk, publicKey } = pair("recovery", "x25519");
  const [one, two, three] = keys.flatMap(({ id, role }) => (role === "trustee" ? [id] : []));
  if (one === undefined || two === undefined || three === undefined)
    throw new Error("the recovery key needs three trustees, and the definition has fewer");
  return { publicKey, shares: await splitRecoveryKey(jwk, [one, two, three]) };
}

/** Writes a file that only its owner may read. */
export async function writeSecret(file: string, text: string): Promise<void> {
  await writeFile(file, text, { mode: 0o600, flag: "w" });
}

/** Where the secrets of a stack lie. */
export interface SecretFiles {
  /** JWKs of offices, trustees and the Parliament's client: what people hold, `<kid>.json`; and trustees' shares of the recovery key, `<kid>.share.json`. */
  people: string;
  /** Private key file of a service's signing key, by role. */
  service: Record<"ledger" | "tabulate" | "recount" | "release", string>;
  vault: string;
  witnesses: WitnessFiles[];
  /** Ingest's private key, PEM. */
  door: string;
}

/**
 * Writes people's keys to `<folder>/keys` and the services' to `<folder>/secrets`. The recovery key is nowhere but in
 * the trustees' shares.
 */
export async function writeSecrets(folder: string, secrets: Secrets): Promise<SecretFiles> {
  const people = join(folder, "keys");
  const services = join(folder, "secrets");
  await mkdir(people, { recursive: true, mode: 0o700 });
  await mkdir(services, { recursive: true, mode: 0o700 });
  const files = { ledger: "", tabulate: "", recount: "", release: join(services, "release-1.json") };
  for (const key of secrets.keys) {
    const own = key.role === "office" || key.role === "trustee";
    const file = join(own ? people : services, `${key.id}.json`);
    await writeSecret(file, `${JSON.stringify(key.jwk, null, 2)}\n`);
    if (key.role === "ledger" || key.role === "tabulate" || key.role === "recount") files[key.role] = file;
  }
  const { parliament, release } = secrets.publication;
  await writeSecret(join(people, `${parliament.id}.json`), `${JSON.stringify(parliament.jwk, null, 2)}\n`);
  await writeSecret(files.release, `${JSON.stringify(release.jwk, null, 2)}\n`);
  for (const share of secrets.recovery.shares)
    await writeSecret(join(people, `${share.trustee}.share.json`), `${JSON.stringify(share, null, 2)}\n`);
  const vault = join(services, "vault.json");
  await writeSecret(vault, `${JSON.stringify(secrets.vault.jwk, null, 2)}\n`);
  const door = join(services, "ingest-key.pem");
  await writeSecret(door, secrets.door.privateKey.export({ type: "pkcs8", format: "pem" }).toString());
  return { people, service: files, vault, witnesses: await writeWitnesses(folder, secrets.witnesses), door };
}

export const SERVICES = ["ledger", "ingest", "tabulate", "recount", "release", "watch"] as const;
export type ServiceName = (typeof SERVICES)[number];

/** The common name of a service's certificate: its role in Postgres, where it has one. */
export function nameOnCertificate(service: ServiceName | "stack"): string {
  return `scrutin_${service}`;
}

/** The ledger answers ingest, the only one that asks it anything. */
const INGEST_ANSWERS = `${inboxOf("ingest")}.>`;
const CONSUMER = `${STREAMS.statements}.${LEDGER_CONSUMER}`;
const NEXT = `$JS.API.CONSUMER.MSG.NEXT.${CONSUMER}`;
const ACKNOWLEDGE = `$JS.ACK.${CONSUMER}.>`;
const EVENT = `$JS.API.STREAM.MSG.GET.${STREAMS.events}`;
const BEAT = `$JS.API.STREAM.MSG.GET.${STREAMS.clock}`;
const INFOS = Object.values(STREAMS).map((stream) => `$JS.API.STREAM.INFO.${stream}`);
/** To store a heartbeat, and to read back the time at which NATS stored it. */
const clockOf = (service: ServiceName) => [SUBJECTS.beat(service), BEAT];

/**
 * What each service may say and hear on NATS: the least subjects, and no verb of the JetStream API that makes, deletes, purges,
 * updates or restores. Streams and the ledger's consumer are made by the stack before the services start. Each also hears what is
 * answered to it, under a prefix of its own.
 */
export const SUBJECTS_OF: Record<ServiceName, { publish: string[]; subscribe: string[] }> = {
  ingest: {
    publish: [SUBJECTS.statement("*"), SUBJECTS.ask, SUBJECTS.find, SUBJECTS.keys, SUBJECTS.incident("ingest")],
    subscribe: [SUBJECTS.receipt("*"), SUBJECTS.key],
  },
  ledger: {
    publish: [
      ...[NEXT, ACKNOWLEDGE, SUBJECTS.receipt("*"), SUBJECTS.appended, SUBJECTS.key],
      ...[SUBJECTS.incident("ledger"), INGEST_ANSWERS, ...clockOf("ledger")],
    ],
    subscribe: [SUBJECTS.ask, SUBJECTS.find, SUBJECTS.keys],
  },
  tabulate: {
    publish: [SUBJECTS.incident("tabulate"), SUBJECTS.sealed, ...clockOf("tabulate")],
    subscribe: [SUBJECTS.appended, SUBJECTS.sealed],
  },
  recount: {
    publish: [SUBJECTS.incident("recount"), SUBJECTS.sealed, ...clockOf("recount")],
    subscribe: [SUBJECTS.appended, SUBJECTS.sealed],
  },
  release: {
    publish: [SUBJECTS.published, SUBJECTS.incident("release")],
    subscribe: [SUBJECTS.appended, SUBJECTS.sealed],
  },
  watch: { publish: [...INFOS, EVENT], subscribe: [] },
};

/** What of this reaches the streams. Written out: a line too many above opens nothing here. */
export const CROSSING: readonly string[] = [
  ...[SUBJECTS.statement("*"), SUBJECTS.appended, SUBJECTS.sealed, SUBJECTS.published],
  ...[SUBJECTS.incident("*"), SUBJECTS.beat("*")],
  ...[NEXT, ACKNOWLEDGE, EVENT, BEAT, ...INFOS],
];

/** A NATS user of the stack, as it is kept with a folder that is kept. */
export interface NatsSeed {
  name: ServiceName | "stack";
  nkeyPublic: string;
  /** The seed's file, readable by its owner only. */
  file: string;
}

export interface NatsUser extends NatsSeed {
  account: "BUS" | "SERVICES";
  permissions: { publish: { allow: string[] }; subscribe: { allow: string[] } };
}

/** One NKEY user per service, and `stack` for the stack itself, which makes the streams. Seeds go to `<folder>/secrets`. */
export async function makeNatsUsers(folder: string): Promise<NatsUser[]> {
  const seeds: NatsSeed[] = [];
  await mkdir(join(folder, "secrets"), { recursive: true, mode: 0o700 });
  for (const name of [...SERVICES, "stack"] as const) {
    const user = nkeys.createUser();
    const file = join(folder, "secrets", `${name}.nkey`);
    await writeSecret(file, new TextDecoder().decode(user.getSeed()));
    seeds.push({ name, nkeyPublic: user.getPublicKey(), file });
  }
  return seeds.map(natsUserOf);
}

/** The user with the permissions of today: those of a folder that was kept may be another version's. */
export function natsUserOf({ name, nkeyPublic, file }: NatsSeed): NatsUser {
  const { publish, subscribe } = name === "stack" ? { publish: [">"], subscribe: [">"] } : SUBJECTS_OF[name];
  const permissions = { publish: { allow: publish }, subscribe: { allow: [...subscribe, `${inboxOf(name)}.>`] } };
  return { name, nkeyPublic, file, permissions, account: name === "stack" ? "BUS" : "SERVICES" };
}
