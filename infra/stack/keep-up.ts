import { setTimeout as sleep } from "node:timers/promises";
import { describeEnding, type Say, type Server } from "./child.ts";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * Starts a server and starts it again, on the same port, whenever it ends unasked: services come back to where they were. Says
 * each time. Rejects if the first start fails; a later one is tried until it works or `stop` is called. `stop` ends it for good.
 */
export async function keepUp<S extends Server>(
  name: string,
  start: (port?: number) => Promise<S>,
  say: Say,
): Promise<{ first: S; pid(): number; stop(): Promise<void> }> {
  const first = await start();
  let server = first;
  const stopping = new AbortController();
  const watch = async () => {
    while (!stopping.signal.aborted) {
      const ending = await server.ended;
      if (stopping.signal.aborted) return;
      say(`${name} ended (${describeEnding(ending)}); starting it again on port ${first.port}`);
      await server.stop();
      server = await again();
    }
  };
  const again = async (): Promise<S> => {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        const started = await start(first.port);
        say(`${name} is up again on port ${first.port}`);
        return started;
      } catch (error) {
        if (stopping.signal.aborted) throw error;
        say(`${name} does not start: ${(error as Error).message}`);
        await sleep(pause);
      }
    }
  };
  // A start that fails because we are stopping is told by nobody: there is nothing left to stop.
  const watching = watch().catch(() => undefined);
  return {
    first,
    pid: () => server.pid,
    stop: async () => {
      stopping.abort();
      await server.stop();
      await watching;
      await server.stop();
    },
  };
}
