import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Postgres, removePostgres, startPostgres } from "../stack/postgres.ts";
import { dumpSchema } from "./dump.ts";
import { migrate } from "./migrate.ts";

/** A trigger, a grant or a wall that goes missing in a migration shows in review only if the dump beside it is the true one. */

let root = "";
let postgres: Postgres;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "scrutin-dump-"));
  postgres = await startPostgres({ folder: join(root, "postgres"), say: () => {} });
});
afterAll(async () => {
  await postgres.stop();
  await removePostgres(join(root, "postgres"));
  await rm(root, { recursive: true });
});

it("schema.sql is what the migrations make: npx tsx infra/migrations/migrate.ts --dump", async () => {
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  try {
    await migrate(client);
    const committed = await readFile(fileURLToPath(new URL("schema.sql", import.meta.url)), "utf8");
    expect(await dumpSchema(client)).toBe(committed);
  } finally {
    await client.end();
  }
});
