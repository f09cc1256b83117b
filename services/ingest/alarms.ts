import { createBursts } from "../../shared/platform/bursts.ts";
import type { Incident } from "../../shared/platform/incidents.ts";
import type { ProblemCode } from "../../shared/statement/problems.ts";

/** Told what happens at the door; raises what is more than a mistake. */
export interface Alarms {
  /** A statement was refused. `keys`: those of the log that it claims; `address`: the sender's. */
  refused(code: ProblemCode, keys: readonly string[], address: string): void;
  /** A payload that this key has sent before came again. */
  repeated(key: string): void;
}

/** An office whose clock or file is wrong sends one and looks; ten in as many seconds are an attack, or a client that hangs. */
export const BAD_SIGNATURES = { most: 10, windowMs: 10_000 };
export const UNKNOWN_KEYS = { most: 5, windowMs: 60_000 };
/** After a cut line a client sends again what it has in flight, each once or twice. */
export const REPEATS = { most: 50, windowMs: 60_000 };
/** One is enough: it is told of once in ten minutes. */
export const ENDED_KEYS = { most: 1, windowMs: 600_000 };

export function createAlarms(raise: (incident: Incident) => unknown, now: () => number): Alarms {
  const badByKey = createBursts(BAD_SIGNATURES);
  const badByAddress = createBursts(BAD_SIGNATURES);
  const unknown = createBursts(UNKNOWN_KEYS);
  const ended = createBursts(ENDED_KEYS);
  const repeats = createBursts(REPEATS);
  const tell = (code: string, about: string, count: number | undefined, { windowMs }: { windowMs: number }) => {
    if (count !== undefined) raise({ code, about, evidence: { count, windowMs } });
  };
  return {
    refused(code, keys, address) {
      if (code === "signature.invalid") {
        for (const key of keys) tell("signature.burst", `key ${key}`, badByKey.hit(key, now()), BAD_SIGNATURES);
        tell("signature.burst", `address ${address}`, badByAddress.hit(address, now()), BAD_SIGNATURES);
      } else if (code === "key.unknown")
        tell("key.unknown", `address ${address}`, unknown.hit(address, now()), UNKNOWN_KEYS);
      else if (code === "key.ended")
        for (const key of keys) tell("key.ended", `key ${key}`, ended.hit(key, now()), ENDED_KEYS);
    },
    repeated: (key) => tell("statement.replayed", `key ${key}`, repeats.hit(key, now()), REPEATS),
  };
}
