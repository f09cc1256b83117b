import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "../../shared/platform/publisher/client.ts";
import { Discrepancy, Unreachable } from "../../shared/platform/publisher/discrepancy.ts";
import { writePullToken } from "../../shared/platform/pull-token.ts";
import type { ReleaseId } from "../../shared/platform/release-seal.ts";
import { decodeSealedCopy, MAX_SEALED_BYTES, type SealedCopy } from "../../shared/platform/sealed-copy.ts";
import type { Signer } from "../../shared/platform/sign.ts";
import { type OutFolder, SEALED } from "./folder.ts";
import type { Say } from "./words.ts";

/** Sealed releases that are held ahead of their keys: the newest ones, in memory, and the last of them in the folder. */
export interface Held {
  /** Asks once. */
  look(): Promise<void>;
  /** Asks again and again, until the signal: it never rejects for what the publisher does. */
  keepLooking(): Promise<void>;
  find(id: ReleaseId): SealedCopy | undefined;
  /** Forgets what is of no use any more: copies of this release and those before it. */
  drop(number: number): Promise<void>;
}

export interface HeldSources {
  client: Client;
  signer: Signer;
  /** Of the definition, hex. */
  definition: string;
  folder: OutFolder;
  say: Say;
  refuse(discrepancy: Discrepancy): void;
  signal: AbortSignal;
  /** ms since 1970. */
  now(): number;
}

const LATEST = "/v1/sealed/latest";
/** A release may be of a prefix just before the newest that was sealed. */
const COPIES = 8;
/** For how long a token is made, and how long before its end there is a new one. */
const TOKEN_MS = 10 * 60_000;
const RENEW_MS = 5 * 60_000;
/** The publisher holds a request for so long while it has nothing newer: less than a client's patience with a silent line. */
const WAIT_SECONDS = 10;
/** A new copy comes at most once a second; whoever is told no asks seldom. */
const GAP_MS = 250;
const REFUSED_MS = 10_000;

export function createHeld(sources: HeldSources): Held {
  const { client, folder, say, refuse, signal } = sources;
  const copies = new Map<string, SealedCopy>();
  let tag: string | undefined;
  let saidUnauthorized = false;
  /** Of releases up to this number no copy is of use. */
  let dropped = 0;
  const token = createTokens(sources);
  const nameOf = ({ number, size }: ReleaseId) => `${number}/${size}`;

  const keep = async (body: Buffer, newTag: string | undefined) => {
    const isWhole = body.length <= MAX_SEALED_BYTES && !contradicts(newTag, body);
    const copy = isWhole ? decodeSealedCopy(body) : undefined;
    if (copy === undefined) {
      refuse(
        new Discrepancy(
          "sealed.differs",
          { path: LATEST },
          `${LATEST} is no sealed release, or not the one that its ETag is of.`,
        ),
      );
      return false;
    }
    // Its release was opened while it was on its way: what is kept of it now nobody would drop.
    if (copy.number <= dropped) return true;
    copies.set(nameOf(copy), copy);
    const [oldest] = copies.keys();
    if (copies.size > COPIES && oldest !== undefined) copies.delete(oldest);
    await folder.write(SEALED, body);
    if (copies.size === 0) await folder.remove(SEALED);
    say({ event: "sealed", number: copy.number, size: copy.size });
    return true;
  };

  /** Ms until it makes sense to ask again. */
  const ask = async (wait: boolean): Promise<number> => {
    const more: Record<string, string> = { authorization: `Bearer ${token()}` };
    if (tag !== undefined) more["if-none-match"] = tag;
    if (wait) more.prefer = `wait=${WAIT_SECONDS}`;
    const { status, body, tag: newTag } = await client.get(LATEST, MAX_SEALED_BYTES, "*/*", more);
    if (status === 401 && !saidUnauthorized) say({ event: "unauthorized" });
    saidUnauthorized = status === 401;
    if (status !== 200) return status === 304 || status === 404 ? GAP_MS : REFUSED_MS;
    if (!(await keep(body, newTag))) return REFUSED_MS;
    tag = newTag;
    return GAP_MS;
  };

  return {
    async look() {
      await ask(false);
    },
    async keepLooking() {
      while (!signal.aborted) {
        try {
          const pause = await ask(true);
          await sleep(pause * (1 + Math.random()), undefined, { signal });
        } catch (error) {
          if (signal.aborted) return;
          // It is asked for patiently already, and the releases themselves say that nobody answers.
          if (!(error instanceof Unreachable)) throw error;
        }
      }
    },
    find: (id) => copies.get(nameOf(id)),
    async drop(number) {
      dropped = Math.max(dropped, number);
      for (const [name, copy] of copies) if (copy.number <= number) copies.delete(name);
      if (copies.size === 0) await folder.remove(SEALED);
    },
  };
}

/** A publisher's ETag is the SHA-256 of what it sent; what stands between may have another kind, or none. */
function contradicts(tag: string | undefined, body: Buffer): boolean {
  const [, sha256] = /^"([0-9a-f]{64})"$/.exec(tag ?? "") ?? [];
  return sha256 !== undefined && createHash("sha256").update(body).digest("hex") !== sha256;
}

/** A token that holds for some minutes yet. */
function createTokens({ signer, definition, now }: HeldSources): () => string {
  let token = "";
  let expiresMs = 0;
  return () => {
    const nowMs = now();
    if (nowMs > expiresMs - RENEW_MS || nowMs < expiresMs - 2 * TOKEN_MS) {
      expiresMs = nowMs + TOKEN_MS;
      token = writePullToken(signer, { definition, issuedMs: nowMs, expiresMs, nonce: randomBytes(16) });
    }
    return token;
  };
}
