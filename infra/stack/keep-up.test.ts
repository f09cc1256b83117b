import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, describe, expect, it } from "vitest";
import { keepUp } from "./keep-up.ts";
import { startNats } from "./nats.ts";
import { findNatsServer } from "./nats-server.ts";
import { removePostgres, startPostgres } from "./postgres.ts";

/** kill -9 of a server that the services lean on: it is back on its port, with what it held. */

const said: string[] = [];
const say = (line: string) => void said.push(line);
const endings: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const end of endings.reverse()) await end();
});
const fresh = (name: string) => mkdtemp(join(tmpdir(), `keep-up-${name}-`));

describe("a server that is killed", () => {
  it("Postgres comes back on its port with its rows, and ends when it is stopped", async () => {
    const folder = await fresh("postgres");
    const { first, pid, stop } = await keepUp(
      "Postgres",
      (port) => startPostgres({ folder, say, ...(port !== undefined && { port }) }),
      say,
    );
    endings.push(async () => {
      await stop();
      await removePostgres(folder);
    });
    const ask = async (sql: string) => {
      const client = new pg.Client({ connectionString: first.url });
      client.on("error", () => undefined); // the server is killed under it
      try {
        await client.connect();
        return (await client.query(sql)).rows;
      } finally {
        await client.end().catch(() => undefined);
      }
    };
    await ask("create table kept as select 7 as figure");
    process.kill(first.pid, "SIGKILL");
    await expect
      .poll(() => ask("select figure from kept").catch(() => []), { timeout: 30_000 })
      .toEqual([{ figure: 7 }]);
    expect(pid()).not.toBe(first.pid);
    expect(said).toContain(`Postgres is up again on port ${first.port}`);
  });

  it("NATS comes back on its port", async () => {
    const folder = await fresh("nats");
    const binary = await findNatsServer({ say });
    const { first, pid, stop } = await keepUp(
      "NATS",
      (port) => startNats({ folder, binary, users: [], say, ...(port !== undefined && { port }) }),
      say,
    );
    process.kill(first.pid, "SIGKILL");
    await expect.poll(() => said, { timeout: 30_000 }).toContain(`NATS is up again on port ${first.port}`);
    const again = pid();
    expect(again).not.toBe(first.pid);
    await stop();
    expect(() => process.kill(again, 0)).toThrow();
  });
});
