import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { createClient, type StreamingClient } from "../../shared/platform/publisher/client.ts";
import {
  type DefinitionKey,
  type TrustedDefinition,
  takeDefinition,
} from "../../shared/platform/publisher/definition.ts";
import { Discrepancy, UsageError } from "../../shared/platform/publisher/discrepancy.ts";
import { findAuthorities } from "../../shared/platform/publisher/origins.ts";
import { Listed } from "../../shared/platform/publisher/releases.ts";
import type { Signer } from "../../shared/platform/sign.ts";
import type { MakeFiles } from "./files.ts";
import { DEFINITION, DEFINITION_SIGNATURES, type OutFolder, openFolder } from "./folder.ts";
import { createHeld } from "./held.ts";
import type { Options } from "./options.ts";
import { eventsOf } from "./stream.ts";
import { createTaker, type Taker } from "./taker.ts";
import type { Say } from "./words.ts";

export interface PullOptions extends Pick<Options, "url" | "out" | "formats" | "once"> {
  definitionKeys: readonly DefinitionKey[];
  /** The Parliament's key, if it is in hand. */
  signer: (Signer & { publicKey: string }) | undefined;
}

export interface PullIo {
  signal: AbortSignal;
  /** ms since 1970. */
  now(): number;
  say: Say;
  makeFiles: MakeFiles;
  /** How long one address is asked for again, and how long one waits for a proof that must come in a moment, ms. */
  requestPatienceMs: number;
  patienceMs: number;
}

const STREAM = "/v1/stream";
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
/** Where there is no stream, the list is asked so often. */
const POLL_MS = 1_000;

/**
 * Pulls into the folder whatever is released, verified, and follows on unless it is to end. Resolves with whether all of it held. Rejects
 * with a UsageError; with Unreachable when it was to be done once and could not; and with an AbortError when it was interrupted: the folder
 * then holds whole files, and the next run goes on from there.
 */
export async function pull(options: PullOptions, io: PullIo): Promise<"holds" | "broken"> {
  const ending = new AbortController();
  const signal = AbortSignal.any([io.signal, ending.signal]);
  const client = createClient({ base: options.url, signal, patienceMs: io.requestPatienceMs });
  const refused = new Set<string>();
  const refuse = ({ code, where, message, who }: Discrepancy) => {
    if (refused.has(message)) return;
    refused.add(message);
    io.say({ event: "refused", code, path: where.path, what: message, who });
  };
  let taker: Taker | undefined;
  try {
    const { trusted, folder } = await begin(options, client, io.say);
    const { say, now, makeFiles, patienceMs } = io;
    const { signer, formats, once } = options;
    const means = { client, folder, say, refuse, signal };
    const held = signer && createHeld({ ...means, signer, definition: trusted.hash, now });
    const fail = (error: unknown) => ending.abort(error);
    taker = createTaker({ ...means, trusted, held, formats, makeFiles, patienceMs, fail });
    await taker.resume();
    if (once) {
      await held?.look();
      await taker.catchUp();
      await taker.settled();
    } else {
      held?.keepLooking().catch(fail);
      await follow(taker, { client, signal, say });
    }
    signal.throwIfAborted();
  } catch (error) {
    // What ended it from elsewhere is the reason; the error here is only its echo.
    const why: unknown = ending.signal.aborted ? ending.signal.reason : error;
    if (!(why instanceof Discrepancy)) throw why;
    refuse(why);
  } finally {
    ending.abort();
    await taker?.settled();
    client.close();
  }
  const result = refused.size === 0 ? "holds" : "broken";
  io.say({ event: "end", result, releases: taker?.last() ?? 0 });
  return result;
}

/** The definition, everything that follows from it, and a folder that is of no other. */
async function begin(
  { out, definitionKeys, signer }: PullOptions,
  client: StreamingClient,
  say: Say,
): Promise<{ trusted: TrustedDefinition; folder: OutFolder }> {
  const folder = await openFolder(out);
  const trusted = await takeDefinition(client, definitionKeys);
  const { definition, bytes, signed, hash } = trusted;
  const before = await folder.read(DEFINITION);
  if (before !== undefined && !before.equals(bytes))
    throw new UsageError(
      `${out} holds releases of another definition than ${hash}, which is served here. Name another --out folder.`,
    );
  const named = signer && definition.publication?.parliament.find(({ id }) => id === signer.kid);
  if (signer !== undefined && named?.publicKey !== signer.publicKey)
    throw new UsageError(
      `--key: ${signer.kid} is no key of the Parliament in this definition. Give the one that it names, or none.`,
    );
  await folder.write(DEFINITION, bytes);
  await folder.write(DEFINITION_SIGNATURES, signed);
  say({
    event: "definition",
    title: definition.title,
    mode: definition.mode,
    definition: hash,
    trusted: trusted.trusted,
  });
  trusted.authorities = await findAuthorities(client, trusted);
  return { trusted, folder };
}

/** What the stream says of a release. */
const Announced = z.object({ ...Listed.shape, previous: z.string().nullable() });

/** Takes releases as they are announced, until the signal. What the stream does not say, or cannot, the list does. */
async function follow(
  taker: Taker,
  { client, signal, say }: { client: StreamingClient; signal: AbortSignal; say: Say },
): Promise<void> {
  let isAway = false;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
    try {
      const from = taker.last();
      const isStream = await listen(taker, client, () => {
        isAway = false;
        pause = FIRST_PAUSE_MS;
      });
      if (!isStream || taker.last() > from) pause = isStream ? FIRST_PAUSE_MS : POLL_MS;
    } catch (error) {
      if (signal.aborted || error instanceof Discrepancy || error instanceof UsageError) throw error;
      if (!isAway) say({ event: "away", why: (error as Error).message });
      isAway = true;
    }
    // Jitter: many clients that were cut off together do not come back together.
    await sleep(pause * (0.5 + Math.random()), undefined, { signal });
  }
}

/** One stream from its beginning to its end, however that comes. False if there is none. */
async function listen(taker: Taker, client: StreamingClient, heard: () => void): Promise<boolean> {
  const response = await client.open(STREAM, { accept: "text/event-stream", "last-event-id": String(taker.last()) });
  try {
    // A cut while the list is read is told to whoever reads on.
    response.on("error", () => undefined);
    await taker.catchUp();
    if (response.statusCode !== 200) return false;
    for await (const { event, data } of eventsOf(response)) {
      heard();
      if (event !== "release") continue;
      const read = Announced.safeParse(jsonOrUndefined(data));
      if (!read.success) await taker.catchUp();
      else await taker.hear(read.data, read.data.previous);
    }
    return true;
  } finally {
    response.destroy();
  }
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // then the list is asked
  }
}
