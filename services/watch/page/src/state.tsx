import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { FeedHistory } from "../../feeds.ts";
import type { Status } from "../../status.ts";
import { isOf } from "./dashboard.tsx";
import { feedTone, received } from "./feed.ts";
import { IncidentList } from "./incidents.tsx";
import { ask } from "./live.ts";
import { Ago, Clock, Mark, number, percent, useNow } from "./ui.tsx";

const ASK_MS = 5_000;

/** One state: its feed over time against the curve that is expected of it. */
export function State({ id, status }: { id: string; status: Status }) {
  const now = useNow();
  const feed = status.feeds.find(({ state }) => state === id);
  const [history, setHistory] = useState<FeedHistory>();
  useEffect(() => {
    const look = () => void ask<FeedHistory>(`/v1/states/${id}`).then(setHistory, () => undefined); // the next look may find it
    look();
    const timer = setInterval(look, ASK_MS);
    return () => clearInterval(timer);
  }, [id]);
  if (feed === undefined) return <p>The definition has no state {id}.</p>;
  const incidents = status.incidents.filter(({ about }) => isOf(about, id));
  return (
    <>
      <section class="panel">
        <h2>
          {feed.state} {feed.name} <Mark tone={feedTone(feed)}>{feed.feed}</Mark>
        </h2>
        <dl>
          <dt>Polls</dt>
          <dd>
            {feed.polls}
            {feed.closesAt !== null && (
              <>
                , by the definition until <Clock iso={feed.closesAt} />
              </>
            )}
          </dd>
          <dt>Last heard</dt>
          <dd>
            <Ago iso={feed.lastHeard} now={now} />
          </dd>
          <dt>Statements</dt>
          <dd>
            {number(feed.statements)}, {number(feed.perMinute)} in the last minute
          </dd>
          <dt>Tallies received</dt>
          <dd>
            {number(feed.tallies)} for {number(feed.units)} units ({percent(received(feed))}
            {feed.expected === null ? "" : `; ${percent(feed.expected.now)} expected by now`})
          </dd>
        </dl>
      </section>
      <section class="panel">
        <h2>Tallies received over time</h2>
        {history === undefined ? <p>Loading.</p> : <Chart history={history} units={feed.units} />}
      </section>
      <section class="panel">
        <h2>Incidents of this state</h2>
        <IncidentList incidents={incidents} now={now} />
      </section>
    </>
  );
}

const HEIGHT = 280;

/** The share of the units: received, and expected. A table below holds the same for whoever cannot see it. */
function Chart({ history, units }: { history: FeedHistory; units: number }) {
  const holder = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | undefined>(undefined);
  const data = columnsOf(history, units);
  useEffect(() => {
    const element = holder.current;
    if (element === null) return;
    const style = getComputedStyle(element);
    const axis = { stroke: style.color, grid: { stroke: style.getPropertyValue("--line") } };
    const made = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: { y: { range: [0, 1] } },
        axes: [{ ...axis, space: 90, values: (_, times) => times.map(utc) }, { ...axis, values: (_, shares) => shares.map((share) => percent(share)) }],
        series: [
          {},
          { label: "received", stroke: style.getPropertyValue("--good"), width: 3, spanGaps: true },
          { label: "expected", stroke: style.color, dash: [6, 4], width: 1.5, spanGaps: true },
        ],
      },
      data,
      element,
    );
    chart.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
    };
    // biome-ignore lint/correctness/useExhaustiveDependencies: made once; the data follows below
  }, []);
  useEffect(() => chart.current?.setData(data));
  const last = history.points.at(-1);
  return (
    <>
      <div ref={holder} class="chart" role="img" aria-label={`Share of the units received over time. ${data[0].length} points; ${percent(data[1].findLast((share) => share !== null) ?? 0)} received.`} />
      <p class="quiet">
        Solid: received. Dashed: expected{history.expected.length === 0 ? " (no curve was given)" : ""}.
        {last === undefined ? "" : ` The last slice of ${history.slice} s has ${last[1]} statements.`}
      </p>
    </>
  );
}

const utc = (seconds: number) => new Date(seconds * 1000).toISOString().slice(11, 19);

type Columns = [times: number[], received: (number | null)[], expected: (number | null)[]];

/** Both curves on one axis of time; where one has no point, null. */
function columnsOf({ points, expected }: FeedHistory, units: number): Columns {
  const rows = new Map<number, [number | null, number | null]>();
  let sum = 0;
  for (const [at, , tallies] of points) {
    sum += tallies;
    rows.set(at, [Math.min(1, sum / Math.max(1, units)), null]);
  }
  for (const [at, share] of expected) rows.set(at, [rows.get(at)?.[0] ?? null, share]);
  const sorted = [...rows].sort(([a], [b]) => a - b);
  return [sorted.map(([at]) => at), sorted.map(([, [share]]) => share), sorted.map(([, [, share]]) => share)];
}
