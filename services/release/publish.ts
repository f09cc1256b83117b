import type { Logger } from "pino";
import type { RaiseIncident } from "../../shared/platform/incidents.ts";
import { ReleaseBroken } from "./opened.ts";
import type { Listed, Shelf } from "./shelf.ts";

export interface PublisherSources {
  shelf: Pick<Shelf, "take">;
  /** Tells that a release is served; a hint, which may fail. */
  publish: (listed: Listed) => Promise<unknown>;
  raise: RaiseIncident;
  log: Logger;
}

export interface Publisher {
  /** One look for new releases; answers the ms until the next. Never rejects. */
  round(): Promise<number>;
  /** `looked`: the last look reached the database. `broken`: the next release does not hold, so nothing is added. */
  status(): { looked: boolean; broken: boolean };
}

/** Shares come with a hint; a lost hint costs at most this. */
export const LOOK_MS = 250;
/** After an error, and while a release does not hold: what is served already stays. */
const RETRY_MS = 1_000;

/** Looks for releases whose key was given, puts those that hold on the shelf, and tells. */
export function createPublisher({ shelf, publish, raise, log }: PublisherSources): Publisher {
  let looked = false;
  let started = false;
  let why: string | undefined;

  const tell = (found: readonly Listed[]) => {
    // After a restart the shelf fills again with what was told before: one word says where it ends.
    for (const listed of started ? found : found.slice(-1)) {
      const { number, size, sha256 } = listed;
      log.info({ number, size, sha256 }, "release served");
      publish(listed).catch((error: unknown) => log.warn({ err: error, number }, "nobody was told of the release"));
    }
  };

  const breaks = async (error: ReleaseBroken) => {
    if (why === error.message) return;
    why = error.message;
    await raise({ code: "release.broken", about: why });
  };

  return {
    async round() {
      const found: Listed[] = [];
      try {
        await shelf.take((listed) => found.push(listed));
        looked = true;
        why = undefined;
        return LOOK_MS;
      } catch (error) {
        looked = error instanceof ReleaseBroken;
        if (error instanceof ReleaseBroken) await breaks(error);
        else log.warn({ err: error }, "the look for releases failed");
        return RETRY_MS;
      } finally {
        tell(found);
        started ||= looked;
      }
    },
    status: () => ({ looked, broken: why !== undefined }),
  };
}
