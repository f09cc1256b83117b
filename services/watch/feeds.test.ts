import { describe, expect, it } from "vitest";
import { SAMPLE_CLOSE, sampleDefinition } from "../../shared/definition/sample.ts";
import { addRows, createFeeds, feedViews, OVERDUE_MS } from "./feeds.ts";
import { factsOf } from "./gate.ts";
import { type FactRow, type FeedRow, SLICE_S } from "./store.ts";

const { definition } = sampleDefinition();
const at = (seconds: number) => new Date(SAMPLE_CLOSE + seconds * 1000);
const row = (more: Partial<FeedRow>): FeedRow => ({
  state: "AT",
  type: "tally",
  entries: 2,
  units: 30,
  slice: Math.floor(at(5).getTime() / 1000 / SLICE_S),
  first: at(4),
  received: at(5),
  lastIndex: 7,
  ...more,
});
const closed: FactRow = { index: 1, kind: "closed", state: "AT", constituency: null, until: null, voids: null };
const viewOf = (rows: FeedRow[], facts: FactRow[], now: number) => {
  const feeds = createFeeds();
  addRows(feeds, rows);
  return feedViews(definition, feeds, factsOf(definition, facts), new Map(), now)[0];
};

describe("feeds", () => {
  it("goes on where it stopped, and counts no entry twice", () => {
    const feeds = createFeeds();
    addRows(feeds, [row({ type: "definition", state: "EU", entries: 1, units: 0, lastIndex: 0 })]);
    expect([feeds.next, feeds.heard.size]).toEqual([1, 0]);
    addRows(feeds, [row({}), row({ type: "polls", entries: 1, units: 0, lastIndex: 9, received: at(3) })]);
    expect(feeds.next).toBe(10);
    expect(feeds.heard.get("AT")).toMatchObject({ statements: 3, tallies: 30, lastHeard: at(5).getTime() });
    addRows(feeds, []);
    expect(feeds.next).toBe(10);
  });

  it("shows every state of the definition, heard of or not", () => {
    const views = feedViews(definition, createFeeds(), factsOf(definition, []), new Map(), SAMPLE_CLOSE - 1);
    expect(views.map(({ state, units, lastHeard, feed }) => [state, units, lastHeard, feed])).toEqual([
      ["AT", 5, null, "waiting"],
      ["LU", 3, null, "waiting"],
    ]);
  });

  it.each<[string, FeedRow[], FactRow[], number, object]>([
    ["before its close", [], [], -1, { feed: "waiting", polls: "open" }],
    ["a minute after it", [], [], OVERDUE_MS, { feed: "waiting" }],
    ["later, without a word", [], [], OVERDUE_MS + 1, { feed: "overdue" }],
    [
      "with figures, but no closure",
      [row({})],
      [],
      OVERDUE_MS + 1,
      { feed: "overdue", lastHeard: at(5).toISOString() },
    ],
    ["closed", [row({})], [closed], OVERDUE_MS + 1, { feed: "reporting", polls: "closed" }],
    [
      "overridden by trustees",
      [],
      [{ ...closed, kind: "override" }],
      OVERDUE_MS + 1,
      { feed: "waiting", polls: "overridden" },
    ],
    [
      "extended",
      [row({})],
      [{ ...closed, kind: "extended", until: at(3600) }],
      OVERDUE_MS + 1,
      { feed: "reporting", polls: "open", closesAt: at(3600).toISOString() },
    ],
  ])("%s", (_, rows, facts, afterMs, expected) => {
    expect(viewOf(rows, facts, SAMPLE_CLOSE + afterMs)).toMatchObject(expected);
  });
});
