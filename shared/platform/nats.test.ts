import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AckPolicy, type NatsConnection, nkeys, RetentionPolicy } from "nats";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type Nats, type NatsUser, startNats } from "../../infra/stack/nats.ts";
import { findNatsServer, type NatsServer } from "../../infra/stack/nats-server.ts";
import { createHeardLog } from "./log-fixture.ts";
import { createStreams, LEDGER_CONSUMER, natsTime, openNats, STREAMS, SUBJECTS, streamConfigs } from "./nats.ts";

let root = "";
let binary: NatsServer;
let nats: Nats;
const { log, heard } = createHeardLog();
const say = () => undefined;
const opened: NatsConnection[] = [];

const KEYS = { stack: nkeys.createUser(), clock: nkeys.createUser(), stranger: nkeys.createUser() };
const seedFile = (name: keyof typeof KEYS) => join(root, `${name}.nkey`);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "scrutin-platform-"));
  binary = await findNatsServer({ say });
  for (const [name, key] of Object.entries(KEYS))
    await writeFile(join(root, `${name}.nkey`), `${new TextDecoder().decode(key.getSeed())}\n`, { mode: 0o600 });
  nats = await startNats({ folder: join(root, "nats"), binary, users: users(), say });
}, 300_000);
afterEach(async () => {
  for (const nc of opened.splice(0)) await nc.close();
});
afterAll(async () => {
  await nats.stop();
  await rm(root, { recursive: true, force: true });
});

/** The stack may do everything; `clock` only what a service needs to ask NATS for the time. */
function users(): NatsUser[] {
  const all = { allow: [">"] };
  const ask = { allow: [SUBJECTS.beat("ledger"), "$JS.API.STREAM.MSG.GET.CLOCK"] };
  return [
    { name: "stack", nkeyPublic: KEYS.stack.getPublicKey(), permissions: { publish: all, subscribe: all } },
    {
      name: "clock",
      nkeyPublic: KEYS.clock.getPublicKey(),
      permissions: { publish: ask, subscribe: { allow: ["_INBOX.>"] } },
    },
  ];
}

async function open(name: keyof typeof KEYS, url = nats.url): Promise<NatsConnection> {
  const nc = await openNats({ url, nkeyFile: seedFile(name), service: name, log });
  opened.push(nc);
  return nc;
}

describe("the streams", () => {
  it("are made once, made again without harm, and are what the ledger needs", async () => {
    const nc = await open("stack");
    await createStreams(nc);
    await nc.jetstream().publish(SUBJECTS.statement("IT"), Buffer.from("sealed"), { msgID: "a" });
    await createStreams(nc);
    const jsm = await nc.jetstreamManager();
    const { config, state } = await jsm.streams.info(STREAMS.statements);
    expect(state.messages).toBe(1);
    expect(config).toMatchObject({
      subjects: ["statement.*"],
      retention: RetentionPolicy.Workqueue,
      discard: "new",
      storage: "file",
      deny_delete: true,
      deny_purge: true,
      max_bytes: 1024 ** 3,
      max_msg_size: 2 * 1024 ** 2,
    });
    const consumer = await jsm.consumers.info(STREAMS.statements, LEDGER_CONSUMER);
    expect(consumer.config).toMatchObject({
      ack_policy: AckPolicy.Explicit,
      max_ack_pending: 4096,
      ack_wait: 3_000_000_000,
      durable_name: "ledger",
    });
    const again = await nc.jetstream().publish(SUBJECTS.statement("IT"), Buffer.from("sealed"), { msgID: "a" });
    expect(again.duplicate).toBe(true);
    await expect(jsm.streams.purge(STREAMS.statements)).rejects.toThrow();
    const message = await (await nc.jetstream().consumers.get(STREAMS.statements, LEDGER_CONSUMER)).next();
    expect(message?.string()).toBe("sealed");
    expect(await message?.ackAck()).toBe(true);
    expect((await jsm.streams.info(STREAMS.statements)).state.messages).toBe(0);
  });

  it("are brought to their configuration when an older one is there", async () => {
    const nc = await open("stack");
    await createStreams(nc);
    const jsm = await nc.jetstreamManager();
    await jsm.streams.update(STREAMS.events, { max_msgs_per_subject: 7, subjects: ["ledger.appended"] });
    await createStreams(nc);
    const [, events] = streamConfigs();
    expect((await jsm.streams.info(STREAMS.events)).config).toMatchObject({
      max_msgs_per_subject: events.max_msgs_per_subject,
      subjects: events.subjects,
    });
  });

  it("carry a statement of 1 MiB with room for its seal", async () => {
    const nc = await open("stack");
    await createStreams(nc);
    const { stream } = await nc.jetstream().publish(SUBJECTS.statement("DE"), new Uint8Array(1_048_576 + 65_536));
    expect(stream).toBe(STREAMS.statements);
    const consumer = await nc.jetstream().consumers.get(STREAMS.statements, LEDGER_CONSUMER);
    expect(await (await consumer.next())?.ackAck()).toBe(true);
  });
});

describe("the clock of NATS", () => {
  it("is read with no more rights than a service has, and agrees with this machine's", async () => {
    await createStreams(await open("stack"));
    const nc = await open("clock");
    const before = Date.now();
    const first = await natsTime(nc, "ledger");
    const second = await natsTime(nc, "ledger");
    const after = Date.now();
    for (const time of [first, second]) {
      expect(time.getTime()).toBeGreaterThanOrEqual(before - 1);
      expect(time.getTime()).toBeLessThanOrEqual(after + 1);
    }
    expect(second.getTime()).toBeGreaterThanOrEqual(first.getTime());
    await expect(nc.jetstreamManager()).rejects.toThrow(); // it may not ask about the account
  });

  it("rejects when no answer comes", async () => {
    const nc = await open("clock");
    await nc.close();
    await expect(natsTime(nc, "ledger")).rejects.toThrow();
  });
});

describe("a connection", () => {
  it("is refused to a stranger, at once", async () => {
    await expect(open("stranger")).rejects.toThrow("refuses this service's key");
    await expect(openNats({ url: nats.url, service: "none", log })).rejects.toThrow("refuses this service's key");
  });

  it("is refused where a statement would not fit", async () => {
    const info = { server_id: "x", version: "2.10.0", proto: 1, max_payload: 1_048_576, headers: true };
    const small = createServer((socket) => {
      socket.write(`INFO ${JSON.stringify(info)}\r\n`);
      socket.on("data", (chunk) => chunk.includes("PING") && socket.write("PONG\r\n"));
      socket.on("error", () => undefined);
    });
    await new Promise<void>((resolve) => small.listen(0, "127.0.0.1", resolve));
    const { port } = small.address() as { port: number };
    await expect(openNats({ url: `nats://127.0.0.1:${port}`, service: "x", log })).rejects.toThrow(
      "set max_payload to 2 MiB",
    );
    await new Promise((resolve) => small.close(resolve));
  });

  it("comes back after the server was away, and says so in the log", async () => {
    const folder = join(root, "away");
    const first = await startNats({ folder, binary, users: users(), say });
    const nc = await open("stack", first.url);
    await createStreams(nc);
    const [away, back] = ["disconnect", "reconnect"].map((wanted) => heard(({ status }) => status === wanted));
    await first.stop();
    await away;
    const second = await startNats({ folder, binary, users: users(), say, port: first.port });
    await back;
    await natsTime(nc, "ledger");
    await nc.close();
    await second.stop();
  });

  it("waits for a server that is not up yet", async () => {
    const folder = join(root, "late");
    const first = await startNats({ folder, binary, users: users(), say });
    await first.stop();
    const said = heard(({ msg }) => msg === "waiting for nats");
    const waiting = open("stack", first.url);
    await said;
    const second = await startNats({ folder, binary, users: users(), say, port: first.port });
    const nc = await waiting;
    expect(nc.isClosed()).toBe(false);
    await nc.close();
    await second.stop();
  });

  it("does not take a seed that others can read", async () => {
    await chmod(seedFile("clock"), 0o640);
    const exits: unknown[] = [];
    const exit = process.exit;
    process.exit = ((code: number) => {
      exits.push(code);
      throw new Error("exit");
    }) as typeof process.exit;
    try {
      await expect(open("clock")).rejects.toThrow("exit");
    } finally {
      process.exit = exit;
      await chmod(seedFile("clock"), 0o600);
    }
    expect(exits).toEqual([78]);
  });
});
