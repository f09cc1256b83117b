import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import {
  newSampleKey,
  SAMPLE_CLOSE,
  sampleCommon,
  sampleDefinition,
  sampleTally,
  signSample,
} from "../shared/definition/sample.ts";
import { SUBJECTS } from "../shared/platform/nats.ts";
import type { KeyStatement, Statement } from "../shared/statement/types.ts";
import { outcomeOf, postAt } from "./door.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { pastTheDoor } from "./send.ts";

/** Keys of offices come and go in the log: at the door, in the ledger, across restarts, and whatever the bus says. */

const sample = sampleDefinition({ backups: ["AT"] });
let harness: Harness;
let ledger: Child;
let ingest: Child;

beforeAll(async () => {
  harness = await startHarness({ sample });
  [ledger, ingest] = await Promise.all([harness.start("ledger"), harness.start("ingest")]);
});
afterAll(() => harness.close());

const used = new Map<string, number>();
function common(state: string, kid: string) {
  const sequence = (used.get(kid) ?? 0) + 1;
  used.set(kid, sequence);
  return sampleCommon(sample, state, sequence);
}
let version = 0;
const tally = (...kids: [string, ...string[]]): Uint8Array => {
  const state = kids[0].slice(0, 2);
  version++;
  const tallies =
    state === "AT"
      ? [sampleTally("AT-1", { version })]
      : [sampleTally("LU-11", { version, votes: { LU01: 700, LU02: 620 } })];
  return signSample(sample, { type: "tally", ...common(state, kids[0]), tallies }, ...kids);
};
const publicKeyOf = (id: string) => sample.keys.get(id)?.jwk.x ?? newSampleKey(sample, id).jwk.x;
type Enrolled = Extract<KeyStatement, { change: "enrol" }>["key"];
const enrolment = (id: string, official: string, more: Partial<Enrolled> = {}, by = "trustee-1"): KeyStatement => {
  const key = { id, publicKey: publicKeyOf(id), state: id.slice(0, 2), official, ...more };
  return { type: "key", ...common("EU", by), change: "enrol", key };
};
const rotation = (replaces: string, id: string): KeyStatement => {
  const state = replaces.slice(0, 2);
  return {
    type: "key",
    ...common(state, replaces),
    change: "rotate",
    replaces,
    key: { id, publicKey: publicKeyOf(id) },
  };
};
const revocation = (revokes: string, by: string): KeyStatement => {
  const state = by.startsWith("trustee") ? "EU" : by.slice(0, 2);
  return {
    type: "key",
    ...common(state, by),
    change: "revoke",
    revokes,
    since: "2024-06-09T21:30:00Z",
    reason: "lost",
  };
};
const signed = (statement: Statement, ...kids: string[]) => signSample(sample, statement, ...kids);

const post = (bytes: Uint8Array) => postAt(ingest.url, bytes);
const outcome = async (bytes: Uint8Array, to = ingest, wait_s?: number) =>
  outcomeOf(await postAt(to.url, bytes, wait_s));
/** The door hears of keys in its own time: one statement after the other, until one is answered so. */
const becomes = (make: () => Uint8Array, wanted: string) => eventually(async () => (await outcome(make())) === wanted);
const size = async () => (await harness.query<{ size: number }>("select size::int from ledger.head"))[0]?.size ?? 0;

/** Straight into the stream. */
const behind = (bytes: Uint8Array) => pastTheDoor(harness, bytes, "AT");

describe("a new key", () => {
  it("is enrolled by two trustees and itself, and is an office's key from then on", async () => {
    const early = tally("AT-1");
    expect(await outcome(early)).toBe("accepted");
    const enrol = signed(enrolment("AT-9", "Clara"), "trustee-1", "trustee-2", "AT-9");
    const first = await post(enrol);
    expect(outcomeOf(first)).toBe("accepted");
    await becomes(() => tally("AT-9"), "accepted");
    const again = await post(enrol);
    expect(again.receipt).toBe(first.receipt);
  });

  const enrolled = (kids: string[], change: (bytes: Uint8Array) => Uint8Array = (bytes) => bytes) => {
    const id = `AT-2${used.get("trustee-1") ?? 0}`;
    return change(signed(enrolment(id, "Dora"), ...kids.map((kid) => (kid === "new" ? id : kid))));
  };
  /** With the signature of the last signer changed. */
  const forgedLast = (bytes: Uint8Array) => {
    const envelope = JSON.parse(Buffer.from(bytes).toString("utf8")) as { signatures: { signature: string }[] };
    const last = envelope.signatures.at(-1) as { signature: string };
    const signature = Buffer.from(last.signature, "base64url");
    signature[3] = (signature[3] ?? 0) ^ 1;
    last.signature = signature.toString("base64url");
    return Buffer.from(JSON.stringify(envelope));
  };
  it.each<[string, () => Uint8Array, string]>([
    [
      "its own signature does not hold",
      () => enrolled(["trustee-1", "trustee-2", "new"], forgedLast),
      "signature.invalid",
    ],
    ["it has not signed", () => enrolled(["trustee-1", "trustee-2"]), "signatures.missing"],
    ["one trustee signed", () => enrolled(["trustee-1", "new"]), "signatures.missing"],
    ["it speaks first", () => enrolled(["new", "trustee-1", "trustee-2"]), "key.unknown"],
    [
      "an office enrols",
      () => signed(enrolment("AT-30", "Eva", {}, "AT-2"), "AT-2", "AT-3", "AT-30"),
      "key.wrong-role",
    ],
    [
      "another one signs for it",
      () => signed(enrolment("AT-31", "Eva"), "trustee-1", "trustee-2", other("AT-32")),
      "key.unknown",
    ],
    ["it signs a tally instead", () => tally("AT-1", other("AT-33")), "key.unknown"],
    [
      "it is rotated in by another's key",
      () => signed({ ...rotation("AT-2", "AT-34") }, "AT-3", "AT-34"),
      "key.wrong-role",
    ],
  ])("does not pass the door when %s", async (_, bytes, code) => {
    const before = await size();
    expect(await outcome(bytes())).toBe(code);
    expect(await size()).toBe(before);
  });
  const other = (id: string) => {
    publicKeyOf(id);
    return id;
  };

  it("brings neither an id nor a public key that stands for something already", async () => {
    const twice = enrolment("AT-41", "Eva", { publicKey: publicKeyOf("AT-9") });
    // Signed by whoever holds that key, under the new id.
    sample.keys.set("AT-41", {
      ...(sample.keys.get("AT-9") as NonNullable<ReturnType<typeof sample.keys.get>>),
      id: "AT-41",
    });
    expect(await outcome(signed(twice, "trustee-1", "trustee-2", "AT-41"))).toBe("F.409");
    expect(await outcome(tally("AT-41"))).toBe("key.unknown");
  });
});

describe("a key that has ended", () => {
  const before = () => tally("AT-1");
  let sent: Uint8Array;

  it("by rotation is refused at the door and quarantined behind it; its receipts are still given", async () => {
    sent = before();
    const first = await post(sent);
    const rotate = signed(rotation("AT-1", "AT-11"), "AT-1", "AT-11");
    const rotated = await post(rotate);
    expect(outcomeOf(rotated)).toBe("accepted");
    await becomes(() => tally("AT-11"), "accepted");
    expect(await outcome(tally("AT-1"))).toBe("key.ended");
    expect((await post(sent)).receipt).toBe(first.receipt);
    expect((await post(rotate)).receipt).toBe(rotated.receipt);
    expect(await behind(tally("AT-1"))).toBe("F.105");
    expect(await outcome(signed(rotation("AT-1", "AT-12"), "AT-1", "AT-12"))).toBe("key.ended");
  });

  it("by the back-up key's revocation as well; that key can do nothing else", async () => {
    expect(await outcome(signed(revocation("AT-2", "AT-backup"), "AT-backup"))).toBe("accepted");
    await becomes(() => tally("AT-2"), "key.ended");
    expect(await behind(tally("AT-2"))).toBe("F.105");
    expect(await outcome(tally("AT-backup"))).toBe("key.wrong-role");
    expect(await outcome(signed(revocation("LU-1", "AT-backup"), "AT-backup"))).toBe("F.104");
    expect(await outcome(signed(revocation("AT-3", "AT-11"), "AT-11"))).toBe("key.wrong-role");
  });

  it("by two trustees, and not by one", async () => {
    expect(await outcome(signed(revocation("AT-9", "trustee-1"), "trustee-1"))).toBe("signatures.missing");
    expect(await outcome(signed(revocation("AT-9", "trustee-1"), "trustee-1", "trustee-3"))).toBe("accepted");
    await becomes(() => tally("AT-9"), "key.ended");
  });
});

describe("two officials, where the definition asks for them", () => {
  it("sign with whatever keys they have by then, and no one is two", async () => {
    expect(await outcome(tally("LU-1"))).toBe("signatures.missing");
    expect(await outcome(tally("LU-1", "LU-2"))).toBe("accepted");
    expect(await outcome(signed(rotation("LU-1", "LU-11"), "LU-1", "LU-11"))).toBe("accepted");
    await becomes(() => tally("LU-11", "LU-2"), "accepted");
    expect(await outcome(tally("LU-2", "LU-1"))).toBe("key.ended");
    expect(await outcome(signed(enrolment("LU-12", "Claire"), "trustee-1", "trustee-2", "LU-12"))).toBe("accepted");
    await becomes(() => tally("LU-12", "LU-11"), "signatures.missing");
    expect(await behind(tally("LU-12", "LU-11"))).toBe("F.103");
    expect(await outcome(tally("LU-12", "LU-2"))).toBe("accepted");
  });
});

describe("what has become of the keys", () => {
  it("is known to a ledger that starts anew, and to a door that starts later", async () => {
    await ledger.stop();
    [ledger] = await Promise.all([harness.start("ledger", {}, "ledger-again")]);
    const later = await harness.start("ingest", {}, "ingest-later");
    for (const [bytes, wanted] of [
      [tally("AT-11"), "accepted"],
      [tally("LU-12", "LU-2"), "accepted"],
      [tally("AT-1"), "key.ended"],
      [tally("AT-2"), "key.ended"],
      [tally("AT-9"), "key.ended"],
    ] as const)
      expect(await outcome(bytes, later)).toBe(wanted);
    for (const kid of ["AT-1", "AT-2", "AT-9"] as const) expect(await behind(tally(kid))).toBe("F.105");
    await later.stop();
  });

  it("is not what somebody says on the bus", async () => {
    await ledger.stop();
    const nc = await harness.nats("services");
    const exercise = sampleDefinition({ backups: ["AT"], closesAt: SAMPLE_CLOSE - 1 });
    const foreign = { ...revocation("AT-3", "trustee-1"), definition: exercise.hash };
    const good = signed(enrolment("AT-50", "Gina"), "trustee-1", "trustee-2", "AT-50");
    const own = signed(enrolment("AT-51", "Mallory"), "trustee-1", "trustee-2", "AT-51");
    const strangers = sampleDefinition({ seed: "mallory" });
    const made = enrolment("AT-53", "Mallory");
    strangers.keys.set("AT-53", sample.keys.get("AT-53") as NonNullable<ReturnType<typeof sample.keys.get>>);
    const told = [
      Buffer.from("no envelope"),
      Buffer.from(
        Buffer.from(own)
          .toString("utf8")
          .replace(/"signature":"..../, '"signature":"AAAA'),
      ),
      signed(foreign, "trustee-1", "trustee-2"),
      signed(enrolment("AT-52", "Mallory"), "trustee-1", "AT-52"),
      signSample(strangers, made, "trustee-1", "trustee-2", "AT-53"),
      signed(revocation("AT-3", "AT-11"), "AT-11"),
      tally("AT-3"),
      good,
    ].map((jws, n) => ({ index: 1_000_000 + n, jws: Buffer.from(jws).toString("base64") }));
    const replies = [Buffer.from("junk"), Buffer.from('{"keys":[{"index":-1}]}')];
    let asked = 0;
    nc.subscribe(SUBJECTS.keys, {
      callback: (_, msg) => {
        asked++;
        const { from } = msg.json<{ from: number }>();
        const keys = told.filter(({ index }) => index >= from);
        msg.respond(replies.shift() ?? JSON.stringify({ keys, next: 0 }));
      },
    });
    const lured = await harness.start("ingest", {}, "ingest-lured");
    // It has read all of it when it knows the one that is true.
    await eventually(async () => (await outcome(tally("AT-50"), lured, 0)) === "202");
    expect(asked).toBeGreaterThan(2);
    for (const kid of ["AT-51", "AT-52", "AT-53"] as const)
      expect(await outcome(tally(kid), lured)).toBe("key.unknown");
    const stays = signed({ type: "polls", ...common("AT", "AT-3"), polls: "closed" }, "AT-3");
    expect(await outcome(stays, lured, 0)).toBe("202");
    await lured.stop();
  });
});
