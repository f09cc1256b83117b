import type { Logger } from "pino";
import { Problem } from "../../shared/platform/http.ts";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import { ReleaseBroken } from "./opened.ts";
import type { Listed, Shelf, Shown } from "./shelf.ts";

export interface PublisherSources {
  shelf: Pick<Shelf, "take" | "find" | "list">;
  /** Told of each that is newly served, the moment that it is. */
  served: (found: readonly Listed[]) => void;
  /** Tells that a release is served; a hint, which may fail. */
  publish: (listed: Listed) => Promise<unknown>;
  raise: RaiseIncident;
  log: Logger;
}

export interface Publisher {
  /** One look for new releases; answers the ms until the next. Never rejects. */
  round(): Promise<number>;
  /** A release from the shelf. Throws Problem `service.unavailable` for an older one that the database no longer gives. */
  find(number: number): Promise<Shown | undefined>;
  /** `looked`: the last look reached the database. `broken`: the next release does not hold, so nothing is added. */
  status(): { looked: boolean; broken: boolean };
}

/** Shares come with a hint; a lost hint costs at most this. */
export const LOOK_MS = 250;
/** After an error, and while a release does not hold: what is served already stays. */
const RETRY_MS = 1_000;

/** Looks for releases whose key was given, puts those that hold on the shelf, and tells. */
export function createPublisher({ shelf, served, publish, raise, log }: PublisherSources): Publisher {
  let looked = false;
  let started = false;
  let broken = false;
  /** What was raised once is not raised again: every round, and everyone who asks, finds the same. */
  const raised = new Set<string>();

  const tell = (found: readonly Listed[]) => {
    if (found.length > 0) served(found);
    // After a restart the shelf fills again with what was told before: one word says where it ends.
    for (const listed of started ? found : found.slice(-1)) {
      const { number, size, sha256 } = listed;
      log.info({ number, size, sha256 }, "release served");
      publish(listed).catch((error: unknown) => log.warn({ err: error, number }, "nobody was told of the release"));
    }
  };

  const breaks = async (number: number, { message }: ReleaseBroken) => {
    const about = `${number}: ${message}`;
    if (raised.has(about)) return;
    raised.add(about);
    await raise({ code: "release.broken", about });
  };

  return {
    async round() {
      const found: Listed[] = [];
      try {
        await shelf.take((listed) => found.push(listed));
        looked = true;
        broken = false;
        return LOOK_MS;
      } catch (error) {
        looked = broken = error instanceof ReleaseBroken;
        if (error instanceof ReleaseBroken) await breaks(shelf.list().length + 1, error);
        else log.warn({ err: error }, "the look for releases failed");
        return RETRY_MS;
      } finally {
        tell(found);
        started ||= looked;
      }
    },
    async find(number) {
      try {
        return await shelf.find(number);
      } catch (error) {
        if (error instanceof ReleaseBroken) await breaks(number, error);
        throw new Problem("service.unavailable", { retryAfterSeconds: RETRY_MS / 1000, cause: error });
      }
    },
    status: () => ({ looked, broken }),
  };
}
