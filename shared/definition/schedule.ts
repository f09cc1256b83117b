import type { Report } from "./reasons.ts";
import type { Closing, State } from "./schema.ts";

/** An IANA name with its area; Intl alone would let `UTC`, `EST` or a bare offset pass. */
const ZONE_NAME = /^[A-Z][A-Za-z_]+(\/[A-Z][A-Za-z_+-]*)+$/;

/**
 * The offset from UTC that an IANA zone has at an instant (ms), as written in RFC 3339: "+02:00". Undefined if the zone is
 * unknown. From the runtime's time zone data.
 */
export function zoneOffset(timezone: string, at: number): string | undefined {
  if (!ZONE_NAME.test(timezone) || Number.isNaN(at)) return undefined;
  try {
    const format = new Intl.DateTimeFormat("en-US", { timeZone: timezone, timeZoneName: "longOffset" });
    const name = format.formatToParts(at).find((part) => part.type === "timeZoneName")?.value;
    return name === "GMT" ? "+00:00" : name?.slice("GMT".length);
  } catch (error) {
    if (error instanceof RangeError) return undefined; // Intl's answer to an unknown zone
    throw error;
  }
}

/**
 * An instant (ms) as local time of a zone with its offset: "2024-06-09T23:00:00+02:00", milliseconds only where there are some.
 * Throws on an unknown zone.
 */
export function localTime(timezone: string, at: number): string {
  const offset = zoneOffset(timezone, at);
  if (offset === undefined) throw new RangeError(`unknown time zone ${timezone}`);
  const sign = offset.startsWith("-") ? -1 : 1;
  const minutes = sign * (Number(offset.slice(1, 3)) * 60 + Number(offset.slice(4, 6)));
  const local = new Date(at + minutes * 60_000).toISOString().slice(0, -1);
  return `${local.replace(/\.000$/, "")}${offset}`;
}

/** A state's closings: at least one counts, each is one instant in both notations, and its offset is its zone's. */
export function closingContradictions(state: State, report: Report): void {
  if (!state.closings.some((closing) => closing.counts))
    report(
      "definition.no-closing-counts",
      `${state.id}: no closing counts for Article 10(2), so the gate could never open.`,
    );
  if (zoneOffset(state.timezone, 0) === undefined)
    report("definition.closing-without-zone", `${state.id}: ${state.timezone} is no IANA time zone.`);
  for (const closing of state.closings) closingContradiction(state, closing, report);
}

function closingContradiction(state: State, closing: Closing, report: Report): void {
  const where = `${state.id}, ${closing.where}`;
  const at = Date.parse(closing.utc);
  if (Date.parse(closing.local) !== at) {
    report("definition.closing-differs", `${where}: ${closing.local} and ${closing.utc} are not the same instant.`);
    return;
  }
  const timezone = closing.timezone ?? state.timezone;
  const offset = zoneOffset(timezone, at);
  if (offset === undefined) {
    report("definition.closing-without-zone", `${where}: ${timezone} is no IANA time zone.`);
    return;
  }
  const written = closing.local.endsWith("Z") ? "+00:00" : closing.local.slice(-6);
  if (written !== offset)
    report(
      "definition.closing-offset",
      `${where}: the offset ${written} is not that of ${timezone} at that instant, ${offset}.`,
    );
}
