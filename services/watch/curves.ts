import { readFile } from "node:fs/promises";
import { z } from "zod";
import { file, refuseConfig } from "../../shared/platform/config.ts";

/**
 * The curve that is expected of a state: which share of its units has reported so many seconds after its polls have closed, as it was at the
 * last election, say. Straight between two points; before the first nothing is expected, after the last nothing more.
 */
export type Curve = readonly (readonly [seconds: number, share: number])[];
export type Curves = ReadonlyMap<string, Curve>;

export const SCRUTIN_CURVES = file(
  'Name the JSON file of the curves that are expected of the states: {"IT": [[0, 0], [7200, 0.5], …], …}, or leave it out.',
).optional();

const Point = z.tuple([z.number().min(0), z.number().min(0).max(1)]);
const rises = (points: readonly (readonly [number, number])[]) =>
  points.every(([seconds, share], n) => {
    const before = points[n - 1];
    return before === undefined || (before[0] < seconds && before[1] <= share);
  });
const Curves = z.record(
  z.string(),
  z.array(Point).min(2).max(1_000).refine(rises, "does not rise from point to point"),
);

/** Reads the file; none without one. What is no file of curves is refused in a sentence (`EX_CONFIG`). */
export async function readCurves(path: string | undefined): Promise<Curves> {
  if (path === undefined) return new Map();
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) =>
    refuseConfig([`SCRUTIN_CURVES: ${path} cannot be read (${error.code ?? error.message}). Correct the path.`]),
  );
  const read = Curves.safeParse(jsonOrUndefined(text));
  if (!read.success)
    refuseConfig([`SCRUTIN_CURVES: ${path} holds no curves: points of seconds and share that rise, by state.`]);
  return new Map(Object.entries(read.data));
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the schema refuses it
  }
}

/** The share that is expected so many seconds after the close. */
export function shareAt(curve: Curve, seconds: number): number {
  let before: readonly [number, number] | undefined;
  for (const point of curve) {
    if (seconds < point[0]) {
      if (before === undefined) return 0;
      const part = (seconds - before[0]) / (point[0] - before[0]);
      return before[1] + part * (point[1] - before[1]);
    }
    before = point;
  }
  return before?.[1] ?? 0;
}
