/**
 * The night in about a minute: where each instant of Thursday 6 June 19:00Z to the corrections of the days after falls. The
 * quiet hours are pressed together; the last nine hours, when offices send, get most of the time. Only the night's planner knows
 * this map: to every service the closings of the exercise are real instants.
 */
const MAP: readonly [instant: string, second: number][] = [
  ["2024-06-06T19:00:00Z", 0],
  ["2024-06-07T21:00:00Z", 2],
  ["2024-06-08T20:00:00Z", 5],
  ["2024-06-09T12:00:00Z", 8],
  ["2024-06-09T15:00:00Z", 16],
  ["2024-06-09T21:00:00Z", 44],
  ["2024-06-10T21:00:00Z", 66],
];

/** Maps instants of June 2024 to real ones: `start` is ms since the epoch, `speed` divides the minute. */
export interface Schedule {
  at(instant: string | number): number;
  lift: number;
  end: number;
}

export function makeSchedule(start: number, speed: number): Schedule {
  const points = MAP.map(([instant, second]) => [Date.parse(instant), start + (second * 1000) / speed] as const);
  const at = (instant: string | number): number => {
    const t = typeof instant === "string" ? Date.parse(instant) : instant;
    for (let i = 1; i < points.length; i++) {
      const [from, realFrom] = points[i - 1] as readonly [number, number];
      const [to, realTo] = points[i] as readonly [number, number];
      if (t <= to || i === points.length - 1) {
        const share = Math.max(0, Math.min(1, (t - from) / (to - from)));
        return Math.round(realFrom + share * (realTo - realFrom));
      }
    }
    throw new RangeError("a schedule without points");
  };
  return { at, lift: at("2024-06-09T21:00:00Z"), end: at("2024-06-10T21:00:00Z") };
}
