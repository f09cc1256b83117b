import { createHmac } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import type { Logger } from "pino";
import { z } from "zod";
import { file, isLoopback, refuseConfig } from "../../../shared/platform/config.ts";
import type { IncidentBook } from "./book.ts";
import type { Severity } from "./catalogue.ts";
import type { Incident } from "./life.ts";
import { type EventRow, selectDelivered, selectEvents, upsertDelivered } from "./store.ts";

/**
 * Alerts to other authorities: every event of an incident as a signed webhook (Standard Webhooks 1.0), in order, again and again until it
 * is taken. What was not taken before a restart is sent after it; a receiver may get one twice, and knows it by its id.
 */

const reachable = (text: string) => {
  const { protocol, hostname } = new URL(text);
  return protocol === "https:" || (protocol === "http:" && isLoopback(hostname));
};
const RANK: readonly Severity[] = ["critical", "major", "minor", "notice"];

const Receiver = z.strictObject({
  name: z.string().regex(/^[a-z0-9-]{1,64}$/, "is not a name of a-z, 0-9 and -"),
  url: z.url().refine(reachable, "is neither https nor on this machine"),
  /** As the specification writes it: `whsec_` and 24 to 64 bytes in base64. */
  secret: z.string().regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, "is no secret of the form whsec_…"),
  /** What is less grave is not sent. */
  least: z.enum(["critical", "major", "minor", "notice"]).default("notice"),
  /** Only what nobody has acknowledged in time. */
  escalatedOnly: z.boolean().default(false),
});
export type Receiver = z.infer<typeof Receiver>;

export const SCRUTIN_WEBHOOKS_FILE = file(
  'Name the JSON file of those who are told of incidents: [{"name", "url", "secret"}], or leave it out.',
).optional();

/** Reads the file; none without one. What is wrong with it is said in a sentence (`EX_CONFIG`), and never quotes it. */
export async function readReceivers(path: string | undefined): Promise<Receiver[]> {
  if (path === undefined) return [];
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) =>
    refuseConfig([`SCRUTIN_WEBHOOKS_FILE: ${path} cannot be read (${error.code ?? error.message}). Correct the path.`]),
  );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    refuseConfig([`SCRUTIN_WEBHOOKS_FILE: ${path} is not JSON.`]);
  }
  const read = z.array(Receiver).max(32).safeParse(json);
  if (!read.success) {
    const where = read.error.issues.map(({ path: at, message }) => `${at.join(".") || "all of it"} ${message}`);
    refuseConfig([`SCRUTIN_WEBHOOKS_FILE: ${path}: ${where.join("; ")}.`]);
  }
  if (new Set(read.data.map(({ name }) => name)).size < read.data.length)
    refuseConfig([`SCRUTIN_WEBHOOKS_FILE: ${path}: two receivers have one name.`]);
  return read.data;
}

/** `webhook-signature` of a message (Standard Webhooks 1.0, symmetric). */
export function signWebhook(secret: string, id: string, seconds: number, body: string): string {
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  return `v1,${createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64")}`;
}

const ANSWER_MS = 5_000;
const IDLE_MS = 500;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
const AT_ONCE = 100;

/** Sends to one receiver until the signal. Never rejects. */
export async function deliver(
  receiver: Receiver,
  {
    pool,
    book,
    log,
    now,
    signal,
  }: { pool: Pool; book: IncidentBook; log: Logger; now: () => number; signal: AbortSignal },
): Promise<void> {
  let last: number | undefined;
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    let wait = IDLE_MS;
    try {
      last ??= (await selectDelivered(pool, receiver.name)) ?? 0;
      const rows = await selectEvents(pool, last, AT_ONCE);
      for (const row of rows) {
        const body = bodyOf(row, book.find(row.incident), receiver);
        if (body !== undefined) await send(receiver, row.id, body, now(), signal);
        await upsertDelivered(pool, receiver.name, row.id);
        last = row.id;
        pause = FIRST_PAUSE_MS;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (pause === FIRST_PAUSE_MS) log.warn({ err: error, receiver: receiver.name }, "a webhook was not taken");
      wait = pause * (0.5 + Math.random());
      pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
    }
    await sleep(wait, undefined, { signal }).catch(() => undefined); // the end wakes it
  }
}

/** Undefined for what this receiver does not want. */
function bodyOf(row: EventRow, incident: Incident | undefined, { least, escalatedOnly }: Receiver): string | undefined {
  if (row.kind === "repeated" || incident === undefined) return undefined;
  if (RANK.indexOf(incident.severity) > RANK.indexOf(least)) return undefined;
  if (escalatedOnly && incident.escalations === 0) return undefined;
  const { id, code, about, service, severity, state } = incident;
  const { who, says, detail } = row;
  const data = { id, code, about, service, severity, state, who, says, evidence: detail.evidence ?? null };
  return JSON.stringify({ type: `incident.${row.kind}`, timestamp: row.at.toISOString(), data });
}

async function send(
  { url, secret }: Receiver,
  id: number,
  body: string,
  now: number,
  signal: AbortSignal,
): Promise<void> {
  const seconds = Math.floor(now / 1000);
  const name = `incident-event-${id}`;
  const response = await fetch(url, {
    method: "POST",
    redirect: "error",
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    headers: {
      "content-type": "application/json",
      "webhook-id": name,
      "webhook-timestamp": String(seconds),
      "webhook-signature": signWebhook(secret, name, seconds, body),
    },
    body,
  });
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the receiver answers ${response.status}`);
}
