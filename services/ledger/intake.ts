import type { Msg } from "nats";
import { openInbox } from "./inbox.ts";
import { type Opened, openAll, type Sequencer } from "./sequencer.ts";

/** A batch as it was taken; `failure` when it could not be opened for a reason on our side. */
export interface Batch extends Opened {
  messages: Msg[];
  failure?: unknown;
}

/** Batches one after the other: while one is written, the next is already being opened and verified. */
export interface Intake {
  /** The batch at hand; empty when nothing came for a second. The same one until `advance`. */
  present(): Promise<Batch>;
  advance(): void;
  /** Ends a wait for deliveries. */
  wake(): void;
  /** Gives back, in order, what was not written. */
  close(): Promise<void>;
}

/** How long an idle writer waits for deliveries before it looks after gaps and its session. */
const IDLE_MS = 1_000;

export function openIntake(seq: Sequencer): Intake {
  const inbox = openInbox(seq.nc, seq.log);
  const open = async (messages: Msg[]): Promise<Batch> => {
    try {
      return { messages, ...(await openAll(seq, messages)) };
    } catch (failure) {
      return { messages, delivered: [], strangers: [], failure };
    }
  };
  const take = async () => open(await inbox.take(IDLE_MS));
  let present = take();
  let next: Promise<Batch> | undefined;
  return {
    async present() {
      let batch = await present;
      // What failed on our side may work now.
      if (batch.failure !== undefined) {
        present = open(batch.messages);
        batch = await present;
      }
      next ??= take();
      return batch;
    },
    advance() {
      present = next ?? take();
      next = undefined;
    },
    wake: () => inbox.wake(),
    async close() {
      inbox.stop();
      const held = await Promise.all([present, next]);
      const messages = held.flatMap((batch) => batch?.messages ?? []);
      await inbox.giveBack(messages);
    },
  };
}
