import { createPrivateKey, randomBytes } from "node:crypto";
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Definition } from "../../shared/definition/schema.ts";
import { type Bus, bringUpBus } from "./bus.ts";
import { type Certificates, certifyDoor, makeCertificates } from "./certificates.ts";
import { missing, type Say } from "./child.ts";
import { type Database, openDatabase, type Role, withoutPassword } from "./database.ts";
import { keepUp } from "./keep-up.ts";
import { builtPage } from "./page.ts";
import { removePostgres, startPostgres } from "./postgres.ts";
import { type Child, supervise } from "./processes.ts";
import {
  type NatsSeed,
  nameOnCertificate,
  SERVICES,
  type SecretFiles,
  type Secrets,
  type ServiceName,
  writeSecret,
  writeSecrets,
} from "./secrets.ts";
import { startWitnesses, writeAddresses } from "./witnesses.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

/** The exercise that a stack runs: the signed definition and every key that it names. */
export interface Exercise {
  definition: { bytes: Uint8Array; signatures: unknown; read: Definition; hash: string };
  secrets: Secrets;
}

/** By state: seconds after its close, and the share of its units that has reported by then; both rise. */
export type Curves = Readonly<Record<string, readonly (readonly [number, number])[]>>;

export interface StackOptions {
  /** A folder that belongs to this stack alone. One that a stopped stack kept is taken up where it was left. */
  folder: string;
  /** Makes the exercise of a fresh folder; not called when the folder holds one. */
  makeExercise: () => Promise<Exercise>;
  /** Leave database, streams and files where they are when the stack stops. */
  keepData: boolean;
  /** What is expected of the states' feeds, for watch: points of seconds after the close and share of the units. */
  curves?: (() => Curves) | undefined;
  say: Say;
  /** Servers that are there already; without them the stack starts its own. */
  databaseUrl?: string | undefined;
  natsUrl?: string | undefined;
}

export interface Stack {
  addresses: { ingest: string; release: string; watch: string };
  /** A link that signs one operator in at watch, once. */
  signIn: string;
  /** The file of the token with which scripts read watch. */
  watchToken: string;
  /** Files that a person or a client reads: the definition's bytes and the folder of JWKs. */
  definitionFile: string;
  keysFolder: string;
  database: Database;
  services: ReadonlyMap<ServiceName, Child>;
  /** Each would be run by somebody else; an exercise brings its own. */
  witnesses: readonly Child[];
  /** Process ids, at this moment, of the servers that the stack itself runs. */
  servers: ReadonlyMap<"Postgres" | "NATS", () => number>;
  /** Ends every child, the last started first. */
  stop(): Promise<void>;
}

/** Something that was started and must be ended; `stop` ends them in reverse order and tells every failure. */
type Ending = () => Promise<void>;

/** What has been started so far. */
export interface Parts {
  endings: Ending[];
  servers: Map<"Postgres" | "NATS", () => number>;
}

/**
 * Brings the whole system up on this machine: Postgres, NATS, and each service as a process of its own, bound to loopback.
 * If any part fails to start, what was started is ended again.
 */
export async function startStack(options: StackOptions): Promise<Stack> {
  const parts: Parts = { endings: [], servers: new Map() };
  try {
    return await bringUp(options, parts);
  } catch (error) {
    await endAll(parts.endings);
    throw error;
  }
}

async function bringUp(options: StackOptions, parts: Parts): Promise<Stack> {
  const { folder, say } = options;
  const { endings, servers } = parts;
  const page = builtPage(say);
  void page.catch(() => undefined); // told where it is awaited
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const before = await readKept(folder);
  const clients = ["postgres", ...[...SERVICES, "stack" as const].map(nameOnCertificate)];
  const certificates = await makeCertificates(join(folder, "certificates"), clients, Date.now());
  const started = await Promise.allSettled([
    bringUpDatabase(options, before?.database, certificates, parts),
    bringUpBus(options, before?.users, certificates, parts),
  ]);
  const failed = started.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  const [database, bus] = started.map((result) => (result as PromiseFulfilledResult<unknown>).value) as [Database, Bus];
  // The servers stand: only now are the instants of a fresh exercise fixed, so that a slow start takes nothing from them.
  const files = await prepareFiles(options, before);
  const kept: Kept = { database: database.name, users: bus.users, secrets: files.secrets };
  await writeSecret(keptFile(folder), JSON.stringify(kept));
  const curves = await writeCurves(folder, before === undefined ? options.curves?.() : undefined);
  const services = new Map<ServiceName, Child>();
  const common = {
    HOST: "127.0.0.1",
    PORT: "0",
    SCRUTIN_DEFINITION: files.definition,
    SCRUTIN_DEFINITION_SIGNATURES: files.signatures,
    SCRUTIN_AUTHORITY: files.authority,
    SCRUTIN_PARENT: "1",
  };
  const start = async (name: ServiceName, more: Record<string, string>) => {
    const env = { ...common, ...bus.env(name), ...more };
    const child = await supervise({
      name,
      script: join(PROJECT, "services", name, "main.ts"),
      env,
      folder,
      say,
      restart: true,
    });
    services.set(name, child);
    endings.push(() => child.stop());
    say(`${name} is up at ${child.url}`);
    return child.url;
  };
  const record = (role: Role) => recordOf(folder, database, role);
  const vault = async (name: "ledger" | "tabulate" | "recount") => ({
    ...(await record(name)),
    SCRUTIN_KEY_FILE: files.secrets.service[name],
    SCRUTIN_VAULT_KEY_FILE: files.secrets.vault,
  });
  // Before the ledger: it asks them what they hold before it writes.
  const { witnesses, addresses } = await bringUpWitnesses(options, files, parts);
  const [ledger, ingest] = await Promise.all([
    start("ledger", { ...(await vault("ledger")), SCRUTIN_WITNESSES: addresses }),
    start("ingest", await doorFiles(folder, files.secrets.door)),
  ]);
  const [tabulate, recount, release] = await Promise.all([
    start("tabulate", { ...(await vault("tabulate")), SCRUTIN_INGEST_URL: ingest }),
    start("recount", await vault("recount")),
    start("release", {
      ...(await record("release")),
      SCRUTIN_KEY_FILE: files.secrets.service.release,
      SCRUTIN_BUNDLE_FOLDER: join(folder, "bundles"),
    }),
  ]);
  const watched = JSON.stringify({ ingest, ledger, tabulate, recount, release });
  const access = await writeAccess(folder);
  const watch = await start("watch", {
    ...(await record("watch")),
    SCRUTIN_SERVICES: watched,
    SCRUTIN_DISKS: folder,
    SCRUTIN_CANARY_FOLDER: join(folder, "canary"),
    SCRUTIN_LINK_FILE: access.linkFile,
    SCRUTIN_WATCH_TOKEN_FILE: access.tokenFile,
    SCRUTIN_PAGE_FOLDER: await page,
    ...(curves === undefined ? {} : { SCRUTIN_CURVES: curves }),
  });
  return {
    addresses: { ingest, release, watch },
    signIn: `${watch}/sign-in#${access.link}`,
    watchToken: access.tokenFile,
    definitionFile: files.definition,
    keysFolder: files.secrets.people,
    database,
    services,
    witnesses,
    servers,
    stop: () => endAll(endings),
  };
}

async function endAll(endings: Ending[]): Promise<void> {
  const failures: unknown[] = [];
  for (const end of endings.splice(0).reverse()) await end().catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw new AggregateError(failures, "not everything that was started could be ended");
}

/** What a stopped stack leaves in its folder for the next start: the last file written, so a half-made folder is not taken up. */
interface Kept {
  database: string;
  users: NatsSeed[];
  secrets: SecretFiles;
}

const keptFile = (folder: string) => join(folder, "stack.json");

async function readKept(folder: string): Promise<Kept | undefined> {
  const text = await readFile(keptFile(folder), "utf8").catch(missing);
  if (text === undefined) return undefined;
  const kept = JSON.parse(text) as Kept;
  if (kept.secrets.door === undefined)
    throw new Error(
      `${folder} holds an exercise of an older version, whose definition does not name the door's key; begin another`,
    );
  return kept;
}

/** How a role reaches the database: by an address that is no secret, and the file of its password. */
async function recordOf(folder: string, database: Database, role: Role): Promise<Record<string, string>> {
  const { url, password } = withoutPassword(database.urlOf(role));
  const file = join(folder, "secrets", `${role}.password`);
  await writeSecret(file, password);
  return { DATABASE_URL: url, SCRUTIN_DATABASE_PASSWORD_FILE: file };
}

/** For operators: the secret of a link that signs one of them in, anew at every start, and a token for scripts. */
async function writeAccess(folder: string): Promise<{ link: string; linkFile: string; tokenFile: string }> {
  const link = randomBytes(24).toString("base64url");
  const linkFile = join(folder, "secrets", "watch.link");
  const tokenFile = join(folder, "secrets", "watch.token");
  await writeSecret(linkFile, `${link}\n`);
  await writeSecret(tokenFile, `${randomBytes(24).toString("base64url")}\n`);
  return { link, linkFile, tokenFile };
}

async function writeCurves(folder: string, curves: Curves | undefined): Promise<string | undefined> {
  if (curves === undefined) return undefined;
  const path = join(folder, "curves.json");
  await writeFile(path, JSON.stringify(curves));
  return path;
}

/** A fresh certificate of the kept key, by which the definition knows the door. */
async function doorFiles(folder: string, key: string): Promise<Record<string, string>> {
  const cert = join(folder, "certificates", "ingest.pem");
  await writeSecret(cert, await certifyDoor(createPrivateKey(await readFile(key)), Date.now()));
  return { SCRUTIN_TLS_CERT_FILE: cert, SCRUTIN_TLS_KEY_FILE: key };
}

async function prepareFiles({ folder, makeExercise, say }: StackOptions, kept: Kept | undefined) {
  const paths = {
    definition: join(folder, "definition.json"),
    signatures: join(folder, "definition.signatures.json"),
    authority: join(folder, "authority.json"),
  };
  if (kept !== undefined) {
    say(`taking up the exercise in ${folder}; its closing times stand`);
    return { ...paths, secrets: kept.secrets };
  }
  const { definition, secrets } = await makeExercise();
  const anchors = secrets.authority.map(({ id, publicKey }) => ({ id, publicKey }));
  await writeFile(paths.definition, definition.bytes);
  await writeFile(paths.signatures, JSON.stringify(definition.signatures));
  await writeFile(paths.authority, JSON.stringify(anchors, null, 2));
  return { ...paths, secrets: await writeSecrets(folder, secrets) };
}

async function bringUpDatabase(
  options: StackOptions,
  kept: string | undefined,
  certificates: Certificates,
  { endings, servers }: Parts,
): Promise<Database> {
  const { folder, say, databaseUrl, keepData } = options;
  let serverUrl = databaseUrl;
  if (serverUrl === undefined) {
    const data = join(folder, "postgres");
    const tls = { server: certificates.postgres, admin: certificates.client("postgres") };
    const {
      first: server,
      pid,
      stop,
    } = await keepUp(
      "Postgres",
      (port) => startPostgres({ folder: data, say, tls, ...(port !== undefined && { port }) }),
      say,
    );
    endings.push(async () => {
      await stop();
      if (!keepData) await removePostgres(data);
    });
    servers.set("Postgres", pid);
    serverUrl = server.url;
    say(`Postgres is up on port ${server.port}`);
  }
  const clientOf = databaseUrl === undefined ? certificates.client : undefined;
  const database = await openDatabase(serverUrl, kept, clientOf);
  if (databaseUrl !== undefined) {
    say(`using the Postgres of DATABASE_URL, database ${database.name}`);
    if (!keepData) endings.push(() => database.drop());
  }
  return database;
}

async function bringUpWitnesses(
  { folder, say }: StackOptions,
  { definition, secrets: { witnesses: files } }: { definition: string; secrets: SecretFiles },
  { endings }: Parts,
): Promise<{ witnesses: Child[]; addresses: string }> {
  const read = JSON.parse(await readFile(definition, "utf8")) as Definition;
  const started = (child: Child) => void endings.push(() => child.stop());
  const witnesses = await startWitnesses(files, read, { folder, say, started });
  return { witnesses, addresses: await writeAddresses(folder, files, witnesses) };
}

/** A fresh folder for one stack; others may enter it, as the user that Postgres runs as must, but not look around. */
export async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "scrutin-"));
  await chmod(folder, 0o711);
  return folder;
}

/** Removes a stack's folder: figures, keys and logs of an exercise that is over. */
export async function removeFolder(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}
