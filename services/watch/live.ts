import { setTimeout as sleep } from "node:timers/promises";
import { streamSSE } from "hono/streaming";
import type { Bell } from "../../shared/platform/bell.ts";
import { Problem } from "../../shared/platform/http.ts";
import type { Guard } from "./access/guard.ts";
import type { Status } from "./status.ts";

/** A line now and then, so that nobody on the way takes the stream for dead. */
const HEARTBEAT_MS = 10_000;
const MOST_STREAMS = 200;

/**
 * The status as server-sent events: whole at once, and whole again whenever something has changed, so that whoever was cut off needs nothing
 * from before. A slow reader misses what came between, never the newest. The stream ends with the session.
 */
export function addLiveRoute(guard: Guard, status: () => Status, bell: Bell): void {
  let streams = 0;
  let last: { status: Status; text: string } | undefined;
  /** Written once for all who look, and anew only if anything but the time differs. */
  const textOf = () => {
    const now = status();
    if (last === undefined || JSON.stringify({ ...now, at: "" }) !== JSON.stringify({ ...last.status, at: "" }))
      last = { status: now, text: JSON.stringify(now) };
    return last.text;
  };
  guard.add("GET", "/v1/live", "viewer", (c) => {
    if (streams >= MOST_STREAMS) throw new Problem("service.busy", { retryAfterSeconds: 5 });
    streams++;
    const gone = new AbortController();
    return streamSSE(c, async (stream) => {
      stream.onAbort(() => gone.abort());
      try {
        let sent = "";
        while (!gone.signal.aborted && typeof guard.sessionOf(c) === "object") {
          const text = textOf();
          if (text !== sent) await stream.writeSSE({ event: "status", data: text });
          else await stream.write(":\n\n");
          sent = text;
          await changed(bell, gone.signal);
        }
        if (!gone.signal.aborted) await stream.writeSSE({ event: "over", data: "{}" });
      } finally {
        streams--;
      }
    });
  });
}

/** Resolves when the bell rings, or when it is time for a sign of life. */
async function changed(bell: Bell, signal: AbortSignal): Promise<void> {
  const enough = new AbortController();
  const either = AbortSignal.any([signal, enough.signal]);
  const time = sleep(HEARTBEAT_MS, undefined, { signal: either }).then(
    () => enough.abort(),
    () => undefined,
  );
  await bell.heard(either);
  enough.abort();
  await time;
}
