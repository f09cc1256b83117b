import { describe, expect, it } from "vitest";
import {
  newSampleKey,
  sampleCommon,
  sampleDefinition,
  sampleTally,
  signSample,
} from "../../shared/definition/sample.ts";
import { createKeyBook } from "../../shared/ledger/keys.ts";
import { createBuckets, createRoom } from "../../shared/platform/bounds.ts";
import type { Problem } from "../../shared/platform/http.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { createAlarms } from "./alarms.ts";
import { waitOf } from "./app.ts";
import { admit, type Door } from "./door.ts";
import { createRecent } from "./limits.ts";

const sample = sampleDefinition();

function tally(sequence: number, kid = "AT-1"): Uint8Array {
  const common = sampleCommon(sample, "AT", sequence);
  return signSample(sample, { type: "tally", ...common, tallies: [sampleTally()] }, kid);
}

/** Under the same key id, with a signature that does not hold. */
function forged(sequence: number): Uint8Array {
  const text = Buffer.from(tally(sequence)).toString("ascii");
  const [header, payload] = text.split(".");
  const other = Buffer.from(tally(sequence + 1))
    .toString("ascii")
    .split(".")[2];
  return Buffer.from(`${header}.${payload}.${other}`);
}

function doorWith(changes: Partial<Door> = {}): Door {
  return {
    signers: createKeyBook(sample.definition),
    signaturesRequired: (state) => sample.register.state(state)?.signaturesRequired ?? 1,
    charged: createRecent(),
    claims: createBuckets({ perSecond: 1, burst: 20 }),
    keys: createBuckets({ perSecond: 1, burst: 5 }),
    verifying: createRoom(512, 512),
    now: () => 0,
    verified: () => undefined,
    alarms: createAlarms(
      () => undefined,
      () => 0,
    ),
    ...changes,
  };
}

const codeOf = (door: Door, bytes: Uint8Array, address: string) =>
  admit(door, bytes, address).then(
    () => "admitted",
    (problem: Problem) => problem.code,
  );

describe("the door's limits", () => {
  it("a forger spends the own share, and never the key's", async () => {
    const door = doorWith();
    for (let n = 0; n < 20; n++) expect(await codeOf(door, forged(n), "192.0.2.1")).toBe("signature.invalid");
    expect(await codeOf(door, forged(21), "192.0.2.1")).toBe("rate.exceeded");
    // From there not even the office itself, for a while; from its own address its whole share is left.
    expect(await codeOf(door, tally(1), "192.0.2.1")).toBe("rate.exceeded");
    for (let n = 0; n < 5; n++) expect(await codeOf(door, tally(n + 1), "198.51.100.1")).toBe("admitted");
    expect(await codeOf(door, tally(6), "198.51.100.1")).toBe("rate.exceeded");
  });

  it("whoever sends a key's statement again spends the own share", async () => {
    const door = doorWith();
    const bytes = tally(1);
    for (let n = 0; n < 15; n++) expect(await codeOf(door, bytes, `192.0.2.${n}`)).toBe("admitted");
    for (let n = 2; n <= 5; n++) expect(await codeOf(door, tally(n), "198.51.100.1")).toBe("admitted");
    // One that was turned away is not let in for nothing when it comes again.
    expect(await codeOf(door, tally(6), "198.51.100.1")).toBe("rate.exceeded");
    expect(await codeOf(door, tally(6), "198.51.100.1")).toBe("rate.exceeded");
  });

  it("a key's share is one, from however many addresses", async () => {
    const door = doorWith();
    for (let n = 0; n < 5; n++) expect(await codeOf(door, tally(n + 1), `192.0.2.${n}`)).toBe("admitted");
    expect(await codeOf(door, tally(9), "192.0.2.9")).toBe("rate.exceeded");
    expect(await codeOf(door, tally(9, "AT-2"), "192.0.2.9")).toBe("admitted");
  });

  it("made-up key ids share one bucket of their address", async () => {
    const door = doorWith();
    const unknown = (n: number) =>
      Buffer.from(
        `${Buffer.from(JSON.stringify({ alg: "EdDSA", kid: `made-up-${n}`, typ: "scrutin+jws" })).toString("base64url")}.e30.AAAA`,
      );
    for (let n = 0; n < 20; n++) expect(await codeOf(door, unknown(n), "192.0.2.1")).toBe("key.unknown");
    expect(await codeOf(door, unknown(20), "192.0.2.1")).toBe("rate.exceeded");
    expect(door.claims.size).toBe(1);
  });

  it("newcomers spend the shares of those who sign for them, whatever they call themselves", async () => {
    const own = sampleDefinition();
    const door = doorWith({ claims: createBuckets({ perSecond: 1, burst: 100 }) });
    const enrolment = (sequence: number, id: string) => {
      const keys = new Map(own.keys).set(id, { ...newSampleKey(own, `new-${sequence}`), id });
      const publicKey = keys.get(id)?.jwk.x ?? "";
      const key = { id, publicKey, state: "AT", official: "Clara" };
      const statement: Statement = { type: "key", ...sampleCommon(own, "EU", sequence), change: "enrol", key };
      return signSample({ ...own, keys }, statement, "trustee-1", "trustee-2", id);
    };
    for (let n = 1; n <= 4; n++) expect(await codeOf(door, enrolment(n, `AT-9${n}`), "192.0.2.1")).toBe("admitted");
    expect(await codeOf(door, enrolment(5, "AT-2"), "192.0.2.1")).toBe("admitted");
    expect(await codeOf(door, enrolment(6, "AT-96"), "192.0.2.1")).toBe("rate.exceeded");
    expect(door.keys.size).toBe(2);
    expect(door.claims.size).toBe(4); // the trustees, AT-2, and one for all that are unknown
    for (let n = 0; n < 5; n++) expect(await codeOf(door, tally(n + 1, "AT-2"), "192.0.2.2")).toBe("admitted");
  });

  it("a forged envelope charges nobody, and leaves the true one to be charged", async () => {
    const door = doorWith();
    expect(await codeOf(door, forged(1), "192.0.2.1")).toBe("signature.invalid");
    expect(door.keys.size).toBe(0);
    for (let n = 0; n < 5; n++) expect(await codeOf(door, tally(n + 1), "192.0.2.1")).toBe("admitted");
    expect(await codeOf(door, tally(6), "192.0.2.1")).toBe("rate.exceeded");
  });

  it("what a key has signed is charged to it, though it is no statement", async () => {
    const door = doorWith();
    const junk = (n: number) => signSample(sample, Buffer.from(JSON.stringify({ type: "joke", n })), "AT-1");
    for (let n = 0; n < 5; n++) expect(await codeOf(door, junk(n), "192.0.2.1")).toBe("statement.malformed");
    expect(await codeOf(door, junk(6), "192.0.2.1")).toBe("rate.exceeded");
  });

  it("beyond what may be verified at once it says so at once", async () => {
    const door = doorWith({ verifying: createRoom(2, 2), keys: createBuckets({ perSecond: 1, burst: 50 }) });
    const codes = await Promise.all([1, 2, 3, 4].map((n) => codeOf(door, tally(n), "192.0.2.1")));
    expect(codes.sort()).toEqual(["admitted", "admitted", "service.busy", "service.busy"]);
    expect(door.verifying.taken).toBe(0);
    expect(await codeOf(door, tally(5), "192.0.2.1")).toBe("admitted");
  });
});

describe("Prefer: wait", () => {
  it.each([
    [undefined, 5],
    ["wait=0", 0],
    ["wait=7", 7],
    ["respond-async, wait=10", 10],
    ["wait=31", 30],
    ["wait=999999999", 30],
    ["wait=-1", 5],
    ["wait=x", 5],
    ["await=9", 5],
  ])("%s: %i s", (prefer, seconds) => expect(waitOf(prefer)).toBe(seconds));
});
