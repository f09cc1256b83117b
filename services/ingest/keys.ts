import { type NatsConnection, NatsError } from "nats";
import type { Logger } from "pino";
import { z } from "zod";
import type { Register } from "../../shared/definition/register.ts";
import { keyFindings, maySuspend } from "../../shared/ledger/key-rules.ts";
import { applyKey, changesKeys, createKeyBook, type KeyBook } from "../../shared/ledger/keys.ts";
import { follow } from "../../shared/platform/follow.ts";
import { SUBJECTS } from "../../shared/platform/nats.ts";
import { authenticate } from "../../shared/statement/authentic.ts";
import { openEnvelope } from "../../shared/statement/jws.ts";

/**
 * The keys of the log as this door knows them: those of the definition, and what the ledger says that `key` statements and suspensions made of them.
 * The ledger judges by its own. A door that has not heard yet costs an office a second try, or lets in what is then quarantined.
 */
export interface KnownKeys {
  readonly book: KeyBook;
  stop(): Promise<void>;
}

const ASK_EVERY_MS = 5_000;
/** Nobody answered: a ledger is starting. */
const AGAIN_MS = 1_000;
/** Everything is asked for again: the index from which we go on is only what the bus said. */
const ASK_ALL_MS = 60_000;
const ANSWER_MS = 2_000;

const Answer = z.object({
  keys: z.array(z.object({ index: z.number().int().nonnegative(), jws: z.base64() })),
});
type Told = z.infer<typeof Answer>["keys"][number];

/** Asks now, whenever the ledger says that keys have changed, and anyway every few seconds. Resolves when it has asked once. */
export async function followKeys(opts: {
  nc: NatsConnection;
  register: Register;
  log: Logger;
  fail(error: unknown): void;
}): Promise<KnownKeys> {
  const { nc, register, log, fail } = opts;
  const book = createKeyBook(register.definition);
  let next = 0;
  let askedAllAt = Number.NEGATIVE_INFINITY;

  const round = async (): Promise<number> => {
    const all = performance.now() - askedAllAt > ASK_ALL_MS;
    const reached = await learnFrom(all ? 0 : next);
    if (reached === undefined) return AGAIN_MS;
    next = reached;
    if (all) askedAllAt = performance.now();
    return ASK_EVERY_MS;
  };
  /** Takes everything from this index on; answers where it ends, or undefined when nobody answered. */
  const learnFrom = async (from: number): Promise<number | undefined> => {
    for (let at = from; ; ) {
      const told = await ask(nc, at, log);
      if (told === undefined) return undefined;
      for (const one of told) if (!(await learn(book, one, register))) log.error({ index: one.index }, UNLEARNT);
      const last = told.at(-1)?.index ?? -1;
      if (last < at) return at;
      at = last + 1;
    }
  };

  await round();
  const follower = follow({ nc, subjects: [SUBJECTS.key], round, fail });
  return { book, stop: follower.stop };
}

const UNLEARNT = "what came as a statement of the log that changes keys is none";

async function ask(nc: NatsConnection, from: number, log: Logger): Promise<Told[] | undefined> {
  try {
    const answer = await nc.request(SUBJECTS.keys, JSON.stringify({ from }), { timeout: ANSWER_MS });
    return Answer.parse(answer.json()).keys;
  } catch (error) {
    if (!(error instanceof NatsError || error instanceof z.ZodError || error instanceof SyntaxError)) throw error;
    log.warn({ err: error }, "the ledger did not say which keys there are");
    return undefined;
  }
}

/**
 * Applies one statement as if the bus had made it up: it must be authentic, of this election, and bring or end what it may. What is
 * known already, or can not have been accepted, changes nothing. False if it is no authentic statement of this election that changes keys.
 */
async function learn(book: KeyBook, { index, jws }: Told, register: Register): Promise<boolean> {
  const opened = openEnvelope(Buffer.from(jws, "base64"));
  if (opened.kind === "refused") return false;
  const authenticity = await authenticate(opened.envelope, book);
  if (authenticity.kind === "refused") return false;
  const { statement } = authenticity;
  if (!changesKeys(statement) || statement.definition !== register.hash) return false;
  const keys = authenticity.signers.map(({ key }) => key);
  if (statement.type === "decision") {
    if (maySuspend(book, statement, keys)) applyKey(book, index, statement);
    return true;
  }
  const isState = (id: string) => register.state(id) !== undefined;
  // When the ledger received it is not known here; only the ledger judges by it.
  if (keyFindings(book, statement, keys, Number.POSITIVE_INFINITY, isState).length === 0)
    applyKey(book, index, statement);
  return true;
}
