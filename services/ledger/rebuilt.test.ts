import { createHash, randomBytes } from "node:crypto";
import type { PoolClient } from "pg";
import { afterEach, beforeEach, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import { signCheckpoint } from "../../shared/ledger/checkpoint.ts";
import { canonical, type Judgement } from "../../shared/ledger/entry.ts";
import { open as openSeal, seal } from "../../shared/platform/seal.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { buildSequencer, dataKeyFor, sealedFor } from "../../test/ledger.ts";
import { openWrittenLog, speakers } from "../../test/written-log.ts";
import { openLog } from "./rebuild.ts";
import { LogBroken } from "./receipts.ts";
import { openAll, writeOpened } from "./sequencer.ts";

/** Head, leaves and signed checkpoint must say the same: two of them together do not outvote the third. */

let harness: Harness;
let built: ReturnType<typeof buildSequencer>;
let session: PoolClient;

beforeEach(async () => {
  harness = await startHarness();
  built = buildSequencer(harness, await harness.nats("services"));
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

it("a statement that was accepted and could not have been is not written on", async () => {
  const { sample } = harness;
  const say = speakers(sample);
  const rotates = (id: string): Statement => {
    const key = { id, publicKey: sample.keys.get("AT-2")?.jwk.x ?? "" };
    return { type: "key", ...say.common("AT", "AT-1"), change: "rotate", replaces: "AT-1", key };
  };
  const written = await openWrittenLog(harness.databaseUrl("ledger"), sample);
  await written.append(say.signed(rotates("AT-2"), "AT-1", "AT-2"));
  await written.close();
  await expect(open()).rejects.toThrow(LogBroken);
  await expect(open()).rejects.toThrow("entry 1: it was accepted, and could not have been");
});

it("a judgement that somebody with the data key has sealed anew is not believed", async () => {
  const { sample } = harness;
  const key = await dataKeyFor(sample);
  const statement: Statement = { type: "tally", ...sampleCommon(sample, "AT", 1), tallies: [sampleTally()] };
  const bytes = signSample(sample, statement, "AT-1");
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const wire = sealedFor(key, sha256, bytes, "receipt.x");
  const { nc } = built.seq;
  const subject = `test.${randomBytes(8).toString("hex")}`;
  const subscription = nc.subscribe(subject, { max: 1 });
  nc.publish(subject, wire.data, { headers: wire.headers });
  for await (const msg of subscription)
    await writeOpened(built.seq, session, await open(), await openAll(built.seq, [msg]));

  const [row] = await harness.query<{ judgement: Buffer }>("select judgement from ledger.statement");
  const text = Buffer.from(openSeal(key.key, "judgement", sha256, row?.judgement ?? Buffer.alloc(0))).toString("utf8");
  const judged = JSON.parse(text) as Judgement;
  expect(judged.verdict).toBe("accepted");
  const put = async (judgement: Judgement) => {
    const sealed = seal(key.key, "judgement", sha256, Buffer.from(canonical(judgement), "utf8"));
    await harness.query("update ledger.statement set judgement = $1", [sealed]);
  };
  await harness.query("alter table ledger.statement disable trigger all");
  await put({ ...judged, verdict: "quarantined", findings: [{ code: "F.301", unit: "AT-1" }] });
  await expect(open()).rejects.toThrow(LogBroken);
  await put(judged);
  expect((await open()).frontier.size).toBe(2);
});
