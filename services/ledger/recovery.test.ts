import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import { createHeardLog } from "../../shared/platform/log-fixture.ts";
import { openPool } from "../../shared/platform/postgres.ts";
import { watchForRecovery } from "../../shared/platform/recovery-decision.ts";
import { type DataKey, rewrapDataKey } from "../../shared/platform/seal.ts";
import { vaultOf } from "../../shared/platform/vault-fixture.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import {
  cuttingProxy,
  dataKeyFor,
  eventually,
  type LedgerHere,
  type LedgerOptions,
  runLedger,
  writes,
} from "../../test/ledger.ts";
import { openWire, type Wire } from "../../test/send.ts";
import { StartRefused } from "./given.ts";
import { givenRecovery, readGivenRecovery } from "./recovery.ts";

/** The ledger with the recovery key: nothing is written before the decision to use it, and that is written once. */

let harness: Harness;
let ledger: LedgerHere | undefined;
let wire: Wire;

beforeEach(async () => {
  harness = await startHarness();
  wire = await openWire(harness.sample, await harness.nats("ingest"));
});
afterEach(async () => {
  await stop();
  await harness.close();
});

async function stop(): Promise<void> {
  const here = ledger;
  ledger = undefined;
  await here?.stop();
}
/** Starts the ledger and waits until it writes; rejects with why it does not. */
async function write(options: LedgerOptions = {}): Promise<void> {
  await stop();
  ledger = await runLedger(harness, options);
  await writes(ledger);
}

const tally = (sequence: number) => {
  const tallies = [sampleTally("AT-2", { version: sequence })];
  const statement = { type: "tally", ...sampleCommon(harness.sample, "AT", sequence), tallies } as const;
  return signSample(harness.sample, statement, "AT-1");
};
const decision = (more: object = {}, ...by: string[]) => {
  const said = { type: "decision", decision: "recover", about: "EU", reason: "the key was lost", ...more };
  const statement = { ...sampleCommon(harness.sample, "EU", 1), ...said } as Statement;
  return signSample(harness.sample, statement, ...(by.length === 0 ? ["trustee-2", "trustee-1"] : by));
};
const recovering = async (jws?: Uint8Array) => ({
  recovering: { given: jws === undefined ? undefined : await givenRecovery(jws, harness.sample) },
});
const size = async () => (await harness.query<{ size: number }>("select size::int from ledger.head"))[0]?.size;
const types = async () =>
  (await harness.query<{ type: string }>("select type from ledger.entry order by index")).map(({ type }) => type);
/** As a count sees it, with the recovery key. */
const isDecided = async () => {
  const { definition, hash } = harness.sample;
  const pool = openPool({ url: harness.databaseUrl("recount"), service: "recount", log: createHeardLog().log });
  const vault = vaultOf(harness.sample, "recovery");
  return watchForRecovery({ pool, definition, hash, vault })().finally(() => pool.end());
};

describe("the recovery key", () => {
  it("writes nothing before two trustees' decision, and then the decision first", async () => {
    await write();
    const [bytes, receipt] = [tally(1), await wire.send(tally(1))];
    await expect(write(await recovering())).rejects.toThrow(StartRefused);
    expect(await isDecided()).toBe(false);
    await stop();
    expect(await types()).toEqual(["definition", "tally"]);
    await write(await recovering(decision()));
    expect(await types()).toEqual(["definition", "tally", "decision"]);
    expect(await isDecided()).toBe(true);
    expect(await wire.ask(bytes)).toBe(receipt);
    await wire.send(tally(2));
    await write(await recovering());
    await wire.send(tally(3));
    expect(await types()).toEqual(["definition", "tally", "decision", "tally", "tally"]);
  });

  it("is used as well when the decision came by the door, while the vault's own key was there", async () => {
    await write();
    await wire.send(decision());
    await write(await recovering());
    await wire.send(tally(1));
    expect(await types()).toEqual(["definition", "decision", "tally"]);
  });

  it.each<[string, object, string[]]>([
    ["one trustee decided", {}, ["trustee-1"]],
    ["one person decided twice", {}, ["trustee-1", "trustee-1"]],
    ["offices decided", {}, ["AT-1", "AT-2"]],
    ["a trustee and an office decided", {}, ["trustee-1", "AT-1"]],
    ["it was decided for another definition", { definition: "0".repeat(64) }, []],
    ["it is another decision", { decision: "resume", about: "AT" }, []],
  ])("is not used when %s", async (_, more, by) => {
    await expect(recovering(decision(more, ...by))).rejects.toThrow(
      /^SCRUTIN_RECOVERY_DECISION: .* Nothing was written\.$/,
    );
  });

  it("is not used with a decision that the log does not accept, nor with one that it has quarantined", async () => {
    await write();
    const hold = { type: "decision", decision: "hold", about: "AT", reason: "a doubt" };
    await wire.send(
      signSample(harness.sample, { ...hold, ...sampleCommon(harness.sample, "EU", 1) } as Statement, "trustee-2"),
    );
    await expect(write(await recovering(decision()))).rejects.toThrow(/the log does not accept it \(F\.\d+\)/);
    expect(await size()).toBe(2);
    await write();
    await wire.send(decision());
    expect(await size()).toBe(3);
    expect(await isDecided()).toBe(false);
    await expect(write(await recovering(decision()))).rejects.toThrow("the log holds no decision to use it");
    expect(await size()).toBe(3);
  });

  it.each(["before-commit", "after-commit"] as const)("is decided once: cut %s", async (where) => {
    await write();
    await wire.send(tally(1));
    await stop();
    const proxy = await cuttingProxy(harness.databaseUrl("ledger"));
    proxy.cutNext(where);
    await write({ ...(await recovering(decision())), databaseUrl: proxy.url });
    expect(proxy.cuts()).toBe(1);
    await wire.send(tally(2));
    expect(await types()).toEqual(["definition", "tally", "decision", "tally"]);
    await stop();
    await proxy.close();
  });
});

/**
 * Only its recipient can tell whether a half of a wrapped data key opens (RFC 9180). A door, or whoever can write to the bus as one, may put
 * anything into the other half: what the ledger has given a receipt for is opened by either key all the same.
 */
describe("a data key that one half of does not open", () => {
  const [VAULT_HALF, RECOVERY_HALF] = [0, 80];
  const flippedIn = ({ wrapped, ...key }: DataKey, half: number): DataKey => {
    const changed = Buffer.from(wrapped);
    changed.writeUInt8(changed.readUInt8(half + 79) ^ 1, half + 79);
    return { ...key, wrapped: changed };
  };
  const wireOf = async (key: DataKey) => openWire(harness.sample, await harness.nats("ingest"), key);
  const dataKeys = () => harness.query<{ wrapped: Buffer }>("select wrapped from ledger.data_key");

  it("loses nothing with the vault's key: the recovery half is the ledger's own", async () => {
    await write();
    const key = await dataKeyFor(harness.sample);
    const [broken, whole] = [await wireOf(flippedIn(key, RECOVERY_HALF)), await wireOf(key)];
    const first = await broken.send(tally(1));
    await whole.send(tally(2)); // the same key: its id is its own, however the other half came
    await broken.send(tally(3));
    const [kept, ...more] = await dataKeys();
    expect(more).toEqual([]);
    expect(kept?.wrapped.subarray(0, RECOVERY_HALF)).toEqual(Buffer.from(key.wrapped.subarray(0, RECOVERY_HALF)));
    await write(); // and so it is read anew
    await broken.send(tally(4));
    await write(await recovering(decision()));
    expect(await whole.ask(tally(1))).toBe(first);
    expect(await types()).toEqual(["definition", "tally", "tally", "tally", "tally", "decision"]);
  });

  it("loses nothing with the recovery key: the vault's half is the ledger's own", async () => {
    await write(await recovering(decision()));
    const key = await dataKeyFor(harness.sample);
    await (await wireOf(flippedIn(key, VAULT_HALF))).send(tally(1));
    await (await wireOf(key)).send(tally(2));
    await write();
    await wire.send(tally(3));
    expect(await types()).toEqual(["definition", "decision", "tally", "tally", "tally"]);
  });

  it("takes no other key under its id for it, though the half that is not opened is the same", async () => {
    const [key, other] = [await dataKeyFor(harness.sample), await dataKeyFor(harness.sample)];
    const { publicKey: vaultPublicKey, recoveryKey: recoveryPublicKey } = harness.sample.definition.vault;
    const bound = { definition: harness.sample.hash, vaultPublicKey, recoveryPublicKey, opened: "vault" } as const;
    const wrapped = await rewrapDataKey({ ...key, key: other.key, ...bound });
    await write(await recovering(decision()));
    await (await wireOf(key)).send(tally(1));
    const forged = await wireOf({ id: key.id, key: other.key, wrapped });
    await forged.publish(tally(2));
    await eventually(() => ledger?.logged.some(({ about }) => about === "key id") === true);
    await wire.send(tally(3));
    await write(await recovering());
    expect(await types()).toEqual(["definition", "decision", "tally", "tally"]);
  });
});

describe("the file of the decision", () => {
  it("is named with the recovery key only, and must be there", async () => {
    const [own, rebuilt] = [vaultOf(harness.sample), vaultOf(harness.sample, "recovery")];
    expect(await readGivenRecovery(undefined, harness.sample, rebuilt)).toBeUndefined();
    const missing = `${harness.folder}/nowhere.jws`;
    await expect(readGivenRecovery(missing, harness.sample, own)).rejects.toThrow("the vault's own, which is not lost");
    await expect(readGivenRecovery(missing, harness.sample, rebuilt)).rejects.toThrow("cannot be read (ENOENT)");
  });
});
