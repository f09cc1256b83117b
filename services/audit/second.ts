import { Worker } from "node:worker_threads";
import { passesStrictChecks } from "./strict.ts";

/**
 * Every signature a second time, by an implementation that shares nothing with the first: tweetnacl, in pure JavaScript, after strict checks of
 * its own. It is 100 to 350 times slower than node:crypto, so it works on threads of its own beside the rest of the audit.
 */
export interface SecondOpinion {
  /**
   * Takes one signature that node:crypto has found to hold; resolves when there is room for the next. `index` is the entry's. Bytes are
   * copied to the thread.
   */
  check(index: number, signature: Signed): Promise<void>;
  /** Waits for all; answers the lowest index at which tweetnacl disagrees, and how many were checked. */
  finish(): Promise<{ checked: number; disagrees: number | undefined }>;
  /** Ends the threads, which keep the process alive until then. */
  close(): Promise<void>;
}

export interface Signed {
  signed: Uint8Array;
  /** 64 bytes. */
  signature: Uint8Array;
  /** 32 bytes. */
  publicKey: Uint8Array;
}

/** Signatures that wait for each thread: half a second's work, and at most so many bytes of statements in all. */
const WAITING_PER_THREAD = 64;
const WAITING_BYTES = 8 * 1024 * 1024;
/** It computes in small arrays that are garbage at once: without a bound each thread lets 30 MiB of them lie. */
const THREAD_LIMITS = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 64 };

export function createSecondOpinion(threads: number): SecondOpinion {
  const workers: Worker[] = [];
  const load = Array<number>(threads).fill(0);
  const waiting = new Map<number, { index: number; bytes: number; thread: number }>();
  let bytes = 0;
  let checked = 0;
  let disagrees: number | undefined;
  let failure: Error | undefined;
  let wake = () => {};
  const changed = () => new Promise<void>((resolve) => (wake = resolve));

  const disagree = (index: number) => {
    disagrees = Math.min(index, disagrees ?? index);
  };
  const settle = ({ id, holds }: { id: number; holds: boolean }) => {
    const done = waiting.get(id);
    if (done === undefined) return;
    waiting.delete(id);
    bytes -= done.bytes;
    load[done.thread]! -= 1;
    if (!holds) disagree(done.index);
    wake();
  };
  const start = () => {
    for (let n = 0; n < threads; n++) {
      const worker = new Worker(new URL("./second-worker.js", import.meta.url), { resourceLimits: THREAD_LIMITS });
      workers.push(worker);
      worker.on("message", settle);
      worker.on("error", (error) => {
        failure = error;
        wake();
      });
    }
  };

  const until = async (isSo: () => boolean) => {
    while (!isSo() && failure === undefined) await changed();
    if (failure !== undefined) throw failure;
  };

  return {
    async check(index, { signed, signature, publicKey }) {
      const id = checked++;
      if (!passesStrictChecks(signature, publicKey)) {
        disagree(index);
        return;
      }
      if (workers.length === 0) start();
      const thread = load.indexOf(Math.min(...load));
      waiting.set(id, { index, bytes: signed.length, thread });
      bytes += signed.length;
      load[thread]! += 1;
      workers[thread]?.postMessage({
        id,
        signed: plain(signed),
        signature: plain(signature),
        publicKey: plain(publicKey),
      });
      await until(() => waiting.size < WAITING_PER_THREAD * threads && bytes < WAITING_BYTES);
    },
    async finish() {
      await until(() => waiting.size === 0);
      return { checked, disagrees };
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()));
    },
  };
}

/** Only these bytes, not the whole buffer that they lie in. */
const plain = (bytes: Uint8Array) => Uint8Array.from(bytes);
