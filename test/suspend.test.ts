import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import { sampleCommon, sampleDefinition, signSample } from "../shared/definition/sample.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { createLogReader } from "../shared/platform/log-reader.ts";
import { SUBJECTS } from "../shared/platform/nats.ts";
import { openPool } from "../shared/platform/postgres.ts";
import type { Statement } from "../shared/statement/types.ts";
import { type Harness, startHarness } from "./harness.ts";
import { collectReceipts, dataKeyFor, eventually, sealedFor } from "./ledger.ts";

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

/** The problem's code, or the verdict's, or "accepted". */
async function outcome(bytes: Uint8Array, to = ingest, wait_s = 5): Promise<string> {
  const type = bytes[0] === 0x7b ? "application/jose+json" : "application/jose";
  const headers = { "content-type": type, prefer: `wait=${wait_s}` };
  const response = await fetch(`${to.url}/v1/statements`, { method: "POST", headers, body: Buffer.from(bytes) });
  const { code, findings = [] } = (await response.json()) as { code?: string; findings?: { code: string }[] };
  if (code !== undefined) return code;
  if (response.status !== 201) return String(response.status);
  return findings.length === 0 ? "accepted" : findings.map((finding) => finding.code).join(" ");
}

/** As by a door that has not heard of it: straight into the stream. The verdict's codes. */
async function pastTheDoor(bytes: Uint8Array): Promise<string> {
  const nc = await harness.nats("stack");
  const key = await dataKeyFor(sample);
  const reply = `receipt.${randomBytes(8).toString("hex")}`;
  const receipts = collectReceipts(nc, reply, key);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const { headers, data } = sealedFor(key, sha256, bytes, reply);
  await nc.jetstream().publish("statement.EU", data, { headers });
  await eventually(() => receipts.has(sha256));
  const payload = Buffer.from(receipts.get(sha256)?.[0]?.split(".")[1] ?? "", "base64url").toString("utf8");
  return (JSON.parse(payload) as { findings: { code: string }[] }).findings.map(({ code }) => code).join(" ");
}

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
    expect(await pastTheDoor(make())).toBe("F.105");
  });

  it("leaves in force what was held before, until two others resume it", async () => {
    expect(await pastTheDoor(decides("resume", "EU", "trustee-1", "trustee-3"))).toBe("F.105");
    expect(await outcome(decides("resume", "EU", "trustee-1", "trustee-2"))).toBe("accepted");
  });

  it("is known to a ledger that starts anew, and to a door that starts later", async () => {
    await ledger.stop();
    [ledger] = await Promise.all([harness.start("ledger", {}, "ledger-again")]);
    const later = await harness.start("ingest", {}, "ingest-later");
    for (const [, make] of EVERYTHING) {
      expect(await outcome(make(), later)).toBe("key.ended");
      expect(await pastTheDoor(make())).toBe("F.105");
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
    const nc = await harness.nats("stack");
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
