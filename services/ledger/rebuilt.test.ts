import { createHash } from "node:crypto";
import type { PoolClient } from "pg";
import { afterEach, beforeEach, expect, it } from "vitest";
import { signCheckpoint } from "../../shared/ledger/checkpoint.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { buildSequencer } from "../../test/ledger.ts";
import { openLog } from "./rebuild.ts";
import { LogBroken } from "./receipts.ts";

/** Head, leaves and signed checkpoint must say the same: two of them together do not outvote the third. */

let harness: Harness;
let built: ReturnType<typeof buildSequencer>;
let session: PoolClient;

beforeEach(async () => {
  harness = await startHarness();
  built = buildSequencer(harness, await harness.nats("stack"));
  session = await built.sessions.connect();
});
afterEach(async () => {
  session.release(true);
  await Promise.all([built.sessions.end(), built.pool.end()]);
  await harness.close();
});

const open = () => openLog(session, built.seq.identity, built.seq.now());

it("a head whose root is another one is not written on", async () => {
  const { root } = await open();
  await harness.query("alter table ledger.head disable trigger all; update ledger.head set root = sha256(root)");
  await expect(open()).rejects.toThrow(LogBroken);
  await harness.query(`update ledger.head set root = '\\x${Buffer.from(root).toString("hex")}'`);
  expect((await open()).root).toEqual(root);
});

it.each([
  ["another root", 1],
  ["another size", 2],
])("a checkpoint that the ledger's own key has signed for %s is not written on", async (_, size) => {
  const { root } = await open();
  const { register, key } = built.seq.identity;
  const { origin } = register.definition;
  const other = size === 1 ? createHash("sha256").update(root).digest() : root;
  const note = await signCheckpoint({ origin, size, root: other, sign: key.sign, publicRaw: key.own.raw });
  await harness.query("alter table ledger.checkpoint disable trigger all");
  await harness.query("update ledger.checkpoint set note = $1", [note]);
  await expect(open()).rejects.toThrow(LogBroken);
});
