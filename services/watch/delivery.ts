import { createHash } from "node:crypto";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { z } from "zod";
import { isoOrNull } from "./seen.ts";
import { selectAnnounced, selectDeliveries } from "./store.ts";

/**
 * Whether what the publication endpoint shows is what the log has announced: read back by this process, as a stranger would, and compared by
 * its hash. And what the Parliament says that it has.
 */

/** Why there is nothing to compare, or how it compares. */
export type DeliveryState = "nothing-yet" | "equal" | "behind" | "differs" | "no-answer" | "not-watched";

export interface DeliveryView {
  /** What is read back; null if no address was given. */
  url: string | null;
  state: DeliveryState;
  /** Since when it is so, ISO; null before the first look. */
  since: string | null;
  /** The last release that the log announces. */
  announced: { number: number; at: string } | null;
  /** The last one that the endpoint showed, by the bytes that it gave. */
  shown: { number: number; sha256: string; at: string } | null;
  /** By key of the Parliament: the last release that it fetched. `equal`: what it fetched is what the log announces. */
  fetched: { key: string; number: number; at: string; equal: boolean }[];
}

export interface DeliveryWatch {
  /** One look. Never rejects. */
  look(): Promise<void>;
  view(): DeliveryView;
}

const ANSWER_MS = 5_000;
/** A release of the whole Union has some 50 KiB; what is larger than this is none. */
const MOST_BYTES = 64 * 1024 * 1024;
/** The shares of its key follow within a second; until then the endpoint shows the one before. */
const BEHIND_MS = 10_000;

const Numbered = z.object({ number: z.number().int().positive() });
const Announcement = z.object({
  type: z.literal("release"),
  number: z.number().int().positive(),
  release: z.string().regex(/^[0-9a-f]{64}$/),
});

export function createDeliveryWatch(opts: {
  pool: Pool;
  /** Base address of the publication endpoint, as a stranger reaches it; undefined: nothing is read back. */
  url: string | undefined;
  now: () => number;
  log: Logger;
}): DeliveryWatch {
  const { pool, url, now, log } = opts;
  /** Hashes that the log announces, by number: more than one only if somebody announced another. */
  const announced = new Map<number, { hashes: Set<string>; receivedMs: number }>();
  let next = 0;
  let last = 0;
  let state: DeliveryState = url === undefined ? "not-watched" : "nothing-yet";
  let sinceMs: number | null = null;
  let shown: DeliveryView["shown"] = null;
  let fetched: DeliveryView["fetched"] = [];

  const learn = async () => {
    for (const { index, received, clear } of await selectAnnounced(pool, next)) {
      const said = Announcement.safeParse(payloadOf(clear));
      next = index + 1;
      if (!said.success) continue;
      const { number, release } = said.data;
      const known = announced.get(number) ?? { hashes: new Set<string>(), receivedMs: received.getTime() };
      known.hashes.add(release);
      announced.set(number, known);
      last = Math.max(last, number);
    }
    fetched = (await selectDeliveries(pool)).map(({ key, number, sha256, at }) => {
      const equal = announced.get(number)?.hashes.has(sha256.toString("hex")) ?? false;
      return { key, number, at: at.toISOString(), equal };
    });
  };

  const readBack = async (base: string): Promise<DeliveryState> => {
    const signal = AbortSignal.timeout(ANSWER_MS);
    const response = await fetch(new URL("/v1/releases/latest", base), { signal, redirect: "error" });
    const bytes = await bounded(response);
    if (!response.ok || bytes === undefined) return "no-answer";
    const read = Numbered.safeParse(parsed(bytes));
    if (!read.success) return "differs";
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    shown = { number: read.data.number, sha256, at: new Date(now()).toISOString() };
    if (!announced.get(shown.number)?.hashes.has(sha256)) return "differs";
    const due = announced.get(shown.number + 1);
    return due !== undefined && now() - due.receivedMs > BEHIND_MS ? "behind" : "equal";
  };

  const compare = async (): Promise<DeliveryState> => {
    if (url === undefined) return "not-watched";
    if (last === 0) return "nothing-yet";
    return readBack(url).catch((error: Error) => {
      if (state !== "no-answer") log.warn({ err: error }, "the publication endpoint gave no release");
      return "no-answer" as const;
    });
  };

  return {
    async look() {
      // Without Postgres nobody knows what was announced: what was seen last stays, and `postgres` says that it is old.
      const knows = await learn().then(
        () => true,
        () => false,
      );
      if (!knows) return;
      const found = await compare();
      if (found !== state || sinceMs === null) sinceMs = now();
      state = found;
    },
    view() {
      const at = announced.get(last)?.receivedMs;
      return {
        url: url ?? null,
        state,
        since: isoOrNull(sinceMs),
        announced: at === undefined ? null : { number: last, at: new Date(at).toISOString() },
        shown,
        fetched,
      };
    },
  };
}

/** The payload of a general JWS as it lies in the log: the ledger has verified it. */
function payloadOf(clear: Uint8Array): unknown {
  const envelope = z.object({ payload: z.string() }).safeParse(parsed(clear));
  return envelope.success ? parsed(Buffer.from(envelope.data.payload, "base64url")) : undefined;
}

function parsed(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch {
    return undefined;
  }
}

/** The body; undefined if it goes on beyond what a release can have. */
async function bounded(response: Response): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > MOST_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
