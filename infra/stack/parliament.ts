import { setTimeout as sleep } from "node:timers/promises";
import type { Release } from "../../shared/formats/release.ts";

/** What the Parliament's client saw: it asks all night, and keeps count of what it was given before the lift. */
export interface Parliament {
  askedBeforeLift: number;
  /** Answers before the lift that were not the embargo's refusal. Must stay 0. */
  servedBeforeLift: number;
  /** When the first release was in its hands, ms since the epoch. */
  firstReleaseAt: number | undefined;
  first: Release | undefined;
  latest: Release | undefined;
  /** The exact bytes of `latest`. */
  latestBytes: Uint8Array | undefined;
  /** The last answer in words, for whoever watches. */
  lastAnswer: string;
}

const PATHS = ["/v1/releases/latest", "/v1/releases", "/v1/releases/1", "/v1/releases/latest.csv"];
const EVERY_MS = 50;

/** Pulls until `signal` aborts. `lastClose` is ms since the epoch. A service that is away for a moment is asked again; an answer that breaks the embargo is counted. */
export function runParliament(
  releaseUrl: string,
  lastClose: number,
  signal: AbortSignal,
): { pulled: Parliament; done: Promise<void> } {
  const pulled: Parliament = {
    askedBeforeLift: 0,
    servedBeforeLift: 0,
    firstReleaseAt: undefined,
    first: undefined,
    latest: undefined,
    latestBytes: undefined,
    lastAnswer: "not asked yet",
  };
  return { pulled, done: pull(releaseUrl, lastClose, pulled, signal) };
}

async function pull(releaseUrl: string, lastClose: number, pulled: Parliament, signal: AbortSignal): Promise<void> {
  let etag: string | undefined;
  for (let round = 0; !signal.aborted; round++) {
    const before = pulled.first === undefined;
    const path = before ? (PATHS[round % PATHS.length] as string) : "/v1/releases/latest";
    const response = await fetch(new URL(path, releaseUrl), {
      headers: etag === undefined ? {} : { "if-none-match": etag },
      signal: AbortSignal.timeout(5_000),
    }).catch((error: Error) => error);
    if (response instanceof Error) pulled.lastAnswer = "no answer";
    else {
      const bytes = new Uint8Array(await response.arrayBuffer());
      pulled.lastAnswer = `${response.status} ${response.status === 403 ? "embargo.in-force" : ""}`.trim();
      const early = Date.now() < lastClose;
      if (before && (early || response.status === 403)) pulled.askedBeforeLift++;
      // Whatever is not the embargo's refusal, or an honest failure, is a breach while a poll is open.
      if (early && response.status < 400) pulled.servedBeforeLift++;
      if (response.status === 200) {
        const release =
          path.endsWith("latest") || path.endsWith("/1")
            ? (JSON.parse(Buffer.from(bytes).toString()) as Release)
            : undefined;
        if (release !== undefined) {
          if (before) {
            pulled.firstReleaseAt = Date.now();
            pulled.first = release;
          }
          pulled.latest = release;
          pulled.latestBytes = bytes;
          etag = response.headers.get("etag") ?? undefined;
        }
      }
    }
    await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
}
