import { sign } from "node:crypto";
import type { NatsConnection } from "nats";
import { afterEach, beforeEach, expect } from "vitest";
import { LogContradicted } from "../services/ledger/contradiction.ts";
import { signCheckpoint } from "../shared/ledger/checkpoint.ts";
import { consistencyProof, leafHash, rootOf } from "../shared/ledger/merkle.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually, type LedgerHere, type LedgerOptions, ledgerKeyOf, runLedger } from "./ledger.ts";
import { createSender, type Sender } from "./send.ts";
import { startWaywardWitness, type WaywardWitness } from "./wayward-witness.ts";

/** A ledger with two witnesses, anew for each test. */
export interface Witnessed {
  harness: Harness;
  bus: NatsConnection;
  one: WaywardWitness;
  two: WaywardWitness;
  sender: Sender;
  incidents: { code: string; about?: string }[];
  /** Starts the ledger; it may end at once. */
  start(options?: LedgerOptions): Promise<LedgerHere>;
  /** Starts it, and it writes. */
  write(options?: LedgerOptions): Promise<LedgerHere>;
  /** The same, with four entries that both witnesses have cosigned. */
  grown(): Promise<LedgerHere>;
  cosignatures(): Promise<Cosignature[]>;
  /** Sizes, ascending. */
  cosignedBy(witness: WaywardWitness): Promise<number[]>;
  has(witness: WaywardWitness, size: number): Promise<boolean>;
}

export interface Cosignature {
  size: number;
  witness: string;
  line: string;
  note: string;
}

/** What each test of the file gets; of the test in hand once it runs. */
export function witnessed(): Witnessed {
  const here = {} as Witnessed;
  let ledger: LedgerHere | undefined;
  beforeEach(async () => {
    const harness = await startHarness();
    const bus = await harness.nats("services");
    const incidents: Witnessed["incidents"] = [];
    bus.subscribe("incident.raised.*", { callback: (_, msg) => incidents.push(msg.json()) });
    await bus.flush();
    const one = await startWaywardWitness(harness.sample, "witness.example/1");
    const two = await startWaywardWitness(harness.sample, "witness.example/2");
    Object.assign(here, { harness, bus, incidents, one, two, sender: await createSender(harness, bus) });
  });
  afterEach(async () => {
    await ledger?.stop();
    ledger = undefined;
    await Promise.all([here.one.close(), here.two.close()]);
    await here.harness.close();
  });
  here.start = async (options) => {
    ledger = await runLedger(here.harness, { witnesses: [here.one.remote, here.two.remote], ...options });
    return ledger;
  };
  here.write = async (options) => {
    const running = await here.start(options);
    await eventually(() => running.writer.role() === "writer");
    return running;
  };
  here.grown = async () => {
    const running = await here.write();
    for (let n = 0; n < 3; n++) await here.sender.send();
    await eventually(async () => (await here.has(here.one, 4)) && here.has(here.two, 4));
    return running;
  };
  here.cosignatures = () =>
    here.harness.query<Cosignature>(
      "select c.size::int, c.witness, c.line, p.note from ledger.cosignature c join ledger.checkpoint p using (size) order by c.size, c.witness",
    );
  here.cosignedBy = async ({ remote }) =>
    (await here.cosignatures()).filter(({ witness }) => witness === remote.name).map(({ size }) => size);
  here.has = async (witness, size) => (await here.cosignedBy(witness)).includes(size);
  return here;
}

/** A tree that this log's own key has signed and the database knows nothing of: its first `size` leaves, and `more` others. */
export async function elsewhere(
  { harness }: Witnessed,
  { size, more, oldSize }: { size: number; more: number; oldSize: number },
): Promise<string> {
  const rows = await harness.query<{ leaf: Buffer }>("select leaf from ledger.entry order by index limit $1", [size]);
  const leaves = rows.map(({ leaf }) => leaf as Uint8Array);
  for (let n = 0; n < more; n++) leaves.push(leafHash(Buffer.from(`another history ${n}`)));
  const { privateKey } = harness.sample.keys.get("ledger-1")!;
  const note = await signCheckpoint({
    origin: harness.sample.definition.origin,
    size: leaves.length,
    root: rootOf(leaves),
    sign: (bytes) => sign(null, bytes, privateKey),
    publicRaw: ledgerKeyOf(harness.sample).raw,
  });
  const proof = consistencyProof(leaves, oldSize, leaves.length).map((h) => `${Buffer.from(h).toString("base64")}\n`);
  return `old ${oldSize}\n${proof.join("")}\n${note}`;
}

/** That it stops for this reason, tells it, and writes nothing more. */
export async function stops(
  { harness, bus, sender, incidents }: Witnessed,
  here: LedgerHere,
  code: LogContradicted["code"],
  says: RegExp,
): Promise<void> {
  const error = await here.ended.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  expect(error).toBeInstanceOf(LogContradicted);
  expect(here.writer.role()).toBe("stopped");
  expect(here.writer.stopped()).toMatch(says);
  expect(here.writer.stopped()).toMatch(/Nothing is written\. .*two trustees open a new origin\./);
  expect(
    here.logged.some(({ level, code: said, msg }) => level === 60 && said === code && says.test(String(msg))),
  ).toBe(true);
  await eventually(() => incidents.some((incident) => incident.code === code));
  const [before] = await harness.query<{ size: number }>("select size::int from ledger.head");
  const sha256 = await sender.publish();
  await bus.flush();
  expect(await harness.query("select size::int from ledger.head")).toEqual([before]);
  expect(sender.receiptOf(sha256)).toBeUndefined();
}
