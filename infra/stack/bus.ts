import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { connect, type NatsConnection, nkeyAuthenticator } from "nats";
import { createStreams, inboxOf, natsTls, STREAMS } from "../../shared/platform/nats.ts";
import type { Certificates, ClientFiles } from "./certificates.ts";
import { keepUp } from "./keep-up.ts";
import { startNats } from "./nats.ts";
import { findNatsServer } from "./nats-server.ts";
import { CROSSING, makeNatsUsers, type NatsSeed, nameOnCertificate, natsUserOf, type ServiceName } from "./secrets.ts";
import type { Parts, StackOptions } from "./stack.ts";

/** The stack's NATS, its streams made. */
export interface Bus {
  users: NatsSeed[];
  /** What a service needs in its environment to reach it. */
  env(service: ServiceName): Record<string, string>;
}

/**
 * Starts a nats-server that asks everyone for a certificate and an NKEY, or takes the one that is there. `kept` are the users of an
 * earlier start in the folder.
 */
export async function bringUpBus(
  options: StackOptions,
  kept: NatsSeed[] | undefined,
  certificates: Certificates,
  parts: Parts,
): Promise<Bus> {
  const { say, natsUrl, keepData } = options;
  if (natsUrl === undefined) return bringUpOwn(options, kept, certificates, parts);
  say("using the NATS server of NATS_URL");
  await prepareStreams({ url: natsUrl }, kept === undefined);
  if (!keepData) parts.endings.push(() => removeStreams({ url: natsUrl }));
  return { users: [], env: () => ({ NATS_URL: natsUrl }) };
}

async function bringUpOwn(
  { folder, say }: StackOptions,
  kept: NatsSeed[] | undefined,
  certificates: Certificates,
  { endings, servers }: Parts,
): Promise<Bus> {
  const users = kept?.map(natsUserOf) ?? (await makeNatsUsers(folder));
  const binary = await findNatsServer({ say });
  const tls = certificates.nats;
  const { first, pid, stop } = await keepUp(
    "NATS",
    (port) =>
      startNats({
        folder: join(folder, "nats"),
        binary,
        users,
        crossing: CROSSING,
        say,
        tls,
        ...(port !== undefined && { port }),
      }),
    say,
  );
  endings.push(stop);
  servers.set("NATS", pid);
  say(`NATS is up on port ${first.port}`);
  const accessOf = (name: NatsSeed["name"]): Access => {
    const seedFile = users.find((user) => user.name === name)?.file;
    return { url: first.url, seedFile, tls: certificates.client(nameOnCertificate(name)) };
  };
  await prepareStreams(accessOf("stack"), false);
  return { users, env: (service) => environmentOf(accessOf(service)) };
}

interface Access {
  url: string;
  seedFile?: string | undefined;
  tls?: ClientFiles;
}

function environmentOf({ url, seedFile = "", tls }: Access): Record<string, string> {
  const files = tls && { NATS_CA_FILE: tls.ca, NATS_CERT_FILE: tls.cert, NATS_CERT_KEY_FILE: tls.key };
  return { NATS_URL: url, NATS_NKEY_FILE: seedFile, ...files };
}

async function openBus({ url, seedFile, tls }: Access): Promise<NatsConnection> {
  const seed = seedFile === undefined ? {} : { authenticator: nkeyAuthenticator(await readFile(seedFile)) };
  const secured = tls === undefined ? {} : { tls: natsTls(await readClient(tls)) };
  return connect({ servers: url, name: "stack", inboxPrefix: inboxOf("stack"), ...seed, ...secured });
}

async function readClient({ ca, cert, key }: ClientFiles) {
  const [authority, certificate, privateKey] = await Promise.all([ca, cert, key].map((file) => readFile(file, "utf8")));
  return { ca: authority ?? "", cert: certificate ?? "", key: privateKey ?? "" };
}

/** Makes the streams; where they must not be there yet, a server that carries another election is refused. */
async function prepareStreams(access: Access, mustBeNew: boolean): Promise<void> {
  const nc = await openBus(access);
  try {
    const { streams } = await nc.jetstreamManager();
    for await (const { config } of streams.list()) {
      if (mustBeNew && OUR_STREAMS.includes(config.name)) {
        throw new Error(
          `the NATS server of NATS_URL already carries an election (stream ${config.name}); use another server or account`,
        );
      }
    }
    await createStreams(nc);
  } finally {
    await nc.close();
  }
}

async function removeStreams(access: Access): Promise<void> {
  const nc = await openBus(access);
  try {
    const { streams } = await nc.jetstreamManager();
    for (const name of OUR_STREAMS) await streams.delete(name);
  } finally {
    await nc.close();
  }
}

const OUR_STREAMS: readonly string[] = Object.values(STREAMS);
