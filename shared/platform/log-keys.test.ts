import { describe, expect, it } from "vitest";
import { readLog } from "../../test/read-log.ts";
import type { Written } from "../../test/written-log.ts";
import { newSampleKey, sampleDefinition } from "../definition/sample.ts";
import type { KeyStatement } from "../statement/types.ts";
import { LogBroken, type ReadEntry } from "./log-reader.ts";

/** The keys of the log as of each of its entries, whoever reads it from the start or from anywhere. */

const at = readLog(() => sampleDefinition({ backups: ["AT"] }));

/** Everything from `from` on, by a reader that starts there. */
async function read(from = 0): Promise<ReadEntry[]> {
  const reader = at.readerOf();
  await reader.startAt(from);
  const entries: ReadEntry[] = [];
  for await (const entry of reader.read(from, at.log.size())) entries.push(entry);
  return entries;
}

const publicKeyOf = (id: string) => at.sample.keys.get(id)?.jwk.x ?? newSampleKey(at.sample, id).jwk.x;
const enrol = (id: string, ...by: string[]) => {
  const key = { id, publicKey: publicKeyOf(id), state: "AT", official: "Clara" };
  const statement: KeyStatement = { type: "key", ...at.say.common("EU", "trustee-1"), change: "enrol", key };
  return at.say.signed(statement, ...by, id);
};
const rotate = (replaces: string, id: string) => {
  const key = { id, publicKey: publicKeyOf(id) };
  const statement: KeyStatement = { type: "key", ...at.say.common("AT", replaces), change: "rotate", replaces, key };
  return at.say.signed(statement, replaces, id);
};
const revoke = (revokes: string) => {
  const common = at.say.common("AT", "AT-backup");
  const since = "2024-06-09T21:30:00Z";
  const statement: KeyStatement = { type: "key", ...common, change: "revoke", revokes, since, reason: "lost" };
  return at.say.signed(statement, "AT-backup");
};
/** A closure: nothing else is asked of whoever signs it. */
const closedBy = (...kids: [string, ...string[]]) => {
  const common = at.say.common(kids[0].startsWith("LU") ? "LU" : "AT", kids[0]);
  return at.say.signed({ type: "polls", ...common, polls: "closed" }, ...kids);
};
const quarantined = (written: Written): Written => ({ ...written, verdict: "quarantined" });

describe("the keys of the log", () => {
  it("are those of each entry's own place, from wherever it is read", async () => {
    await at.log.append(
      closedBy("AT-1"),
      enrol("AT-9", "trustee-1", "trustee-2"),
      closedBy("AT-9"),
      rotate("AT-1", "AT-11"),
    );
    await at.log.append(quarantined(closedBy("AT-1")), closedBy("AT-11"), revoke("AT-9"));
    await at.log.append(
      quarantined(closedBy("AT-9")),
      rotate("AT-11", "AT-12"),
      closedBy("AT-12"),
      closedBy("LU-2", "LU-1"),
    );
    const all = await read();
    expect(all.map(({ signers }) => signers.join(" "))).toEqual([
      "",
      "AT-1",
      "trustee-1 trustee-2 AT-9",
      "AT-9",
      "AT-1 AT-11",
      "AT-1",
      "AT-11",
      "AT-backup",
      "AT-9",
      "AT-11 AT-12",
      "AT-12",
      "LU-2 LU-1",
    ]);
    for (const from of [0, 1, 5, 8, 12]) expect(await read(from)).toEqual(all.slice(from));
  });

  const held = (by: string) => {
    const common = at.say.common("EU", by);
    return at.say.signed({ type: "decision", ...common, decision: "hold", about: "AT", reason: "a doubt" }, by);
  };

  it("are those of trustees too, until one is suspended, from wherever it is read", async () => {
    await at.log.append(held("trustee-3"), at.say.suspended("trustee-3", ["trustee-1", "trustee-2"]));
    await at.log.append(quarantined(held("trustee-3")), closedBy("AT-1"), held("trustee-2"));
    const all = await read();
    for (const from of [3, 6]) expect(await read(from)).toEqual(all.slice(from));
    await at.log.append(held("trustee-3"));
    for (const from of [0, 3, 6]) await expect(read(from)).rejects.toThrow("its keys may not say this");
  });

  it.each<[string, () => Written[], string]>([
    [
      "of a trustee who was suspended in the same batch",
      () => [at.say.suspended("trustee-3", ["trustee-1", "trustee-2"]), held("trustee-3")],
      "its keys may not say this",
    ],
    [
      "a suspension by one trustee and the suspended one",
      () => [at.say.suspended("trustee-3", ["trustee-1", "trustee-3"])],
      "its keys may not say this",
    ],
    [
      "a second suspension",
      () => [
        at.say.suspended("trustee-3", ["trustee-1", "trustee-2"]),
        at.say.suspended("trustee-3", ["trustee-2", "trustee-1"]),
      ],
      "its keys may not say this",
    ],
    [
      "signed after the key was rotated",
      () => [rotate("AT-1", "AT-11"), closedBy("AT-1")],
      "its keys may not say this",
    ],
    ["signed after the key was revoked", () => [revoke("AT-2"), closedBy("AT-2")], "its keys may not say this"],
    [
      "cosigned by a key that was revoked",
      () => [revoke("AT-2"), closedBy("AT-1", "AT-2")],
      "its keys may not say this",
    ],
    [
      "of a key whose enrolment was quarantined",
      () => [quarantined(enrol("AT-9", "trustee-1")), closedBy("AT-9")],
      "key.unknown",
    ],
    ["of a key that comes later", () => [early("AT-9"), enrol("AT-9", "trustee-1", "trustee-2")], "key.unknown"],
    ["an enrolment by one trustee", () => [enrol("AT-9", "trustee-1")], "its keys may not say this"],
    ["an enrolment by an office", () => [enrol("AT-9", "AT-1", "AT-2")], "its keys may not say this"],
    [
      "a rotation by a key that was rotated",
      () => [rotate("AT-1", "AT-11"), rotate("AT-1", "AT-12")],
      "its keys may not say this",
    ],
    [
      "a second key under one id",
      () => [enrol("AT-9", "trustee-1", "trustee-2"), secondKey("AT-9")],
      "its keys may not say this",
    ],
    ["a tally of one official where two must sign", () => [closedBy("LU-1")], "its keys may not say this"],
  ])("an accepted statement is not read on: %s", async (_, batch, why) => {
    await at.log.append(...batch());
    await expect(read()).rejects.toThrow(LogBroken);
    await expect(read()).rejects.toThrow(why);
  });
  const early = (id: string) => {
    publicKeyOf(id);
    return closedBy(id);
  };
  const secondKey = (id: string) => {
    at.sample.keys.delete(id);
    const other = sampleDefinition({ seed: "other" }).keys.get("AT-1");
    if (other !== undefined) at.sample.keys.set(id, { ...other, id });
    return enrol(id, "trustee-1", "trustee-2");
  };

  it.each<[string, string]>([
    ["a statement that was filed as another type", "update ledger.entry set type = 'void' where index = 2"],
    ["a statement that was filed as one about keys", "update ledger.entry set type = 'key' where index = 1"],
    ["a statement that was filed as a decision", "update ledger.entry set type = 'decision' where index = 1"],
    [
      "another entry in the place of one about keys",
      `update ledger.entry e set body = o.body, leaf = o.leaf from ledger.entry o where e.index = 2 and o.index = 4`,
    ],
  ])("are not taken from %s", async (_, sql) => {
    await at.log.append(closedBy("AT-1"), enrol("AT-9", "trustee-1", "trustee-2"));
    await at.log.append(closedBy("AT-9"), rotate("AT-1", "AT-11"), revoke("AT-2"));
    await at.harness.query("alter table ledger.entry disable trigger only_grows");
    await at.harness.query(sql);
    await expect(read()).rejects.toThrow(LogBroken);
    await expect(read(at.log.size())).rejects.toThrow(LogBroken);
  });

  it("are found again at once, however many entries lie between", async () => {
    for (let n = 0; n < 20; n++) await at.log.append(...Array.from({ length: 30 }, () => at.say.tally("AT-1")));
    await at.log.append(rotate("AT-1", "AT-11"));
    for (let n = 12; n < 40; n++) await at.log.append(rotate(`AT-${n - 1}`, `AT-${n}`), closedBy(`AT-${n}`));
    const middle = at.log.size();
    await at.log.append(closedBy("AT-39"), quarantined(closedBy("AT-38")));
    expect((await read(middle)).map(({ signers }) => signers)).toEqual([["AT-39"], ["AT-38"]]);
  });
});
