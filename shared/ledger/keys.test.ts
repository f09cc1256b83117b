import { describe, expect, it } from "vitest";
import { newSampleKey, sampleCommon, sampleDefinition, sampleTally, signSample } from "../definition/sample.ts";
import type { Key } from "../definition/schema.ts";
import { authenticate } from "../statement/authentic.ts";
import { openEnvelope } from "../statement/jws.ts";
import type { KeyStatement, Statement } from "../statement/types.ts";
import type { Entry } from "./entry.ts";
import { judge } from "./judge.ts";
import { maySuspend, suspensionFindings } from "./key-rules.ts";
import { applyKey, createKeyBook, type KeyBook, type KeyRecord, type Suspension } from "./keys.ts";
import { applyAccepted, createLedgerState } from "./state.ts";

/** The life of keys in a log, from signed bytes to verdicts. */

const sample = sampleDefinition({
  backups: ["AT", "LU"],
  witnesses: 2,
  edit: ({ states }) => {
    for (const state of states) if (state.id === "AT") state.signaturesRequired = 2;
  },
});
const CLOSE = sample.register.lastClosing();
for (const id of ["LU-8", "LU-9", "constructor"]) newSampleKey(sample, id);
const publicKeyOf = (id: string) => sample.keys.get(id)?.jwk.x ?? "";

let sequence = 0;
const common = (state: string) => sampleCommon(sample, state, ++sequence);
const rotate = (replaces: string, id: string): KeyStatement => {
  const state = replaces.slice(0, 2);
  return { type: "key", ...common(state), change: "rotate", replaces, key: { id, publicKey: publicKeyOf(id) } };
};
const revoke = (state: string, revokes: string, since = CLOSE): KeyStatement => ({
  type: "key",
  ...common(state),
  change: "revoke",
  revokes,
  since: new Date(since).toISOString(),
  reason: "lost",
});
const suspend = (trustee: string): Suspension => ({
  type: "decision",
  ...common("EU"),
  decision: "suspend",
  about: "EU",
  trustee,
  reason: "as agreed",
});
const hold = (about: string): Statement => ({
  type: "decision",
  ...common("EU"),
  decision: "hold",
  about,
  reason: "a doubt",
});
const enrol = (id: string, official: string): KeyStatement => ({
  type: "key",
  ...common("EU"),
  change: "enrol",
  key: { id, publicKey: publicKeyOf(id), state: "LU", official },
});
const tally = (state: string): Statement => {
  const luxembourg = sampleTally("LU-11", { votes: { LU01: 300 }, ballots: 100 });
  const tallies = [state === "LU" ? luxembourg : sampleTally()];
  return { type: "tally", ...common(state), tallies };
};

/** A log that takes signed bytes one after the other, as the ledger does. */
function createLog() {
  const state = createLedgerState(sample.definition, sample.register);
  let index = 0;
  const take = async (statement: Statement, ...kids: string[]): Promise<string> => {
    const opened = openEnvelope(signSample(sample, statement, ...kids));
    if (opened.kind === "refused") return opened.code;
    const authenticity = await authenticate(opened.envelope, state.keys);
    if (authenticity.kind === "refused") return authenticity.code;
    const signers = authenticity.signers.map(({ key }) => key);
    const input = { statement, signers, received: CLOSE + 60_000, equivocates: false, clocks: undefined };
    const { verdict, findings } = judge(state, input, sample.hash);
    index += 1;
    const entry: Pick<Entry, "index" | "key"> = { index, key: kids[0] as string };
    if (verdict === "accepted") applyAccepted(state, statement, entry);
    return findings.map(({ code }) => code).join(" ") || verdict;
  };
  return { take, state };
}
const lives = (book: KeyBook) => [...book.records()].map(({ key, from, ended }) => [key.id, from, ended] as const);
const changed = (book: KeyBook) => lives(book).filter(([, from, ended]) => from > 0 || ended !== null);

describe("a log", () => {
  it("takes figures from the key that took another's place, and none from that one", async () => {
    const { take, state } = createLog();
    expect(await take(tally("LU"), "LU-9", "LU-2")).toBe("key.unknown");
    expect(await take(rotate("LU-1", "LU-9"), "LU-1", "LU-9")).toBe("accepted");
    expect(await take(tally("LU"), "LU-1", "LU-2")).toBe("F.105");
    expect(await take(tally("LU"), "LU-2", "LU-1")).toBe("F.105");
    expect(await take(rotate("LU-1", "LU-8"), "LU-1", "LU-8")).toBe("F.105");
    expect(await take(tally("LU"), "LU-9", "LU-2")).toBe("accepted");
    // The same official: a rotated key is nobody else's.
    expect(await take(rotate("LU-2", "LU-8"), "LU-2", "LU-8")).toBe("accepted");
    expect(await take(tally("LU"), "LU-9", "LU-2")).toBe("F.105 F.205");
    expect(changed(state.keys)).toEqual([
      ["LU-1", 0, { index: 1, how: "rotated" }],
      ["LU-2", 0, { index: 6, how: "rotated" }],
      ["LU-9", 1, null],
      ["LU-8", 6, null],
    ]);
  });

  it("takes nothing from a key that was revoked, and a new one only from two trustees", async () => {
    const { take, state } = createLog();
    expect(await take(revoke("LU", "LU-1"), "LU-backup")).toBe("accepted");
    expect(await take(tally("LU"), "LU-1", "LU-2")).toBe("F.105");
    expect(await take(rotate("LU-1", "LU-9"), "LU-1", "LU-9")).toBe("F.105");
    expect(await take(enrol("LU-9", "Claire"), "trustee-1", "LU-9")).toBe("F.103");
    expect(await take(enrol("LU-9", "Claire"), "trustee-1", "trustee-2")).toBe("F.410");
    expect(await take(tally("LU"), "LU-9", "LU-2")).toBe("key.unknown");
    expect(await take(enrol("LU-9", "Claire"), "trustee-3", "trustee-2", "LU-9")).toBe("accepted");
    expect(await take(enrol("LU-9", "Claire"), "trustee-3", "trustee-2", "LU-9")).toBe("F.409");
    expect(await take(tally("LU"), "LU-9", "LU-2")).toBe("accepted");
    expect(changed(state.keys)).toEqual([
      ["LU-1", 0, { index: 1, how: "revoked", since: CLOSE }],
      ["LU-9", 6, null],
    ]);
  });

  it("is told by another revocation only that a key was lost earlier", async () => {
    const { take, state } = createLog();
    await take(rotate("LU-1", "LU-9"), "LU-1", "LU-9");
    expect(await take(revoke("EU", "LU-1", CLOSE), "trustee-1", "trustee-2")).toBe("accepted");
    expect(await take(revoke("LU", "LU-1", CLOSE), "LU-backup")).toBe("F.411");
    expect(await take(revoke("LU", "LU-1", CLOSE + 1), "LU-backup")).toBe("F.411");
    expect(await take(revoke("LU", "LU-1", CLOSE - 1), "LU-backup")).toBe("accepted");
    // It had ended when it was replaced.
    expect(state.keys.get("LU-1")?.ended).toEqual({ index: 1, how: "revoked", since: CLOSE - 1 });
  });

  it("goes with the key that it replaced: a stolen key cannot be rotated faster than it is revoked", async () => {
    const { take, state } = createLog();
    await take(rotate("LU-1", "LU-9"), "LU-1", "LU-9");
    await take(rotate("LU-9", "LU-8"), "LU-9", "LU-8");
    expect(await take(tally("LU"), "LU-8", "LU-2")).toBe("accepted");
    expect(await take(revoke("EU", "LU-1", CLOSE), "trustee-1", "trustee-2")).toBe("accepted");
    expect(await take(tally("LU"), "LU-8", "LU-2")).toContain("F.105");
    expect(await take(rotate("LU-8", "constructor"), "LU-8", "constructor")).toContain("F.105");
    expect(changed(state.keys).map(([id, , ended]) => [id, ended])).toEqual([
      ["LU-1", { index: 1, how: "revoked", since: CLOSE }],
      ["LU-9", { index: 2, how: "revoked", since: CLOSE }],
      ["LU-8", { index: 4, how: "revoked", since: CLOSE }],
    ]);
  });

  it("counts officials, not keys, where two must sign", async () => {
    const { take } = createLog();
    // AT-1 and AT-3 are both Anna's.
    for (const kids of [["AT-1"], ["AT-1", "AT-3"], ["AT-3", "AT-1"]])
      expect(await take(tally("AT"), ...kids)).toBe("F.103");
    expect(await take(tally("AT"), "AT-1", "AT-backup")).toBe("F.104");
    expect(await take(tally("AT"), "AT-1", "AT-1")).toBe("jws.signer-twice");
    expect(await take(tally("AT"), "AT-3", "AT-1", "AT-2")).toBe("accepted");
    // One official changes the own key alone, whatever a state asks of its figures.
    expect(await take(rotate("LU-1", "LU-9"), "LU-1", "LU-9")).toBe("accepted");
    expect(await take(tally("LU"), "LU-9")).toBe("F.103");
  });

  it("takes a key id that every object has for what it is", async () => {
    const { take, state } = createLog();
    expect(await take(tally("LU"), "constructor", "LU-2")).toBe("key.unknown");
    expect(state.keys.has("constructor")).toBe(false);
    expect(await take(enrol("constructor", "Eva"), "trustee-1", "trustee-2", "constructor")).toBe("accepted");
    expect(await take(tally("LU"), "constructor", "LU-2")).toBe("accepted");
  });
});

describe("a suspended trustee", () => {
  it("says nothing more, alone or among others; what was said before stands", async () => {
    const { state, take } = createLog();
    expect(await take(hold("EU"), "trustee-3")).toBe("accepted");
    expect(await take(suspend("trustee-3"), "trustee-1", "trustee-3")).toBe("F.104");
    expect(await take(suspend("trustee-3"), "trustee-1")).toBe("F.103");
    expect(await take(suspend("trustee-3"), "trustee-1", "trustee-2")).toBe("accepted");
    expect(await take(hold("AT"), "trustee-3")).toBe("F.105");
    expect(await take({ ...hold("EU"), decision: "resume" } as Statement, "trustee-1", "trustee-3")).toBe("F.105");
    expect(await take(enrol("LU-9", "Eva"), "trustee-3", "trustee-1", "LU-9")).toBe("F.105");
    expect([...state.gate.held]).toEqual(["EU"]);
    expect(await take({ ...hold("EU"), decision: "resume" } as Statement, "trustee-1", "trustee-2")).toBe("accepted");
  });
});

describe("a key book", () => {
  const book = () => createKeyBook(sample.definition);

  it("begins with the keys of its definition, and knows whatever else stands there", () => {
    const fresh = book();
    expect(lives(fresh).map(([id]) => id)).toEqual(sample.definition.keys.map(({ id }) => id));
    expect(changed(fresh)).toEqual([]);
    const free = { id: "LU-9", publicKey: publicKeyOf("LU-9") };
    expect(fresh.isTaken(free)).toBe(false);
    for (const id of ["LU-1", "trustee-1", "ledger-1", "authority-1"])
      expect(fresh.isTaken({ ...free, id })).toBe(true);
    const { vault, recovery } = sample;
    const raws = ["LU-1", "ledger-1", "authority-2", "witness-1"].map(publicKeyOf);
    for (const publicKey of [...raws, vault.jwk.x, recovery.jwk.x])
      expect(fresh.isTaken({ ...free, publicKey })).toBe(true);
  });

  it("is not changed by what it has applied", () => {
    const applied = book();
    const changes = [
      rotate("LU-1", "LU-9"),
      revoke("EU", "LU-1"),
      enrol("LU-8", "Eva"),
      revoke("LU", "LU-8", CLOSE),
      revoke("LU", "LU-8", CLOSE - 5),
    ];
    for (const [n, change] of changes.entries()) {
      applyKey(applied, n + 1, change);
      const before = lives(applied);
      for (const [m, earlier] of changes.slice(0, n + 1).entries()) applyKey(applied, m + 1, earlier);
      expect(lives(applied)).toEqual(before);
    }
    expect(changed(applied)).toEqual([
      ["LU-1", 0, { index: 1, how: "revoked", since: CLOSE }],
      ["LU-9", 1, { index: 2, how: "revoked", since: CLOSE }],
      ["LU-8", 3, { index: 4, how: "revoked", since: CLOSE - 5 }],
    ]);
  });

  it("knows a suspended trustee, whose suspension no second one moves", () => {
    const so = book();
    applyKey(so, 4, suspend("trustee-2"));
    applyKey(so, 9, suspend("trustee-2"));
    expect(changed(so)).toEqual([["trustee-2", 0, { index: 4, how: "suspended" }]]);
    expect(so.has("trustee-2")).toBe(true);
  });

  it("leaves two trustees, whoever would suspend whom", () => {
    const others = (...ids: string[]) => ids.map((id) => book().get(id)?.key as Key);
    const two = book();
    expect(suspensionFindings(two, suspend("trustee-3"), others("trustee-1", "trustee-2"))).toEqual([]);
    applyKey(two, 1, suspend("trustee-3"));
    expect(suspensionFindings(two, suspend("trustee-2"), others("trustee-1", "trustee-3"))).toEqual(["F.408"]);
    expect(maySuspend(two, suspend("trustee-2"), others("trustee-1", "trustee-3"))).toBe(false);
    // One person with two keys is one who is left, and the very one who is suspended.
    const [one, twin] = others("trustee-1", "trustee-2") as [Key, Key];
    const twins = book();
    const { verify } = twins.get("trustee-2") as KeyRecord;
    twins.add({ key: { ...twin, person: "Trustee 1" } as Key, verify, from: 0, ended: null });
    expect(suspensionFindings(twins, suspend("trustee-3"), [one, twin])).toEqual(["F.408"]);
    expect(suspensionFindings(twins, suspend("trustee-2"), [one, ...others("trustee-3")])).toEqual(["F.104", "F.408"]);
  });

  it("stops at what no log can hold", () => {
    const apply = (change: KeyStatement | Suspension) => () => applyKey(book(), 1, change);
    expect(apply(rotate("LU-7", "LU-9"))).toThrow("which it cannot");
    expect(apply(rotate("trustee-1", "LU-9"))).toThrow("which it cannot");
    expect(apply(rotate("LU-1", "LU-2"))).toThrow("which it cannot");
    expect(apply(rotate("LU-1", "LU-1"))).toThrow("which it cannot");
    expect(apply(rotate("LU-1", "no-such-key"))).toThrow("which it cannot");
    expect(apply(revoke("EU", "LU-7"))).toThrow("unknown key");
    expect(apply(suspend("trustee-7"))).toThrow("which is no trustee");
    expect(apply(suspend("LU-1"))).toThrow("which is no trustee");
    const twice = book();
    applyKey(twice, 1, enrol("LU-9", "Eva"));
    expect(() => applyKey(twice, 2, enrol("LU-9", "Eva"))).toThrow("which it cannot");
  });
});
