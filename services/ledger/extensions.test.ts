import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SAMPLE_CLOSE } from "../../shared/definition/sample.ts";
import { createSigning } from "../../test/door.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { type LedgerHere, runLedger } from "../../test/ledger.ts";
import { pastTheDoor } from "../../test/send.ts";

/**
 * Postgres keeps the extensions for its own wall, and refuses one of more than 4 hours by raising an error: it must never come to another
 * instant than the judge did, for whatever digits one office signs, or every batch with that statement fails and the night stands still.
 */

const HOUR = 3_600_000;
const iso = (ms: number) => new Date(ms).toISOString();

let harness: Harness;
let ledger: LedgerHere;
beforeAll(async () => {
  harness = await startHarness();
  ledger = await runLedger(harness, { now: () => SAMPLE_CLOSE - HOUR });
});
afterAll(async () => {
  await ledger?.stop();
  await harness?.close();
});

const signed = () => createSigning(harness.sample);

describe("an extension in more digits than a clock has", () => {
  it("comes to the same instant at the judge and in Postgres, and the log goes on", async () => {
    const say = signed();
    const extend = (until: string) =>
      pastTheDoor(
        harness,
        say({ type: "polls", polls: "extended", until, reason: "a late opening" }, "AT", "AT-1"),
        "AT",
      );
    expect(await extend(iso(SAMPLE_CLOSE + HOUR).replace("Z", "123Z"))).toBe("");
    expect(await extend(iso(SAMPLE_CLOSE + 4 * HOUR).replace("Z", "999999Z"))).toBe("");
    const hold = say({ type: "decision", decision: "hold", about: "EU", reason: "as agreed" }, "EU", "trustee-1");
    expect(await pastTheDoor(harness, hold, "EU")).toBe("");
    expect(ledger.logged.filter(({ msg }) => msg === "the log is opened anew")).toEqual([]);
    const rows = await harness.query("select until from ledger.gate_fact where until is not null order by until");
    expect(rows.map(({ until }) => (until as Date).toISOString())).toEqual([
      iso(SAMPLE_CLOSE + HOUR),
      iso(SAMPLE_CLOSE + 4 * HOUR),
    ]);
  });
});
