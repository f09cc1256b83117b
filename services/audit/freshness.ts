import type { WitnessedHead } from "../../shared/platform/publisher/checkpoint.ts";

/** How old the view is that an audit was given: a log that is shown as it stood an hour ago holds in every other way. */
export interface Freshness {
  /** ISO. */
  at: string;
  /** The witness who said so, or what else did. */
  by: string;
  /** How long that was before the audit ended; 0 for a clock that is ahead of the auditor's. */
  ageSeconds: number;
}

/** While results come in, witnesses are asked for every head, many times a minute. */
const STALE_SECONDS = 600;

/**
 * The newest time that stands in the checkpoint: of a cosignature; without any, the ledger's own time of receipt of the last entry. Undefined
 * if neither is known.
 */
export function freshnessOf(
  { cosigned }: Pick<WitnessedHead, "cosigned">,
  lastReceived: string | undefined,
  now: Date,
): Freshness | undefined {
  const [newest] = [...cosigned].sort((a, b) => b.time - a.time);
  if (newest === undefined && lastReceived === undefined) return undefined;
  const at = newest === undefined ? new Date(lastReceived as string) : new Date(newest.time * 1000);
  const by = newest === undefined ? "the ledger, of the last entry" : newest.name;
  const ageSeconds = Math.max(0, Math.floor((now.getTime() - at.getTime()) / 1000));
  return { at: at.toISOString(), by, ageSeconds };
}

/** What to say of a view that is old while the log still grows: until every state's result is official. */
export function staleWarning({ at, by, ageSeconds }: Freshness, size: number, isLive: boolean): string | undefined {
  if (!isLive || ageSeconds <= STALE_SECONDS) return undefined;
  return (
    `What you were shown is old: the newest time in the checkpoint is ${at} (${by}), ${inWords(ageSeconds)} before this audit ended, and the ` +
    `results are not official yet. If entries were written since, they were kept from you: compare ${size} entries with what others are ` +
    "shown, and come again with the same state file."
  );
}

/** "45 s", "12 min", "3 h 5 min", "2 d 4 h". */
export function inWords(seconds: number): string {
  const units: [number, string][] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = units.findIndex(([length]) => seconds >= length);
  if (first < 0) return "0 s";
  const [[length, name], next] = [units[first] as [number, string], units[first + 1]];
  const whole = `${Math.floor(seconds / length)} ${name}`;
  const rest = next === undefined ? 0 : Math.floor((seconds % length) / next[0]);
  return rest === 0 || name === "min" ? whole : `${whole} ${rest} ${next?.[1]}`;
}
