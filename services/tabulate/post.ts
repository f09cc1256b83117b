import type { Logger } from "pino";
import type { DoorFetch } from "../../shared/platform/door.ts";

/** The door answers within its own 5 seconds, or says 202. */
const ANSWER_MS = 10_000;
/** Before the same bytes are sent again. */
const RETRY_MS = 500;

export interface Poster {
  /** Sends these bytes to the door unless they are on their way, or were answered a moment ago. Never throws. */
  post(jws: string): void;
}

/**
 * Posts the vault's own statements at the door. Whether one arrived is not told by the answer but by the log, which the fold
 * reads: until then the caller posts the same bytes again, and the door answers with the same receipt.
 */
export function createPoster(opts: {
  url: string;
  fetch: DoorFetch;
  log: Logger;
  steadyMs: () => number;
  /** Called with each answer: the log has probably grown. */
  answered: () => void;
}): Poster {
  const { url, log, steadyMs } = opts;
  let onItsWay: string | undefined;
  let last: { jws: string; atMs: number } | undefined;
  const send = async (jws: string) => {
    const response = await opts.fetch(new URL("/v1/statements", url), {
      method: "POST",
      headers: { "content-type": "application/jose+json", prefer: "wait=5" },
      body: jws,
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const answer = (await response.json()) as { code?: string };
    // The door's own words on a refusal; a receipt is not logged, it holds the verdict.
    if (!response.ok) log.warn({ status: response.status, code: answer.code }, "the door refused our statement");
  };
  return {
    post(jws) {
      if (onItsWay !== undefined || (last?.jws === jws && steadyMs() < last.atMs + RETRY_MS)) return;
      onItsWay = jws;
      void send(jws)
        .catch((error: unknown) => log.warn({ err: error }, "the door did not take our statement"))
        .then(() => {
          onItsWay = undefined;
          last = { jws, atMs: steadyMs() };
          opts.answered();
        });
    },
  };
}
