import { readdir, readFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import type { NatsConnection } from "nats";
import type { Harness } from "./harness.ts";
import { watchHeaders } from "./harness.ts";

/**
 * What an outsider or an operator sees of a night, with identifiers, hashes, times and ciphertext taken out: of each of these only its
 * length stays, so that what is left must be the same whatever was counted.
 */

/** Text without what no two nights share. Whoever reads it sees every other byte. */
export function plainOf(text: string): string {
  return (
    text
      .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, "<time>")
      .replaceAll(/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT/g, "<time>")
      .replaceAll(/\b127\.0\.0\.1:\d+/g, "<address>")
      .replaceAll(/scrutin-test-[A-Za-z0-9]+/g, "<folder>")
      .replaceAll(/\b[0-9a-f]{32,}\b/g, (hex) => `<${hex.length} hex>`)
      .replaceAll(/_INBOX\.([a-z]+)\.[A-Za-z0-9.]+/g, "_INBOX.$1.<id>")
      .replaceAll(/[A-Za-z0-9+/_-]{40,}={0,2}/g, (code) => `<${code.length} base64>`)
      .replaceAll(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, "<uuid>")
      // How many statements came in the last seconds, and minutes.
      .replaceAll(/("recent":)\[[\d,]*\](,"expected")/g, "$1<n>$2")
      .replaceAll(/("perMinute":)\d+/g, "$1<n>")
      .replaceAll(/("(?:ms|ageMs|byMs|spreadMs)":)[\d.]+/g, "$1<n>")
      .replaceAll(/checkpoint \d+ ms old/g, "checkpoint <n> ms old")
      // Half of what is kept there are heartbeats: how many, the clock says.
      .replaceAll(/(EVENTS|CLOCK): \d+ messages, \d+ bytes/g, "$1: <n>")
      .replaceAll(/("name":"(?:EVENTS|CLOCK)","messages":)\d+(,"bytes":)\d+/g, "$1<n>$2<n>")
  );
}

/** Bytes: as text without identifiers if they are text, otherwise nothing but their length. */
export function bytesOf(bytes: Uint8Array): string {
  const text = Buffer.from(bytes).toString("utf8");
  const isText = /^[\x20-\x7e\s—]*$/.test(text);
  return isText ? plainOf(text) : `<${bytes.length} bytes>`;
}

export interface SeenMessage {
  subject: string;
  headers: string;
  data: Uint8Array;
}

/** Keeps everything that goes over the bus from now on. */
export function listen(nc: NatsConnection): SeenMessage[] {
  const seen: SeenMessage[] = [];
  nc.subscribe(">", {
    callback: (error, { subject, headers, data }) => {
      if (error !== null) throw error;
      seen.push({
        subject,
        headers: [...(headers ?? [])].map(([name, values]) => `${name}: ${values}`).join("; "),
        data,
      });
    },
  });
  return seen;
}

/** What one request and its answer look like: status, headers in order, body. */
export interface SeenAnswer {
  asked: string;
  status: number;
  headers: string[];
  body: string;
}

/** Answers that hold an age or a time in words: their own length depends on it, and is compared without. */
const OF_NO_FIXED_LENGTH = /^(?:watch|\w+ GET \/(?:metrics|readyz))/;

/** One request on a connection of its own, as bytes. */
export async function ask(
  service: string,
  url: string,
  method: string,
  path: string,
  body?: { type: string; bytes: Uint8Array },
): Promise<SeenAnswer> {
  const headers: Record<string, string | number> = {
    ...(body === undefined ? {} : { "content-type": body.type, "content-length": body.bytes.length }),
    // As somebody who may look: what others see is less.
    ...(service === "watch" ? watchHeaders : {}),
  };
  const { status, rawHeaders, bytes } = await exchange(new URL(url), method, path, headers, body?.bytes);
  const asked = `${service} ${method} ${plainOf(path)}`;
  const seen: string[] = [];
  for (let n = 0; n < rawHeaders.length; n += 2) {
    const [name = "", value = ""] = rawHeaders.slice(n, n + 2);
    seen.push(`${name}: ${headerOf(asked, name.toLowerCase(), value)}`);
  }
  return {
    asked,
    status,
    headers: seen,
    body: path === "/metrics" ? metricsOf(bytes.toString("utf8")) : bytesOf(bytes),
  };
}

function headerOf(asked: string, name: string, value: string): string {
  // Drawn anew each time, from one to five.
  if (name === "retry-after") return /^[1-5]$/.test(value) ? "<one to five>" : value;
  if (name === "content-length" && OF_NO_FIXED_LENGTH.test(asked)) return "<its own>";
  return plainOf(value);
}

function exchange(url: URL, method: string, path: string, headers: Record<string, string | number>, body?: Uint8Array) {
  return new Promise<{ status: number; rawHeaders: string[]; bytes: Buffer }>((resolve, reject) => {
    const sent = request({ host: url.hostname, port: url.port, method, path, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on("data", (chunk: Buffer) => chunks.push(chunk));
      answer.on("end", () => {
        resolve({ status: answer.statusCode ?? 0, rawHeaders: answer.rawHeaders, bytes: Buffer.concat(chunks) });
      });
      answer.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** Asked every second by watch, as often as it was there. */
const PROBES = /route="\/(?:healthz|readyz|metrics|v1\/status)"/;

/** Every name, label and value, but for how long something took, and what the process used of its machine. */
export function metricsOf(text: string): string {
  const lines = text.split("\n").filter((line) => !/^(?:# (?:HELP|TYPE) )?(?:process|nodejs)_/.test(line));
  return lines
    .map((line) => {
      const isTime = /_seconds_(?:bucket|sum)/.test(line);
      return isTime || PROBES.test(line) ? line.replace(/ [\d.e+-]+$/, " <n>") : line;
    })
    .filter((line) => !/_seconds_bucket/.test(line))
    .join("\n");
}

/** Lines of every service's log, each without when it was and how long it took; in any order. */
export async function logsOf({ folder }: Harness): Promise<Record<string, string[]>> {
  const logs: Record<string, string[]> = {};
  for (const name of (await readdir(join(folder, "logs"))).sort()) {
    const text = await readFile(join(folder, "logs", name), "utf8");
    const lines = text.split("\n").filter((line) => line !== "");
    logs[name] = lines.map(lineOf).sort();
  }
  return logs;
}

function lineOf(line: string): string {
  const logged = JSON.parse(line) as Record<string, unknown>;
  for (const name of ["time", "pid", "ms", "hostname"]) delete logged[name];
  return plainOf(JSON.stringify(logged));
}

/** How often these are there is a matter of time; in what forms is not. */
const PACED = new Set(["tabulate.candidate", "recount.answer", "ledger.data_key"]);

/** Every row of every table, as a service that may read it sees it, and how large the ledger's tables are on the disk. */
export async function rowsOf({ query }: Harness): Promise<Record<string, string[]>> {
  const tables = await query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname not in ('pg_catalog', 'information_schema') order by 1`,
  );
  const seen: Record<string, string[]> = {};
  for (const { name } of tables) {
    const rows = (await query<Record<string, unknown>>(`select * from ${name}`)).map((row) => rowOf(name, row));
    seen[name] = PACED.has(name) ? [...new Set(rows)].sort() : rows.sort();
  }
  const sizes = await query<{ name: string; pages: string; toast: string }>(
    `select c.oid::regclass::text as name, pg_relation_size(c.oid) as pages, pg_relation_size(nullif(c.reltoastrelid, 0)) as toast
       from pg_class c where c.relnamespace = 'ledger'::regnamespace and c.relkind = 'r' order by 1`,
  );
  seen.sizes = sizes.map(({ name, pages, toast }) => `${name}: ${pages} and ${toast}`);
  return seen;
}

function rowOf(table: string, row: Record<string, unknown>): string {
  const columns = Object.entries(row).map(([name, value]) => {
    if (PACED.has(table) && name === "size") return `${name}: <n>`;
    // What watch has noticed in which order, the clock says; what it has noticed, all of them.
    if (table === "watch.incident_event" && name === "id") return `${name}: <n>`;
    // How far watch has read EVENTS, of which half are hints.
    if (table === 'watch."position"' && name === "seq") return `${name}: <n>`;
    if (value instanceof Uint8Array) return `${name}: ${bytesOf(value)}`;
    return `${name}: ${plainOf(JSON.stringify(value))}`;
  });
  return columns.join(", ");
}

/** What went over the bus: what is sent once for each statement in order, everything else as the forms that it has. */
export function messagesOf(messages: readonly SeenMessage[]): { ordered: string[]; forms: string[] } {
  const ordered: string[] = [];
  const forms = new Set<string>();
  for (const { subject, headers, data } of messages) {
    const plain = `${plainOf(subject)} [${plainOf(headers)}] ${bytesOf(data)}`;
    if (/^(?:statement|receipt|ledger\.appended|ledger\.key$|incident)/.test(subject)) ordered.push(plain);
    else forms.add(formOf(subject, plain));
  }
  return { ordered, forms: [...forms].sort() };
}

/**
 * JetStream's own words count beats and what is on its way at this moment: of them the kind is compared, for what they are about is
 * compared message by message.
 */
function formOf(subject: string, plain: string): string {
  if (subject.startsWith("$JS.EVENT.")) return subject;
  const [, kind] = /^(_INBOX\.\S+ \[.*?\]) \{"type":"io\.nats\.jetstream\.api/.exec(plain) ?? [];
  if (kind !== undefined) return kind.replaceAll(/\d+/g, "#");
  return /^(?:\$JS|_INBOX|release\.sealed)/.test(subject) ? plain.replaceAll(/\d+/g, "#") : plain;
}
