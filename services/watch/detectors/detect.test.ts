import { describe, expect, it } from "vitest";
import { SAMPLE_CLOSE } from "../../../shared/definition/sample.ts";
import { NOW, observationOf, type Scene, serviceView } from "../fixture.ts";
import { INCIDENTS } from "../incidents/catalogue.ts";
import { AWAY_MS, detect, LAG_MS, UNREADY_MS, WITNESSES_MS } from "./detect.ts";

/** Each detector of what lasts: its cause, and just not its cause. */

const ago = (ms: number) => new Date(NOW - ms).toISOString();
const stream = (bytes: number, refuses = true) => ({
  name: "STATEMENTS",
  messages: 1,
  bytes,
  mostBytes: 1_000,
  refuses,
});
const witnesses = (ms: number) => ({ quorum: 2, size: 5, shortSince: ago(ms), each: [] });
const delivered = {
  url: "http://127.0.0.1",
  announced: { number: 2, at: ago(0) },
  shown: { number: 1, sha256: "", at: ago(0) },
};
const [at] = observationOf({}).record.feeds;
if (at === undefined) throw new Error("the sample has states");
const feed = (more: object): Scene => ({ record: { feeds: [{ ...at, ...more }] } });
const expected = (momentAgo: number, whenLastHeard: number) => ({ expected: { now: 1, momentAgo, whenLastHeard } });
const gate = (spreadMs: number) => ({
  lifted: false,
  liftedAt: null,
  lastClose: null,
  reasons: spreadMs > 1_000 ? [{ code: "clocks.disagree" as const, spreadMs, says: "" }] : [],
});

describe("what lasts", () => {
  it("is nothing on a quiet evening, nor before anybody has looked", () => {
    expect(detect(observationOf({ services: [serviceView("ledger")] }))).toEqual([]);
    const nobody = { well: false, since: null };
    expect(detect(observationOf({ now: SAMPLE_CLOSE + 3_600_000, record: { postgres: nobody } }))).toEqual([]);
  });

  it.each<[string, string | null, Scene, Scene]>([
    [
      "service.missing",
      "ledger",
      { services: [serviceView("ledger", { up: false, ready: false, since: ago(AWAY_MS) })] },
      { services: [serviceView("ledger", { up: false, ready: false, since: ago(AWAY_MS - 1) })] },
    ],
    [
      "service.unready",
      "ledger",
      { services: [serviceView("ledger", { ready: false, since: ago(UNREADY_MS), checks: { nats: false } })] },
      { services: [serviceView("ledger", { ready: false, since: ago(UNREADY_MS - 1) })] },
    ],
    [
      "service.unknown",
      "ledger",
      { services: [serviceView("ledger", { answersAs: "release" })] },
      { services: [serviceView("ledger", { answersAs: null })] },
    ],
    [
      "count.lags",
      "tabulate",
      { services: [serviceView("tabulate", { position: 3, head: 9, behindSince: ago(LAG_MS) })] },
      { services: [serviceView("tabulate", { position: 3, head: 9, behindSince: ago(LAG_MS - 1) })] },
    ],
    [
      "postgres.away",
      null,
      { record: { postgres: { well: false, since: ago(AWAY_MS) } } },
      { record: { postgres: { well: false, since: ago(AWAY_MS - 1) } } },
    ],
    [
      "nats.away",
      null,
      { bus: { nats: { well: false, since: ago(AWAY_MS), streams: [] } } },
      { bus: { nats: { well: false, since: ago(AWAY_MS - 1), streams: [] } } },
    ],
    ["log.other-definition", null, { record: { ownLog: false } }, { record: { ownLog: true } }],
    ["clocks.disagree", null, { record: { gate: gate(1_001) } }, { record: { gate: gate(900) } }],
    ["feed.overdue", "AT", feed({ feed: "overdue" }), feed({ feed: "waiting" })],
    ["tally.early", "AT", feed({ earlyTally: ago(0) }), feed({ earlyTally: null })],
    ["feed.silent", "AT", feed({ ...expected(0.5, 0.39), tallies: 0 }), feed({ ...expected(0.5, 0.41), tallies: 0 })],
    ["feed.silent", "AT", feed({ ...expected(0.6, 0), tallies: 2 }), feed({ ...expected(0.6, 0), tallies: 3 })],
    [
      "inbox.waits",
      null,
      { bus: { inbox: { messages: 3, oldest: ago(LAG_MS) } } },
      { bus: { inbox: { messages: 3, oldest: ago(LAG_MS - 1) } } },
    ],
    [
      "stream.filling",
      "STATEMENTS",
      { bus: { nats: { well: true, since: ago(0), streams: [stream(800)] } } },
      { bus: { nats: { well: true, since: ago(0), streams: [stream(799), stream(1_000, false)] } } },
    ],
    [
      "disk.filling",
      "/data",
      { disks: [{ path: "/data", usedShare: 0.9, freeBytes: 1 }] },
      { disks: [{ path: "/data", usedShare: 0.89, freeBytes: 1 }] },
    ],
    [
      "witnesses.lag",
      null,
      { record: { witnesses: witnesses(WITNESSES_MS) } },
      { record: { witnesses: witnesses(WITNESSES_MS - 1) } },
    ],
    [
      "release.differs",
      null,
      { delivery: { ...delivered, state: "differs", since: ago(0) } },
      { delivery: { ...delivered, state: "equal" } },
    ],
    [
      "release.behind",
      null,
      { delivery: { ...delivered, state: "behind", since: ago(AWAY_MS) } },
      { delivery: { ...delivered, state: "behind", since: ago(AWAY_MS - 1) } },
    ],
    [
      "release.no-answer",
      null,
      { delivery: { ...delivered, state: "no-answer", since: ago(AWAY_MS) } },
      { delivery: { ...delivered, state: "no-answer", since: ago(AWAY_MS - 1) } },
    ],
    [
      "delivery.differs",
      "parliament-1",
      { delivery: { fetched: [{ key: "parliament-1", number: 2, at: ago(0), equal: false }] } },
      { delivery: { fetched: [{ key: "parliament-1", number: 2, at: ago(0), equal: true }] } },
    ],
    ["canary.differs", null, { canary: { state: "differs", says: "x" } }, { canary: { state: "holds" } }],
    ["canary.failed", null, { canary: { state: "failed", says: "x" } }, { canary: { state: "running" } }],
  ])("%s (%s)", (code, about, cause, notCause) => {
    expect(detect(observationOf(cause))).toMatchObject([{ code, about }]);
    expect(detect(observationOf(notCause))).toEqual([]);
    expect(Object.keys(INCIDENTS)).toContain(code);
  });
});
