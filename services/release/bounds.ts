import type { Context } from "hono";
import {
  addressName,
  type Buckets,
  createBuckets,
  createRoom,
  type Rate,
  type Room,
} from "../../shared/platform/bounds.ts";
import { type Env, Problem, remoteAddress } from "../../shared/platform/http.ts";

/** What one address, and all of them, may ask of what is opened for each request anew. */

/** An auditor takes every statement of a night within minutes. */
export const OPENING_RATE: Rate = { perSecond: 2_000, burst: 4_000 };
/** Bytes that are opened and not yet sent: a client that does not read its answer holds them until it is cut. */
export const MAX_OPENED_BYTES = 128 * 1024 * 1024;
export const MAX_OPENED_BYTES_PER_ADDRESS = 32 * 1024 * 1024;

export interface Bounds {
  addresses: Buckets;
  room: Room;
  /** Milliseconds. */
  now: () => number;
}

export function createBounds(now: () => number): Bounds {
  return {
    addresses: createBuckets(OPENING_RATE),
    room: createRoom(MAX_OPENED_BYTES, MAX_OPENED_BYTES_PER_ADDRESS),
    now,
  };
}

/** Counts a request. Throws Problem `rate.exceeded` when its address has asked too often. */
export function charge({ addresses, now }: Bounds, c: Context<Env>): void {
  const waitSeconds = addresses.take(addressName(remoteAddress(c)), now());
  if (waitSeconds !== undefined) throw new Problem("rate.exceeded", { retryAfterSeconds: waitSeconds });
}

/** Makes an answer that takes `bytes` of memory until it is sent. Throws Problem `service.busy` when there is no room for them. */
export async function within(
  { room }: Bounds,
  c: Context<Env>,
  bytes: number,
  make: () => Promise<Response>,
): Promise<Response> {
  const giveBack = room.take(addressName(remoteAddress(c)), bytes);
  if (giveBack === undefined) throw new Problem("service.busy", { retryAfterSeconds: 1 });
  const outgoing = c.env?.outgoing;
  try {
    const response = await make();
    if (outgoing === undefined || outgoing.closed) giveBack();
    else outgoing.once("close", giveBack);
    return response;
  } catch (error) {
    giveBack();
    throw error;
  }
}
