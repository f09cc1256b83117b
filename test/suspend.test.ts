import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import { sampleCommon, sampleDefinition, signSample } from "../shared/definition/sample.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { createLogReader } from "../shared/platform/log-reader.ts";
import { SUBJECTS } from "../shared/platform/nats.ts";
import { openPool } from "../shared/platform/postgres.ts";
import type { Statement } from "../shared/statement/types.ts";
import { outcomeOf, postAt } from "./door.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { pastTheDoor } from "./send.ts";

/** A trustee who is suspended says nothing more: at the door, in the ledger, across restarts, to whoever reads the log. */

const sample = sampleDefinition();
let harness: Harness;
let ledger: Child;
let ingest: Child;

beforeAll(async () => {
  harness = await startHarness({ sample });
  [ledger, ingest] = await Promise.all([harness.start("ledger"), harness.start("ingest")]);
});
afterAll(() => harness.close());

type Decision = Extract<Statement, { type: "decision" }>;
type Of<D extends Decision["decision"]> = Extract<Decision, { decision: D }>;
const used = new Map<string, number>();
function common(kid: string) {
  const sequence = (used.get(kid) ?? 0) + 1;
  used.set(kid, sequence);
  return { type: "decision" as const, ...sampleCommon(sample, "EU", sequence), reason: "as agreed" };
}
type Kids = [string, ...string[]];
const decides = (decision: "hold" | "resume" | "override", about: string, ...kids: Kids) => {
  const statement: Of<"hold" | "resume" | "override"> = { ...common(kids[0]), decision, about };
  return signSample(sample, statement, ...kids);
};
const suspends = (trustee: string, ...kids: Kids) => {
  const statement: Of<"suspend"> = { ...common(kids[0]), decision: "suspend", about: "EU", trustee };
  return signSample(sample, statement, ...kids);
};

const outcome = async (bytes: Uint8Array, to = ingest, wait_s?: number) =>
  outcomeOf(await postAt(to.url, bytes, wait_s));
/** Straight into the stream. */
const behind = (bytes: Uint8Array) => pastTheDoor(harness, bytes, "EU");

const EVERYTHING: [string, () => Uint8Array][] = [
  ["a hold", () => decides("hold", "AT", "trustee-3")],
  ["an override, beside another trustee", () => decides("override", "AT", "trustee-3", "trustee-1")],
  ["an override, behind another trustee", () => decides("override", "AT", "trustee-1", "trustee-3")],
];

describe("a suspension", () => {
  it("takes two others: not the trustee, nor one alone", async () => {
    expect(await outcome(decides("hold", "EU", "trustee-3"))).toBe("accepted");
    expect(await outcome(suspends("trustee-3", "trustee-1"))).toBe("signatures.missing");
    expect(await outcome(suspends("trustee-3", "trustee-1", "trustee-3"))).toBe("key.wrong-role");
    expect(await outcome(suspends("AT-1", "trustee-1", "trustee-2"))).toBe("F.408");
    expect(await outcome(suspends("trustee-3", "trustee-1", "trustee-2"))).toBe("accepted");
    expect(await outcome(suspends("trustee-3", "trustee-1", "trustee-2"))).toBe("F.408");
  });

  it.each(EVERYTHING)("ends %s at the door, and behind it", async (_, make) => {
    await eventually(async () => (await outcome(make())) === "key.ended");
    expect(await behind(make())).toBe("F.105");
  });

  it("leaves in force what was held before, until two others resume it", async () => {
    expect(await behind(decides("resume", "EU", "trustee-1", "trustee-3"))).toBe("F.105");
    expect(await outcome(decides("resume", "EU", "trustee-1", "trustee-2"))).toBe("accepted");
  });

  it("is known to a ledger that starts anew, and to a door that starts later", async () => {
    await ledger.stop();
    [ledger] = await Promise.all([harness.start("ledger", {}, "ledger-again")]);
    const later = await harness.start("ingest", {}, "ingest-later");
    for (const [, make] of EVERYTHING) {
      expect(await outcome(make(), later)).toBe("key.ended");
      expect(await behind(make())).toBe("F.105");
    }
    expect(await outcome(decides("hold", "LU", "trustee-2"), later)).toBe("accepted");
    await later.stop();
  });

  it("is known to whoever reads the log, from wherever it is read", async () => {
    const pool = openPool({ url: harness.databaseUrl("tabulate"), service: "tabulate", log: createHeardLog().log });
    try {
      const { hash: definitionHash, definition, vault } = sample;
      const reader = createLogReader({ pool, definitionHash, definition, vaultPrivateKey: vault.privateKey });
      const { size } = (await reader.head()) ?? { size: 0 };
      const of3: string[] = [];
      for await (const { signers, verdict } of reader.read(0, size))
        if (signers.includes("trustee-3")) of3.push(verdict);
      expect(of3[0]).toBe("accepted");
      expect(of3.slice(1).every((verdict) => verdict === "quarantined")).toBe(true);
      expect(of3.length).toBeGreaterThan(5);
      await reader.startAt(size);
      expect(reader.position()).toBe(size);
    } finally {
      await pool.end();
    }
  });

  it("is not what somebody says on the bus", async () => {
    await ledger.stop();
    const nc = await harness.nats("services");
    const strangers = sampleDefinition({ seed: "mallory" });
    const foreign = sampleDefinition({ closesAt: sample.register.lastClosing() - 1 });
    const made = (by: typeof sample, ...kids: Kids): Uint8Array => {
      const statement: Of<"suspend"> = { ...common(kids[0]), decision: "suspend", about: "EU", trustee: "trustee-2" };
      return signSample(by, { ...statement, definition: by === foreign ? foreign.hash : sample.hash }, ...kids);
    };
    const good = suspends("trustee-3", "trustee-1", "trustee-2");
    const told = [
      made(strangers, "trustee-1", "trustee-3"),
      made(foreign, "trustee-1", "trustee-3"),
      made(sample, "trustee-1"),
      made(sample, "trustee-1", "trustee-2"),
      made(sample, "AT-1", "AT-2"),
      good,
      // Signed by one whom the one before has suspended.
      made(sample, "trustee-1", "trustee-3"),
    ].map((jws, n) => ({ index: 1_000_000 + n, jws: Buffer.from(jws).toString("base64") }));
    nc.subscribe(SUBJECTS.keys, {
      callback: (_, msg) => {
        const { from } = msg.json<{ from: number }>();
        msg.respond(JSON.stringify({ keys: told.filter(({ index }) => index >= from), next: 0 }));
      },
    });
    const lured = await harness.start("ingest", {}, "ingest-lured");
    // It has read all of it when it knows the one that is true: then it asks the ledger, which is not there, for an old receipt.
    const hold = () => outcome(decides("hold", "AT", "trustee-3"), lured, 0);
    await eventually(async () => (await hold()) === "service.unavailable");
    for (const kid of ["trustee-1", "trustee-2"] as const)
      expect(await outcome(decides("hold", "AT", kid), lured, 0)).toBe("202");
    await lured.stop();
  });
});
