import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { connect, ErrorCode, type NatsConnection, nkeyAuthenticator, nkeys, StorageType } from "nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAlive, until } from "./child.ts";
import { type Nats, natsConfig, startNats } from "./nats.ts";
import { findNatsServer, type NatsServer } from "./nats-server.ts";

let root = "";
let binary: NatsServer;
const said: string[] = [];
const say = (line: string) => void said.push(line);

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "scrutin-nats-"));
  binary = await findNatsServer({ say });
}, 300_000);
afterAll(() => rm(root, { recursive: true, force: true }));

async function using<T>(
  url: string,
  seed: Uint8Array | undefined,
  work: (bus: NatsConnection) => Promise<T>,
): Promise<T> {
  const bus = await connect({
    servers: url,
    maxReconnectAttempts: 0,
    ...(seed && { authenticator: nkeyAuthenticator(seed) }),
  });
  try {
    return await work(bus);
  } finally {
    await bus.close();
  }
}

describe("an embedded nats-server", () => {
  it("takes 2 MiB, keeps its streams and its port over a restart, and leaves no process", async () => {
    const folder = join(root, "one");
    const first = await startNats({ folder, binary, users: [], say });
    await using(first.url, undefined, async (bus) => {
      expect(bus.info?.max_payload).toBe(2 * 1024 * 1024);
      await (await bus.jetstreamManager()).streams.add({ name: "S", subjects: ["s.>"], storage: StorageType.File });
      await bus.jetstream().publish("s.1", new Uint8Array(2 * 1024 * 1024 - 1024));
    });
    await first.stop();
    await first.stop();
    expect(isAlive(first.pid)).toBe(false);
    const second = await startNats({ folder, binary, users: [], say });
    expect(second.url).toBe(first.url);
    await using(second.url, undefined, async (bus) => {
      expect((await (await bus.jetstreamManager()).streams.info("S")).state.messages).toBe(1);
    });
    await expect(startNats({ folder, binary, users: [], say })).rejects.toThrow(`process ${process.pid} already runs`);
    await second.stop();
    expect((await readdir(folder)).filter((name) => name.endsWith(".ports") || name.endsWith(".lock"))).toEqual([]);
  });

  it("lets only its users in, each to its subjects, and to none when none are given", async () => {
    const [ledger, silent] = [nkeys.createUser(), nkeys.createUser()];
    const nats = await startNats({
      folder: join(root, "two"),
      binary,
      users: [
        {
          name: "ledger",
          nkeyPublic: ledger.getPublicKey(),
          permissions: { publish: { allow: ["a.>"], deny: ["a.secret"] }, subscribe: { allow: ["a.>"] } },
        },
        { name: "silent", nkeyPublic: silent.getPublicKey(), permissions: { publish: {}, subscribe: {} } },
      ],
      say,
    });
    const refusals = (seed: Uint8Array, subject: string) =>
      using(nats.url, seed, async (bus) => {
        const seen: string[] = [];
        void (async () => {
          for await (const { data, permissionContext } of bus.status())
            seen.push(`${data} ${permissionContext?.subject}`);
        })();
        bus.publish(subject);
        // Answers come in order: a refusal has arrived before the answer to a second round trip, or there is none.
        await bus.flush();
        await bus.flush();
        return seen;
      });
    await expect(using(nats.url, undefined, async () => {})).rejects.toMatchObject({
      code: ErrorCode.AuthorizationViolation,
    });
    await expect(using(nats.url, nkeys.createUser().getSeed(), async () => {})).rejects.toThrow();
    expect(await refusals(ledger.getSeed(), "a.b")).toEqual([]);
    expect(await refusals(ledger.getSeed(), "a.secret")).toEqual(["PERMISSIONS_VIOLATION a.secret"]);
    expect(await refusals(ledger.getSeed(), "b")).toEqual(["PERMISSIONS_VIOLATION b"]);
    expect(await refusals(silent.getSeed(), "a.b")).toEqual(["PERMISSIONS_VIOLATION a.b"]);
    await nats.stop();
  });

  it("is ended by its guard when the stack is killed", async () => {
    const folder = join(root, "three");
    const script = join(root, "starter.mts");
    const module = pathToFileURL(join(import.meta.dirname, "nats.ts")).href;
    await writeFile(
      script,
      `import { startNats } from ${JSON.stringify(module)};
       const options = { folder: ${JSON.stringify(folder)}, binary: ${JSON.stringify(binary)}, users: [], say: () => {} };
       console.log(JSON.stringify(await startNats(options)));
       setInterval(() => {}, 1000);`,
    );
    const stack = spawn(process.execPath, ["--import", "tsx", script], { stdio: ["ignore", "pipe", "inherit"] });
    const nats = await new Promise<Nats>((resolve) => {
      stack.stdout.once("data", (chunk) => resolve(JSON.parse(String(chunk)) as Nats));
    });
    expect(isAlive(nats.pid)).toBe(true);
    stack.kill("SIGKILL");
    expect(await until(async () => !isAlive(nats.pid) || undefined, 15_000)).toBe(true);
    await (await startNats({ folder, binary, users: [], say })).stop();
  });

  it("says why it did not start", async () => {
    const broken = { path: "/bin/sh", version: "2.15.0" };
    const folder = join(root, "four");
    await expect(startNats({ folder, binary: broken, users: [], say })).rejects.toThrow(/nats-server did not start/);
    await (await startNats({ folder, binary, users: [], say })).stop();
  });
});

it("writes an empty list of allowed subjects as a denial, since to NATS it means everything", () => {
  const user = {
    name: "x",
    nkeyPublic: "UX",
    permissions: { publish: { allow: [], deny: ["a"] }, subscribe: { allow: ["b"] } },
  };
  expect(natsConfig({ folder: "/f", users: [user] })).toContain(
    '{ nkey: UX, permissions: { publish: { deny: [">"] }, subscribe: { allow: ["b"] } } }',
  );
});
