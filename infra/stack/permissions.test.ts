import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, Empty, Events, type NatsConnection, nkeyAuthenticator } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createStreams, inboxOf, LEDGER_CONSUMER, natsTime, STREAMS, SUBJECTS } from "../../shared/platform/nats.ts";
import { type Nats, startNats } from "./nats.ts";
import { findNatsServer } from "./nats-server.ts";
import { CROSSING, makeNatsUsers, type NatsUser, SERVICES, type ServiceName, SUBJECTS_OF } from "./secrets.ts";

/**
 * What a service's NKEY may do on NATS, tried on the server itself: whichever `NATS_SERVER` names, so that the oldest and the newest
 * can be held to it.
 */

let root = "";
let nats: Nats;
let users: NatsUser[];
const open: NatsConnection[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "scrutin-permissions-"));
  const say = () => undefined;
  const binary = await findNatsServer({ say });
  users = await makeNatsUsers(root);
  nats = await startNats({ folder: join(root, "nats"), binary, users, crossing: CROSSING, say });
  const stack = await as("stack");
  await createStreams(stack);
  await stack.jetstream().publish("statement.IT", Buffer.from("sealed"));
  await stack.jetstream().publish("incident.raised.ledger", Buffer.from("{}"));
}, 300_000);
afterAll(async () => {
  for (const nc of open) await nc.close();
  await nats.stop();
  await rm(root, { recursive: true, force: true });
});

async function as(name: NatsUser["name"]): Promise<NatsConnection> {
  const seed = await readFile(users.find((user) => user.name === name)?.file ?? "");
  const authenticator = nkeyAuthenticator(seed);
  const nc = await connect({ servers: nats.url, authenticator, inboxPrefix: inboxOf(name), maxReconnectAttempts: 0 });
  open.push(nc);
  return nc;
}

/** Tries everything in `attempt` and answers the subjects that the server refused, each as "publish a.b" or "subscription a.b". */
async function refusedOf(name: ServiceName, attempt: (nc: NatsConnection) => void): Promise<string[]> {
  const nc = await as(name);
  const refused: string[] = [];
  void (async () => {
    for await (const { type, permissionContext } of nc.status())
      if (type === Events.Error) refused.push(`${permissionContext?.operation} ${permissionContext?.subject}`);
  })();
  attempt(nc);
  // Answers come in order: a refusal has arrived before the answer to a second round trip, or there is none.
  await nc.flush();
  await nc.flush();
  await nc.close();
  return refused.sort();
}

const matches = (rule: string, subject: string): boolean => {
  const [theirs, ours] = [rule.split("."), subject.split(".")];
  for (const [i, token] of theirs.entries()) {
    if (token === ">") return ours.length > i;
    if (ours[i] === undefined || (token !== "*" && token !== ours[i])) return false;
  }
  return theirs.length === ours.length;
};

const STREAM_NAMES = Object.values(STREAMS);
/** Every verb of the JetStream API that makes, changes, empties, copies or brings back, or reads what is not the asker's. */
const MANAGEMENT = [
  ...["STREAM.LIST", "STREAM.NAMES", "INFO", "STREAM.TEMPLATE.CREATE.x", "META.LEADER.STEPDOWN", "SERVER.REMOVE"],
  ...[
    "CREATE",
    "UPDATE",
    "DELETE",
    "PURGE",
    "SNAPSHOT",
    "RESTORE",
    "MSG.DELETE",
    "PEER.REMOVE",
    "LEADER.STEPDOWN",
  ].flatMap((verb) => [...STREAM_NAMES, "OTHER"].map((stream) => `STREAM.${verb}.${stream}`)),
  ...STREAM_NAMES.flatMap((stream) => [
    `CONSUMER.CREATE.${stream}`,
    `CONSUMER.CREATE.${stream}.mine`,
    `CONSUMER.CREATE.${stream}.mine.statement.*`,
    `CONSUMER.DURABLE.CREATE.${stream}.mine`,
    `CONSUMER.DURABLE.CREATE.${stream}.${LEDGER_CONSUMER}`,
    `CONSUMER.DELETE.${stream}.${LEDGER_CONSUMER}`,
    `CONSUMER.PAUSE.${stream}.${LEDGER_CONSUMER}`,
    `CONSUMER.LEADER.STEPDOWN.${stream}.${LEDGER_CONSUMER}`,
    `CONSUMER.LIST.${stream}`,
    `CONSUMER.NAMES.${stream}`,
    `CONSUMER.MSG.NEXT.${stream}.mine`,
  ]),
  "STREAM.MSG.GET.STATEMENTS",
  "DIRECT.GET.STATEMENTS",
  "DIRECT.GET.STATEMENTS.statement.IT",
  "DIRECT.GET.EVENTS",
  "DIRECT.GET.CLOCK",
].map((verb) => `$JS.API.${verb}`);

/** Everything that some service may publish, as a subject of the wire. */
const SAID = [...new Set(SERVICES.flatMap((name) => SUBJECTS_OF[name].publish))].map((rule) =>
  rule.replace(/\*$/, "IT").replace(/>$/, "1.2.3"),
);
const ELSEWHERE = [
  "$SYS.REQ.SERVER.PING",
  "$SYS.REQ.ACCOUNT.x.CLAIMS.UPDATE",
  "$KV.x.y",
  "anything",
  "statement",
  "statement.IT.x",
];
const HEARD = [
  ...[">", "*", "*.*", "_INBOX.>", "_INBOX.*", "$JS.>", "$JS.ACK.>", "$JS.API.>", "$JS.EVENT.>", "$SYS.>", "_R_.>"],
  ...["statement.>", "statement.*", "statement.IT", "release.>", "release.*", "receipt.>", "ledger.>", "ledger.*"],
  ...[
    "ledger.ask",
    "ledger.find",
    "ledger.keys",
    "ledger.key",
    "ledger.appended",
    "receipt.*",
    "incident.raised.ledger",
  ],
  ...["release.sealed", "release.published", "incident.>", "clock.beat.ledger", "clock.>"],
  ...SERVICES.map((name) => `${inboxOf(name)}.>`),
  ...SERVICES.map((name) => `${inboxOf(name)}.abc.1`),
];

describe.each(SERVICES.map((name) => [name] as const))("the NKEY of %s", (name) => {
  const rules = SUBJECTS_OF[name];
  const mayPublish = (subject: string) => rules.publish.some((rule) => matches(rule, subject));

  it("has no verb of JetStream's management, and reads no statement that is not handed to it", async () => {
    const refused = await refusedOf(name, (nc) => {
      for (const subject of MANAGEMENT) nc.publish(subject, Empty);
    });
    expect(refused).toEqual(MANAGEMENT.map((subject) => `publish ${subject}`).sort());
  });

  it("says only what its own lines allow", async () => {
    const said = [...SAID, ...ELSEWHERE, ...SERVICES.map((other) => `${inboxOf(other)}.abc.1`)];
    const refused = await refusedOf(name, (nc) => {
      for (const subject of said) nc.publish(subject, Empty);
    });
    const expected = said.filter((subject) => !mayPublish(subject));
    expect(refused).toEqual(expected.map((subject) => `publish ${subject}`).sort());
    expect(expected.length).toBeGreaterThan(ELSEWHERE.length + 5);
  });

  it("hears only what its own lines allow: not everything, and no answer to another", async () => {
    const refused = await refusedOf(name, (nc) => {
      for (const subject of HEARD) nc.subscribe(subject);
    });
    const allowed = [...rules.subscribe, `${inboxOf(name)}.>`, `${inboxOf(name)}.abc.1`];
    // To nats-server `receipt.>` is one more subject under `receipt.*`, and nobody may say anything deeper.
    if (allowed.includes("receipt.*")) allowed.push("receipt.>");
    const expected = HEARD.filter((subject) => !allowed.includes(subject));
    expect(refused).toEqual(expected.map((subject) => `subscription ${subject}`).sort());
  });
});

it.each(SERVICES.map((name) => [name] as const))(
  "no answer that %s leads elsewhere is taken for a command",
  async (name) => {
    const nc = await as(name);
    const commands = [
      ...STREAM_NAMES.flatMap((stream) => [`STREAM.DELETE.${stream}`, `STREAM.PURGE.${stream}`]),
      `CONSUMER.DELETE.${STREAMS.statements}.${LEDGER_CONSUMER}`,
      "STREAM.CREATE.OTHER",
    ].map((verb) => `$JS.API.${verb}`);
    const said = SUBJECTS_OF[name].publish.map((rule) => rule.replace(/\*$/, "IT").replace(/>$/, "1.2.3"));
    const bodies = [
      Empty,
      Buffer.from(JSON.stringify({ batch: 1, no_wait: true })),
      Buffer.from(JSON.stringify({ seq: 1 })),
    ];
    for (const reply of commands)
      for (const subject of said) for (const body of bodies) nc.publish(subject, body, { reply });
    await nc.flush();
    // What was asked last is answered last: by then all that came before it has been done.
    await (await as("stack")).flush();
    const jsm = await (await as("stack")).jetstreamManager();
    const streams: string[] = [];
    for await (const { config } of jsm.streams.list()) streams.push(config.name);
    expect(streams.sort()).toEqual([...STREAM_NAMES].sort());
    expect((await jsm.consumers.info(STREAMS.statements, LEDGER_CONSUMER)).name).toBe(LEDGER_CONSUMER);
  },
);

it("a service that floods the events fills no disk, stops no clock and hides no other's incident", async () => {
  const flood = await as("release");
  const honest = await as("tabulate");
  await honest.jetstream().publish(SUBJECTS.incident("tabulate"), JSON.stringify({ code: "true" }));
  const refused = flood.jetstream().publish(SUBJECTS.published, new Uint8Array(1024 * 1024));
  await expect(refused).rejects.toThrow(/maximum/);
  for (let n = 0; n < 20_000; n++)
    for (const subject of [SUBJECTS.incident("release"), SUBJECTS.published])
      flood.publish(subject, new Uint8Array(4_000));
  await flood.flush();
  const time = await natsTime(honest, "tabulate");
  expect(Math.abs(time.getTime() - Date.now())).toBeLessThan(5_000);
  const jsm = await (await as("stack")).jetstreamManager();
  const { state } = await jsm.streams.info(STREAMS.events);
  expect(state.bytes).toBeLessThanOrEqual(64 * 1024 * 1024);
  const last = await jsm.streams.getMessage(STREAMS.events, { last_by_subj: SUBJECTS.incident("tabulate") });
  expect(last.json()).toEqual({ code: "true" });
});

it("the streams are as they were, whatever was tried", async () => {
  const jsm = await (await as("stack")).jetstreamManager();
  const names: string[] = [];
  for await (const { config } of jsm.streams.list()) names.push(config.name);
  expect(names.sort()).toEqual([...STREAM_NAMES].sort());
  expect((await jsm.consumers.info(STREAMS.statements, LEDGER_CONSUMER)).name).toBe(LEDGER_CONSUMER);
  // The one that was there; what ingest was allowed to publish above is empty and lies behind it.
  expect((await jsm.streams.getMessage(STREAMS.statements, { seq: 1 })).string()).toBe("sealed");
});
