import { execFile, spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort, isAlive, until } from "./child.ts";
import { type Postgres, removePostgres, startPostgres } from "./postgres.ts";

const run = promisify(execFile);

let root = "";
const said: string[] = [];
const say = (line: string) => void said.push(line);

async function query(url: string, text: string): Promise<unknown[][]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<unknown[]>({ text, rowMode: "array" })).rows;
  } finally {
    await client.end();
  }
}

/** A process of its own that starts Postgres, prints what it got as JSON, and runs until it is killed. */
async function starter(folder: string, env: NodeJS.ProcessEnv = {}) {
  const script = join(root, "starter.mts");
  const module = pathToFileURL(join(import.meta.dirname, "postgres.ts")).href;
  await writeFile(
    script,
    `import { startPostgres } from ${JSON.stringify(module)};
     const postgres = await startPostgres({ folder: process.argv[2], say: () => {} });
     console.log(JSON.stringify(postgres));
     setInterval(() => {}, 1000);
     process.on("SIGTERM", async () => { await postgres.stop(); process.exit(0); });`,
  );
  const child = spawn(process.execPath, ["--import", "tsx", script, folder], {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const started = await new Promise<Postgres>((resolve, reject) => {
    child.stdout.once("data", (chunk) => resolve(JSON.parse(String(chunk)) as Postgres));
    child.once("exit", (code) => reject(new Error(`the starter exited with ${code}`)));
  });
  return { child, started };
}

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "scrutin-postgres-")));
  // Under root the database runs as another user, who must be able to enter.
  await chmod(root, 0o755);
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe("an embedded Postgres", () => {
  it("is PostgreSQL 18, durable, on loopback only, and asks for a password", async () => {
    const postgres = await startPostgres({ folder: join(root, "one"), say });
    try {
      const names = ["server_version_num", "fsync", "synchronous_commit", "full_page_writes", "max_connections"];
      const [settings] = await query(
        postgres.url,
        `select ${names.map((name) => `current_setting('${name}')`).join()}`,
      );
      expect(Number(settings?.shift())).toBeGreaterThanOrEqual(180_000);
      expect(settings).toEqual(["on", "on", "on", "200"]);
      expect(
        await query(
          postgres.url,
          "select current_setting('listen_addresses'), current_setting('unix_socket_directories')",
        ),
      ).toEqual([["127.0.0.1", ""]]);
      await expect(query(postgres.url.replace(/:[^:@/]+@/, ":wrong@"), "select 1")).rejects.toThrow(/password/);
      expect((await stat(join(root, "one", "superuser"))).mode & 0o077).toBe(0);
    } finally {
      await postgres.stop();
    }
  });

  it("keeps data and port over a restart, and leaves no process and no password behind", async () => {
    const folder = join(root, "two");
    const before = await readdir(tmpdir());
    const first = await startPostgres({ folder, say });
    await query(first.url, "create table kept as select 42 as answer");
    await first.stop();
    await first.stop();
    expect(isAlive(first.pid)).toBe(false);
    const second = await startPostgres({ folder, say });
    expect(await query(second.url, "select answer from kept")).toEqual([[42]]);
    expect(second.url).toBe(first.url);
    await second.stop();
    const left = (await readdir(tmpdir())).filter((name) => !before.includes(name) && /pg|password/i.test(name));
    expect(left).toEqual([]);
    expect((await readdir(folder)).sort()).toEqual(["data", "port", "postgres.log", "superuser"]);
    await removePostgres(folder);
    await expect(stat(folder)).rejects.toThrow("ENOENT");
  });

  it("refuses a second stack in the same folder, and a port that is taken", async () => {
    const folder = join(root, "three");
    const first = await startPostgres({ folder, say });
    await expect(startPostgres({ folder, say })).rejects.toThrow(`process ${process.pid} already runs a Postgres`);
    const other = { folder: join(root, "four"), say, port: first.port };
    await expect(startPostgres(other)).rejects.toThrow(/Postgres did not start[\s\S]*could not bind/);
    await first.stop();
    // The refused folder is usable at once.
    await (await startPostgres(other)).stop();
  });

  it("moves to another port when its former one has been taken", async () => {
    const folder = join(root, "five");
    const first = await startPostgres({ folder, say, port: await freePort() });
    await first.stop();
    const squatter = createServer().listen(first.port, "127.0.0.1");
    const second = await startPostgres({ folder, say });
    expect(second.port).not.toBe(first.port);
    await second.stop();
    squatter.close();
  });
});

describe("when the stack is killed", () => {
  it("its guard ends the database, and the next start has every committed row", async () => {
    const folder = join(root, "six");
    const { child, started } = await starter(folder);
    await query(started.url, "create table kept as select 42 as answer");
    child.kill("SIGKILL");
    expect(await until(async () => !isAlive(started.pid) || undefined, 15_000)).toBe(true);
    const again = await startPostgres({ folder, say });
    expect(await query(again.url, "select answer from kept")).toEqual([[42]]);
    await again.stop();
  });

  it("and its guard too, the next start in the folder ends what was left behind", async () => {
    const folder = join(root, "seven");
    const { child, started } = await starter(folder);
    const { stdout } = await run("ps", ["-ww", "-A", "-o", "pid=,args="]);
    const guard = stdout.split("\n").find((line) => line.endsWith(`guard INT ${started.pid}`));
    process.kill(Number.parseInt(guard ?? "", 10), "SIGKILL");
    child.kill("SIGKILL");
    await until(async () => child.signalCode ?? undefined, 5_000);
    expect(isAlive(started.pid)).toBe(true);
    const again = await startPostgres({ folder, say });
    expect(isAlive(started.pid)).toBe(false);
    expect(said).toContain(`ending process ${started.pid}, left behind in this folder by a stack that was killed`);
    await again.stop();
  });
});

describe("a first start", () => {
  it("can be two at once with an empty cache", async () => {
    const cache = join(root, "cache");
    await mkdir(cache);
    const both = await Promise.all(
      ["eight", "nine"].map((name) => starter(join(root, name), { SCRUTIN_CACHE: cache })),
    );
    expect(both[0]?.started.port).not.toBe(both[1]?.started.port);
    for (const { child, started } of both) {
      expect(await query(started.url, "select 1")).toEqual([[1]]);
      child.kill("SIGTERM");
      expect(await until(async () => !isAlive(started.pid) || undefined, 15_000)).toBe(true);
    }
    const left = await readdir(cache);
    expect(
      left.filter((name) => !name.startsWith("postgres-")).concat(left.filter((name) => /lock|unfinished/.test(name))),
    ).toEqual([]);
  });

  it.runIf(process.getuid?.() === 0)("works as root in a folder that only root can enter", async () => {
    const closed = join(root, "closed");
    await mkdir(closed, { mode: 0o700 });
    const folder = join(closed, "stack");
    for (let start = 1; start <= 2; start++) {
      const postgres = await startPostgres({ folder, say });
      await query(postgres.url, `create table start_${start} ()`);
      if (start === 2) expect(await query(postgres.url, "select count(*)::int from start_1")).toEqual([[0]]);
      expect((await stat(join(folder, "data", "PG_VERSION"))).uid).not.toBe(0);
      expect(postgres.data.startsWith(folder)).toBe(false);
      await postgres.stop();
      if (start === 2) {
        await removePostgres(folder);
        await expect(readFile(join(postgres.data, "PG_VERSION"))).rejects.toThrow("ENOENT");
      }
    }
  });
});
