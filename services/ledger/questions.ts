import { headers, type Msg, type NatsConnection, type Subscription } from "nats";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { SUBJECTS } from "../../shared/platform/nats.ts";
import { isStranger, type Opener, openDelivery } from "./delivery.ts";
import type { LiveKeys } from "./keys.ts";
import { LogBroken, type Receipts } from "./receipts.ts";
import { findStatement, findUsed, readKeyStatements } from "./store.ts";

/** Ledgers answer in turn: what is asked is in the database, which a standby can read as well. */
const QUEUE = "ledger";
/** Of statements in one answer: a MiB as base64. */
const MAX_KEY_BYTES = 768 * 1024;

/**
 * Answers what `ingest` asks by core NATS: `ledger.ask` (these bytes: their receipt, if they are in the log), `ledger.find`
 * (this hash: its index) and `ledger.keys` (accepted statements that change keys). Receipts are asked of this process only while its key signs for
 * the log: what came to one that cannot sign would stay without an answer. `fail`: the log contradicts itself, and nothing is answered any
 * more. Answers `stop`, which lets questions in hand finish.
 */
export function answerQuestions(deps: {
  nc: NatsConnection;
  pool: Pool;
  opener: Opener;
  keys: LiveKeys;
  receipts: Receipts;
  log: Logger;
  fail(error: LogBroken): void;
}): () => Promise<void> {
  const { nc, log, receipts, fail } = deps;
  const failed = (subject: string, error: unknown) => {
    // No answer is an answer: whoever asked asks again.
    log.error({ err: error, subject }, "a question was not answered");
    if (error instanceof LogBroken) fail(error);
  };
  const subscribe = (subject: string, reply: (msg: Msg) => Promise<void>): Subscription =>
    nc.subscribe(subject, {
      queue: QUEUE,
      callback: (error, msg) => {
        if (error !== null) log.error({ err: error, subject }, "questions cannot be received");
        else reply(msg).catch((failure: unknown) => failed(subject, failure));
      },
    });
  const draining: Promise<void>[] = [];
  let asked: Subscription | undefined;
  let isOver = false;
  receipts.whenKnown((signs) => {
    if (isOver || signs === (asked !== undefined)) return;
    if (asked !== undefined) draining.push(asked.drain());
    asked = signs ? subscribe(SUBJECTS.ask, (msg) => answerAsk(deps, msg)) : undefined;
  });
  const found = subscribe(SUBJECTS.find, (msg) => answerFind(deps.pool, msg));
  const keys = subscribe(SUBJECTS.keys, (msg) => answerKeys(deps, msg));
  return async () => {
    isOver = true;
    await Promise.all([...draining, asked?.drain(), found.drain(), keys.drain()]);
  };
}

interface Asked {
  pool: Pool;
  opener: Opener;
  keys: LiveKeys;
  receipts: Receipts;
}

/** The receipt holds figures: it is given to whoever brings the bytes, whole and signed, sealed with the key they came with. */
async function answerAsk({ pool, opener, keys, receipts }: Asked, msg: Msg): Promise<void> {
  let opened = await openDelivery(msg, opener);
  // A standby is not told of keys that the writer took.
  if (isStranger(opened) && (await keys.lookAgain())) opened = await openDelivery(msg, opener);
  const index = opened.kind === "authentic" ? await indexOf(pool, opened) : undefined;
  if (opened.kind === "forged" || index === undefined) {
    const head = headers();
    head.set("Scrutin-Status", "unknown");
    msg.respond(undefined, { headers: head });
    return;
  }
  const { headers: head, data } = receipts.seal(opened, await receipts.ofStored(pool, index));
  head.set("Scrutin-Status", "known");
  msg.respond(data, { headers: head });
}

async function indexOf(pool: Pool, opened: Awaited<ReturnType<typeof openDelivery>>): Promise<number | undefined> {
  if (opened.kind === "forged") return undefined;
  const { statement, signers, payload } = opened;
  const used = await findUsed(pool, [{ key: signers[0].id, sequence: statement.sequence }]);
  return used.find((entry) => entry.payload.equals(payload))?.index;
}

/** Public knowledge: the entry carries the hash. */
async function answerFind(pool: Pool, msg: Msg): Promise<void> {
  const sha256 = Buffer.from(msg.data).toString("ascii");
  const index = /^[0-9a-f]{64}$/.test(sha256) ? await findStatement(pool, Buffer.from(sha256, "hex")) : undefined;
  msg.respond(JSON.stringify(index === undefined ? {} : { index }));
}

/** Accepted `key` statements and suspensions in the order of the log, the JWS in base64. `next`: where to ask on. */
interface KeysAnswer {
  keys: { index: number; jws: string }[];
  next: number;
}

/** As many from `from` on as an answer holds, and at least one if there is one. All of them are public. */
async function answerKeys({ pool, keys }: Asked, msg: Msg): Promise<void> {
  const { from } = msg.json<{ from: number }>();
  if (!Number.isSafeInteger(from) || from < 0) throw new TypeError("`from` is no index");
  await keys.refresh();
  const read = await readKeyStatements(pool, keys.accepted(from), MAX_KEY_BYTES);
  const answer: KeysAnswer = {
    keys: read.map(({ index, jws }) => ({ index, jws: jws.toString("base64") })),
    next: (read.at(-1)?.index ?? from - 1) + 1,
  };
  msg.respond(JSON.stringify(answer));
}
