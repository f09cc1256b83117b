import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "hono";
import type { Bell } from "../../shared/platform/bell.ts";
import type { Env } from "../../shared/platform/http.ts";

/** A longer wait is cut to this: intermediaries end what is silent for a minute. */
export const MAX_WAIT_SECONDS = 30;

/**
 * `Prefer: wait=N` (RFC 7240, 4.3): the request is held while `has()`, the client has what there is, until the bell rings and it has it
 * no more, or until the time is over. True if that was applied. Beyond `most` held requests they are answered at once.
 */
export function createHold(bell: Bell, most: number) {
  let held = 0;
  return async (c: Context<Env>, has: () => boolean): Promise<boolean> => {
    const seconds = askedSeconds(c.req.header("prefer"));
    if (seconds === undefined || !has() || held >= most) return false;
    held++;
    const left = new AbortController();
    const leave = () => left.abort();
    c.env?.outgoing?.once("close", leave);
    const time = sleep(seconds * 1000, undefined, { signal: left.signal, ref: false }).then(leave, () => undefined);
    try {
      while (has() && !left.signal.aborted) await bell.heard(left.signal);
      return true;
    } finally {
      left.abort();
      await time;
      c.env?.outgoing?.off("close", leave);
      held--;
    }
  };
}

/** The seconds of a `Prefer` header, at most `MAX_WAIT_SECONDS`; undefined if it asks for no wait. */
export function askedSeconds(prefer: string | undefined): number | undefined {
  const [, asked] = /(?:^|[,;\s])wait=(\d{1,6})(?:$|[,;\s])/i.exec(prefer ?? "") ?? [];
  return asked === undefined ? undefined : Math.min(Number(asked), MAX_WAIT_SECONDS);
}
