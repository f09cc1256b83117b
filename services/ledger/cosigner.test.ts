import { sign } from "node:crypto";
import type { NatsConnection } from "nats";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { signCheckpoint } from "../../shared/ledger/checkpoint.ts";
import { verifyCosignatures } from "../../shared/ledger/cosignature.ts";
import { consistencyProof, leafHash, rootOf } from "../../shared/ledger/merkle.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { eventually, type LedgerHere, ledgerKeyOf, runLedger } from "../../test/ledger.ts";
import { createSender, type Sender } from "../../test/send.ts";
import { startWaywardWitness, type WaywardWitness, type Wrong } from "../../test/wayward-witness.ts";
import { LogContradicted } from "./contradiction.ts";

/** The ledger among witnesses that are true, away, slow, mistaken or lying. */

let harness: Harness;
let bus: NatsConnection;
let one: WaywardWitness;
let two: WaywardWitness;
let sender: Sender;
let ledger: LedgerHere | undefined;
let incidents: { code: string; about?: string }[];

beforeEach(async () => {
  harness = await startHarness();
  bus = await harness.nats("stack");
  incidents = [];
  bus.subscribe("incident.raised", { callback: (_, msg) => incidents.push(msg.json()) });
  await bus.flush();
  one = await startWaywardWitness(harness.sample, "witness.example/1");
  two = await startWaywardWitness(harness.sample, "witness.example/2");
  sender = await createSender(harness, bus);
});
afterEach(async () => {
  await ledger?.stop();
  ledger = undefined;
  await Promise.all([one.close(), two.close()]);
  await harness.close();
});

/** Starts the ledger; it may end at once. */
const start = async () => (ledger = await runLedger(harness, { witnesses: [one.remote, two.remote] }));
async function write(): Promise<LedgerHere> {
  const here = await start();
  await eventually(() => here.writer.role() === "writer");
  return here;
}

interface Cosignature {
  size: number;
  witness: string;
  line: string;
  note: string;
}
const cosignatures = () =>
  harness.query<Cosignature>(
    "select c.size::int, c.witness, c.line, p.note from ledger.cosignature c join ledger.checkpoint p using (size) order by c.size, c.witness",
  );
const cosignedBy = async ({ remote }: WaywardWitness) =>
  (await cosignatures()).filter(({ witness }) => witness === remote.name).map(({ size }) => size);
const has = async (witness: WaywardWitness, size: number) => (await cosignedBy(witness)).includes(size);

/** A tree that this log's own key has signed and the database knows nothing of: its first `size` leaves, and `more` others. */
async function elsewhere(size: number, more: number, oldSize: number): Promise<string> {
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
async function stops(here: LedgerHere, code: LogContradicted["code"], says: RegExp): Promise<void> {
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

describe("heads that were committed", () => {
  it("are cosigned by every witness, and the lines are stored that verify", async () => {
    await write();
    const { entry } = await sender.send();
    await eventually(async () => (await has(one, entry.index + 1)) && has(two, entry.index + 1));
    for (const { note, line, witness } of await cosignatures()) {
      const known = [one, two].map(({ remote }) => remote).filter(({ name }) => name === witness);
      expect(verifyCosignatures(note + line, known)).toHaveLength(1);
    }
    expect(one.sent.length).toBeGreaterThan(0);
    expect(incidents).toEqual([]);
  });

  it("are asked for together: few requests, one at a time, and heads that both have cosigned while the log grows", async () => {
    const here = await write();
    for (let n = 0; n < 150; n++) await sender.send();
    const last = here.writer.size();
    await eventually(async () => (await has(one, last)) && has(two, last));
    expect(one.sent.length).toBeLessThan(last / 2);
    expect(one.mostAtOnce()).toBe(1);
    expect(two.mostAtOnce()).toBe(1);
    const others = await cosignedBy(two);
    expect((await cosignedBy(one)).filter((size) => others.includes(size)).length).toBeGreaterThan(3);
  });

  it("are asked for again when the log is opened anew", async () => {
    const here = await write();
    await sender.send();
    await eventually(() => has(two, 2));
    await here.stop();
    two.instead = () => ({ hang: true });
    await write();
    const { entry } = await sender.send();
    await eventually(() => has(one, entry.index + 1));
    two.instead = undefined;
    await eventually(() => has(two, entry.index + 1), 30_000);
  });
});

describe("a witness that is away", () => {
  it("delays neither the start for more than seconds nor any receipt, is told, and is asked again", async () => {
    two.instead = () => ({ hang: true });
    const began = performance.now();
    await write();
    expect(performance.now() - began).toBeLessThan(6_000);
    await eventually(() =>
      incidents.some(({ code, about }) => code === "witness.away" && about === "witness.example/2"),
    );
    const sent = performance.now();
    const { entry } = await sender.send();
    expect(performance.now() - sent).toBeLessThan(2_000);
    await eventually(() => has(one, entry.index + 1));
    expect(await cosignedBy(two)).toEqual([]);
    two.instead = undefined;
    await eventually(() => has(two, entry.index + 1), 30_000);
    expect(incidents.filter(({ code }) => code === "witness.away")).toHaveLength(1);
  });

  it.each<[string, (path: string) => Wrong | undefined]>([
    ["does not know the log", () => ({ status: 404 })],
    ["does not take its key", () => ({ status: 403 })],
    ["is broken", () => ({ status: 500 })],
    ["leads elsewhere", () => ({ status: 307, location: `${one.remote.url}/add-checkpoint` })],
    ["floods", () => ({ body: "x".repeat(10_000_000) })],
    ["says yes, and nothing", (path) => (path === "/add-checkpoint" ? { status: 200 } : undefined)],
    ["says yes with a status that is not 200", (path) => (path === "/add-checkpoint" ? { status: 202 } : undefined)],
    [
      "says that it holds what this log never signed",
      () => ({ status: 200, body: "results.example.eu/sample\n9\nAAAA\n\n— x y\n" }),
    ],
  ])("or %s has no line in the database, and stops nobody", async (_, instead) => {
    two.instead = (path) => instead(path);
    await write();
    const { entry } = await sender.send();
    await eventually(() => has(one, entry.index + 1));
    await eventually(() => incidents.some(({ code }) => code === "witness.away"));
    expect(await cosignedBy(two)).toEqual([]);
  });

  it("or gives another witness' line has none in the database", async () => {
    const three = await startWaywardWitness(harness.sample, "witness.example/3");
    let given = 0;
    two.instead = async (path, body) => {
      if (path !== "/add-checkpoint") return { status: 404 };
      const answer = await three.add(body);
      if (answer.kind !== "cosigned") return { status: 500 };
      given += 1;
      return { body: answer.line };
    };
    await write();
    const { entry } = await sender.send();
    await eventually(() => has(one, entry.index + 1));
    await three.close();
    expect(given).toBeGreaterThan(0);
    expect(await cosignedBy(two)).toEqual([]);
  });

  it("or gives its own line for another checkpoint has none in the database", async () => {
    let kept: { note: string; line: string } | undefined;
    let given = 0;
    two.instead = async (path, body) => {
      if (path !== "/add-checkpoint") return { status: 404 };
      const note = body.slice(body.indexOf("\n\n"));
      if (kept === undefined) {
        const answer = await two.add(body);
        kept = { note, line: answer.kind === "cosigned" ? answer.line : "" };
      }
      if (kept.note === note) return { status: 500 };
      given += 1;
      return { body: kept.line };
    };
    await write();
    const { entry } = await sender.send();
    await eventually(() => has(one, entry.index + 1));
    await eventually(() => given > 0);
    expect(kept?.line).toContain(two.remote.name);
    expect(await cosignedBy(two)).toEqual([]);
  });
});

describe("a witness that holds what the database does not", () => {
  const grown = async () => {
    const here = await write();
    for (let n = 0; n < 3; n++) await sender.send();
    await eventually(async () => (await has(one, 4)) && has(two, 4));
    return here;
  };

  it("and is ahead of it when the log is opened: nothing is written", async () => {
    await (await grown()).stop();
    expect(await two.add(await elsewhere(4, 3, 4))).toMatchObject({ kind: "cosigned" });
    await stops(
      await start(),
      "log.behind-witness",
      /witness\.example\/2 holds a head of 7 entries, signed by this log, .* ends at 4/,
    );
  });

  it("and holds another tree of a size that it has, when the log is opened: nothing is written", async () => {
    const here = await grown();
    two.instead = () => ({ status: 503 });
    await sender.send();
    await eventually(() => has(one, 5));
    await here.stop();
    expect(await two.add(await elsewhere(4, 1, 4))).toMatchObject({ kind: "cosigned" });
    two.instead = undefined;
    await stops(await start(), "log.forked", /witness\.example\/2 holds another tree of 5 entries, signed by this log/);
  });

  it("and shows it while the log is written: nothing more is", async () => {
    const here = await grown();
    expect(await one.add(await elsewhere(4, 2, 4))).toMatchObject({ kind: "cosigned" });
    await sender.send();
    await stops(
      here,
      "log.behind-witness",
      /witness\.example\/1 holds a head of 6 entries, signed by this log, .* ends at 5/,
    );
  });

  it("and shows another tree of the same size while the log is written: nothing more is", async () => {
    const here = await grown();
    expect(await one.add(await elsewhere(4, 1, 4))).toMatchObject({ kind: "cosigned" });
    await sender.send();
    await stops(here, "log.forked", /witness\.example\/1 holds another tree of 5 entries, signed by this log/);
  });

  it("and cannot be read back, but says so at its first word: nothing is written", async () => {
    await (await grown()).stop();
    two.instead = (path) =>
      path === "/add-checkpoint" ? { status: 409, type: "text/x.tlog.size", body: "7\n" } : { status: 404 };
    await stops(
      await start(),
      "log.behind-witness",
      /holds a head of 7 entries, and .*take it out of SCRUTIN_WITNESSES/,
    );
  });

  it("and cannot be read back, but finds the tree inconsistent at its first word: nothing is written", async () => {
    await (await grown()).stop();
    two.instead = (path, body) => {
      if (path !== "/add-checkpoint") return { status: 404 };
      return body.startsWith("old 3\n") ? { status: 422 } : { status: 409, type: "text/x.tlog.size", body: "3\n" };
    };
    await stops(await start(), "log.forked", /holds another tree of 3 entries than .*take it out of SCRUTIN_WITNESSES/);
  });

  it.each<[string, Wrong]>([
    ["a larger tree", { status: 409, type: "text/x.tlog.size", body: "700\n" }],
    ["another tree", { status: 409 }],
    ["an inconsistent one", { status: 422 }],
  ])("that only says so (%s) after it has agreed with the database stops nobody", async (_, wrong) => {
    const here = await grown();
    two.instead = (path) => (path === "/add-checkpoint" ? wrong : { status: 404 });
    for (let n = 0; n < 3; n++) await sender.send();
    await eventually(() => has(one, 7));
    await eventually(() => two.sent.length > 3);
    expect(here.writer.role()).toBe("writer");
    expect(await cosignedBy(two)).not.toContain(7);
    two.instead = undefined;
    await eventually(() => has(two, 7), 30_000);
  });

  it("that has forgotten what it held is told, and asked from there", async () => {
    await grown();
    let forgotten = true;
    two.instead = (path, body) => {
      if (path !== "/add-checkpoint") return { status: 404 };
      if (body.startsWith("old 2\n")) forgotten = false;
      return forgotten ? { status: 409, type: "text/x.tlog.size", body: "2\n" } : { status: 503 };
    };
    await sender.send();
    await eventually(() => !forgotten);
    await eventually(() =>
      incidents.some(({ code, about }) => code === "witness.went-back" && about === two.remote.name),
    );
    two.instead = undefined;
    await eventually(() => has(two, 5), 30_000);
  });
});
