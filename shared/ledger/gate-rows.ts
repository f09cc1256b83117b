import * as say from "./judge-sample.ts";
import { CLOSE, LIFTED, of, one, type Row, with_ } from "./judge-sample.ts";

/** What the rules for the trustees' decisions about the gate and each other refuse, each beside its nearest neighbour that they let through; for the table of every code. */

const HOUR = 3_600_000;
const ended = [say.suspends("trustee-3")];
const extended = [say.extended("AT", CLOSE + 3 * HOUR)];

// biome-ignore format: one case per line is what one reads
export const GATE_ROWS: Row[] = [
  ["F.103", "an extension voided by one trustee", say.voidsExtension("AT", 1, "trustee-1"), say.voidsExtension("AT", 1, "trustee-1", "trustee-3"), extended],
  ["F.103", "a suspension by one trustee", say.suspends("trustee-3", "trustee-1"), say.suspends("trustee-3", "trustee-1", "trustee-2")],
  ["F.103", "a recovery by one trustee", say.recovers("trustee-2"), say.recovers("trustee-2", "trustee-3")],
  ["F.104", "an extension voided by the office that gave it", say.voidsExtension("AT", 1, "AT-1", "AT-2"), say.voidsExtension("AT", 1), extended],
  ["F.104", "a suspension by officials", say.suspends("trustee-3", "AT-1", "AT-2"), say.suspends("trustee-3")],
  ["F.104", "a suspension for a state", of(say.suspends("trustee-3"), "AT"), say.suspends("trustee-3")],
  ["F.104", "a trustee in the own suspension", say.suspends("trustee-3", "trustee-1", "trustee-3"), say.suspends("trustee-3", "trustee-2", "trustee-1")],
  ["F.104", "a trustee in the own suspension, beside two others", say.suspends("trustee-3", "trustee-1", "trustee-2", "trustee-3"), say.suspends("trustee-3", "trustee-2", "trustee-1")],
  ["F.104", "a recovery by both counts", say.recovers("tabulate-1", "recount-1"), say.recovers()],
  ["F.105", "a hold by a suspended trustee", say.decides("hold", "EU", "trustee-3"), say.decides("hold", "EU", "trustee-2"), ended],
  ["F.105", "an override that a suspended trustee cosigns", say.decides("override", "AT", "trustee-1", "trustee-3"), say.decides("override", "AT", "trustee-1", "trustee-2"), ended],
  ["F.105", "a suspended trustee beside two others", say.decides("override", "AT", "trustee-1", "trustee-2", "trustee-3"), say.decides("override", "AT", "trustee-2", "trustee-1"), ended],
  ["F.105", "an enrolment that a suspended trustee signs", with_(say.enrols("AT-9", "Eva"), { by: ["trustee-3", "trustee-1", "AT-9"] }), say.enrols("AT-9", "Eva"), ended],
  ["F.105", "a revocation that a suspended trustee signs", say.revokes("AT-1", CLOSE, "trustee-1", "trustee-3"), say.revokes("AT-1", CLOSE), ended],
  ["F.402", "more than four hours after what a void left", say.extended("AT", CLOSE + 4 * HOUR + 1), say.extended("AT", CLOSE + 4 * HOUR), [...extended, say.voidsExtension("AT", 1)]],
  ["F.401", "a closure before an extended close of which another extension was voided", say.closed("AT", undefined, CLOSE + 2 * HOUR - 1), say.closed("AT", undefined, CLOSE + 2 * HOUR), [say.extended("AT", CLOSE + 2 * HOUR), say.extended("AT", CLOSE + 3 * HOUR), say.voidsExtension("AT", 2)]],
  ["F.401", "a closure by the ledger's clock alone", with_(say.closed("AT"), { postgres: CLOSE - 1 }), with_(say.closed("AT"), { postgres: CLOSE })],
  ["F.401", "a closure by Postgres' clock alone", with_(say.closed("AT", undefined, CLOSE - 1), { postgres: CLOSE }), with_(say.closed("AT"), { postgres: CLOSE + HOUR })],
  ["F.408", "an entry that is no extension", say.voidsExtension("AT", 2), say.voidsExtension("AT", 1), extended],
  ["F.408", "another state's extension", say.voidsExtension("LU", 1), say.voidsExtension("AT", 1), extended],
  ["F.408", "an extension of the Union", say.voidsExtension("EU", 1), say.voidsExtension("AT", 1), extended],
  ["F.408", "an extension that was voided", say.voidsExtension("AT", 1), say.extended("AT", CLOSE + HOUR), [...extended, say.voidsExtension("AT", 1)]],
  ["F.408", "an extension after the lift", say.voidsExtension("AT", 1), say.release(1), [say.extended("AT", CLOSE + HOUR), with_(say.closed("AT"), { at: CLOSE + HOUR }), say.closed("LU"), say.lift()]],
  ["F.408", "a suspension of nobody", say.suspends("trustee-9"), say.suspends("trustee-3")],
  ["F.408", "a suspension of an office's key", say.suspends("AT-1"), say.suspends("trustee-3")],
  ["F.408", "a second suspension", say.suspends("trustee-3"), say.decides("hold", "EU", "trustee-1"), ended],
  ["F.408", "a second recovery", say.recovers(), say.decides("hold", "EU", "trustee-1"), [say.recovers()]],
  ["F.402", "a second extension at once", say.extended("AT", CLOSE + 5 * HOUR), with_(say.extended("AT", CLOSE + 8 * HOUR), { at: CLOSE }), [say.extended("AT", CLOSE + 4 * HOUR)]],
  ["F.501", "a lift signed before polls were extended", say.lift(undefined, undefined, CLOSE), say.lift(undefined, undefined, CLOSE + HOUR), [say.extended("AT", CLOSE + HOUR), with_(say.closed("AT"), { at: CLOSE + HOUR }), say.closed("LU")]],
  ["F.501", "a clock that went back", with_(say.lift(), { floor: { ...say.clocksAt(say.LATER), nats: say.LATER + 1 } }), with_(say.lift(), { floor: say.clocksAt(say.LATER) }), LIFTED.slice(0, 2)],
  ["F.207", "a tally while an extension is in force", with_(one(), { at: CLOSE + HOUR - 1 }), with_(one(), { at: CLOSE + HOUR }), [say.extended("AT", CLOSE + HOUR), say.extended("AT", CLOSE + 4 * HOUR), say.voidsExtension("AT", 2)]],
];
