import type { Logger } from "pino";
import { cosign, type Witness } from "../../shared/ledger/cosignature.ts";
import { consider, type Held, type KnownLog, originOf, type Refusal, readHeld } from "./consider.ts";
import type { WitnessKey } from "./key.ts";
import { readRequest } from "./request.ts";
import { originHash, type State } from "./state.ts";

/** What `add-checkpoint` answers: the witness' line, or why there is none. */
export type Answer = { kind: "cosigned"; line: string; origin: string; size: number } | Refusal;

export interface WitnessService {
  addCheckpoint(body: Uint8Array): Promise<Answer>;
  /** The note that was cosigned last for the log whose origin has this SHA-256 (hex); undefined if there is none. */
  latest(hash: string): Promise<string | undefined>;
}

export interface WitnessDeps {
  key: WitnessKey;
  logs: readonly KnownLog[];
  state: State;
  /** ms since 1970. */
  now(): number;
  log: Logger;
}

/** The stored note of a log is not one that this witness wrote. It cosigns nothing more for anyone. */
export class StateDamaged extends Error {
  override readonly name = "StateDamaged";
}

export function createWitness(deps: WitnessDeps): WitnessService {
  const { logs, state } = deps;
  const known = new Map(logs.map((log) => [log.origin, { log, turn: Promise.resolve() }]));
  const byHash = new Map(logs.map((log) => [originHash(log.origin), log]));
  return {
    async addCheckpoint(body) {
      const request = readRequest(body);
      const origin = request === undefined ? undefined : originOf(request.note);
      if (request === undefined || origin === undefined)
        return { kind: "refused", status: 400, why: "The request is no add-checkpoint request." };
      const found = known.get(origin);
      if (found === undefined) return { kind: "refused", status: 404, why: "This witness does not watch that log." };
      const { log } = found;
      // One at a time for each log: between the look at what is held and its replacement nothing else may be cosigned.
      const answer = found.turn.then(async () => {
        const held = await readState(deps, log);
        const considered = consider(request, log, held);
        if (considered.kind === "fork" && held !== undefined) await keepFork(deps, log, held, considered.offered);
        return considered.kind === "cosign" ? persist(deps, log, held, considered.checkpoint) : considered;
      });
      found.turn = answer.then(
        () => undefined,
        () => undefined, // told to whoever asked
      );
      return answer;
    },
    async latest(hash) {
      const log = byHash.get(hash);
      return log === undefined ? undefined : state.read(log.origin);
    },
  };
}

/** What is held for a log. Throws StateDamaged for a file that is not a note of this log under this witness' own cosignature. */
export async function readState({ key, state }: WitnessDeps, log: KnownLog): Promise<Held | undefined> {
  const note = await state.read(log.origin);
  if (note === undefined) return undefined;
  const held = readHeld(note, log, asWitness(key));
  if (held === undefined)
    throw new StateDamaged(
      `The state of ${log.origin} (${originHash(log.origin)}.note) is damaged, or of another key of that log. A witness that has ` +
        "forgotten what it cosigned may cosign a fork: put the newest copy of that file back, or begin with a new key and an empty folder.",
    );
  return held;
}

const asWitness = ({ name, publicKey }: WitnessKey): Witness => ({ name, publicKey });

/** The new note is on the disk before its cosignature leaves; a crash in between loses only the answer, and the log asks again. */
async function persist(
  { key, state, now }: WitnessDeps,
  log: KnownLog,
  held: Held | undefined,
  { text, line: logLine, size }: { text: string; line: string; size: number },
): Promise<Answer> {
  // A larger tree is never older than a smaller one, whatever the clock does.
  const seconds = Math.max(Math.floor(now() / 1000), held?.time ?? 1);
  const line = await cosign(text, { name: key.name, raw: key.publicKey.raw, seconds, sign: key.sign });
  await state.write(log.origin, `${text}\n${logLine}${line}`);
  return { kind: "cosigned", line, origin: log.origin, size };
}

async function keepFork(
  { state, log: logger }: WitnessDeps,
  { origin }: KnownLog,
  held: { text: string; line: string },
  offered: { text: string; line: string; size: number },
): Promise<void> {
  const notes = [held, offered].map(({ text, line }) => `${text}\n${line}`);
  logger.error({ origin, size: offered.size, notes }, "the log has signed two trees of one size");
  await state.keepEvidence(origin, offered.size, notes.join("\n"));
}
