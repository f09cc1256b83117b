import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import { z } from "zod";
import { NOTE_ALGORITHM, parseSize, readCheckpoint } from "../../shared/ledger/checkpoint.ts";
import { findCosignature, parseVerifierKey, type Witness } from "../../shared/ledger/cosignature.ts";
import { isLoopback, refuseConfig } from "../../shared/platform/config.ts";
import { importVerifyKey, type VerifyKey } from "../../shared/statement/ed25519.ts";

/** A witness that is asked over HTTP (C2SP tlog-witness). */
export interface RemoteWitness extends Witness {
  /** Its prefix, without a slash at the end. */
  url: string;
}

export const SCRUTIN_WITNESSES = z
  .string()
  .min(1)
  .optional()
  .describe('Name the JSON file of the witnesses to ask: [{"url", "verifierKey"}], or leave it out.');

/** A note has sixteen lines, and one is the log's. */
const MAX_WITNESSES = 15;
const File = z.array(z.strictObject({ url: z.url(), verifierKey: z.string() })).max(MAX_WITNESSES);

/**
 * Reads the file of the witnesses; none without one. `definition`: the witnesses that it names. A key that is no witness', a name twice, a name that the definition gives to another key,
 * or plain HTTP to another machine is refused in a sentence (`EX_CONFIG`).
 */
export async function readWitnesses(
  path: string | undefined,
  definition: { quorum: number; keys: readonly { name: string; publicKey: string }[] } | undefined,
  log: Logger,
): Promise<RemoteWitness[]> {
  const witnesses = path === undefined ? [] : await readFileOf(path, definition?.keys ?? []);
  const quorum = definition?.quorum ?? 0;
  const asked = witnesses.filter(({ name }) => definition?.keys.some((key) => key.name === name)).length;
  if (asked < quorum)
    log.warn({ quorum, asked }, "fewer witnesses are asked than the definition's quorum: no head can reach it");
  return witnesses;
}

async function readFileOf(
  path: string,
  named: readonly { name: string; publicKey: string }[],
): Promise<RemoteWitness[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) =>
    refuse(`${path} cannot be read (${error.code ?? error.message}). Correct the path or the rights.`),
  );
  const parsed = File.safeParse(jsonOrUndefined(text));
  if (!parsed.success)
    refuse(`${path} must hold at most ${MAX_WITNESSES} witnesses as [{"url", "verifierKey"}], in JSON.`);
  const witnesses = parsed.data.map(({ url, verifierKey }) => remoteWitness(url, verifierKey));
  for (const [n, { name, publicKey }] of witnesses.entries()) {
    if (witnesses.findIndex((other) => other.name === name) !== n) refuse(`${path} names the witness ${name} twice.`);
    const other = named.find((known) => known.name === name);
    if (other !== undefined && other.publicKey !== Buffer.from(publicKey.raw).toString("base64url"))
      refuse(`${path} gives the witness ${name} another key than the definition does.`);
  }
  return witnesses;
}

function refuse(sentence: string): never {
  refuseConfig([`SCRUTIN_WITNESSES: ${sentence}`]);
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not JSON: the caller says so
  }
}

function remoteWitness(address: string, verifierKey: string): RemoteWitness {
  const url = new URL(address);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && isLoopback(url.hostname)))
    refuse(`${address} is neither https nor on this machine.`);
  const read = parseVerifierKey(verifierKey);
  const publicKey = read?.alg === NOTE_ALGORITHM.cosignature ? importVerifyKey(read.raw) : undefined;
  if (read === undefined || publicKey === undefined) refuse(`${verifierKey} is not the verifier key of a witness.`);
  return { url: url.href.replace(/\/+$/, ""), name: read.name, publicKey };
}

/** The log, as its witnesses know it. */
export interface OwnLog {
  origin: string;
  publicKey: VerifyKey;
}

/** What a witness holds: a tree that this log has signed; nothing; or it does not say. */
export type ReadBack =
  | { kind: "holds"; size: number; root: Uint8Array }
  | { kind: "nothing" }
  | { kind: "away"; why: string };

/** What it answered to a checkpoint. `line`: verified to be its cosignature of that very checkpoint. */
export type Added =
  | { kind: "cosigned"; line: string }
  | { kind: "other-size"; size: number }
  /** It says that the tree does not extend the one that it holds. */
  | { kind: "inconsistent"; why: string }
  | { kind: "away"; why: string };

/** One answer of a witness may take so long. */
const ANSWER_MS = 5_000;
/** More than any note or line of the protocol. */
const MAX_ANSWER_BYTES = 64 * 1024;
const TLOG_SIZE = "text/x.tlog.size";

/** Asks for what the witness cosigned last. Only a checkpoint under this log's own signature counts. Never rejects. */
export async function readBack({ url }: RemoteWitness, log: OwnLog, signal: AbortSignal): Promise<ReadBack> {
  const hash = createHash("sha256").update(log.origin, "utf8").digest("hex");
  return unlessAway(async () => {
    const { status, text } = await ask(`${url}/${hash}/checkpoint`, undefined, signal);
    if (status === 404) return { kind: "nothing" };
    const read = status === 200 ? readCheckpoint(text, log) : undefined;
    return read === undefined ? { kind: "away", why: meaningless(status) } : { kind: "holds", ...read };
  });
}

/** Asks for a cosignature. `note`: a committed checkpoint of this log. Only 200 with a line that verifies is success. Never rejects. */
export async function addCheckpoint(
  witness: RemoteWitness,
  { oldSize, proof, note }: { oldSize: number; proof: readonly Uint8Array[]; note: string },
  signal: AbortSignal,
): Promise<Added> {
  const lines = proof.map((hash) => `${Buffer.from(hash).toString("base64")}\n`).join("");
  return unlessAway(async () => {
    const body = `old ${oldSize}\n${lines}\n${note}`;
    const { status, text, type } = await ask(`${witness.url}/add-checkpoint`, body, signal);
    if (status === 200) {
      const checkpoint = note.slice(0, note.lastIndexOf("\n\n") + 1);
      const found = findCosignature(checkpoint, text, witness);
      if (found !== undefined) return { kind: "cosigned", line: found.line };
    }
    if (status === 409 && type === TLOG_SIZE) {
      const size = parseSize(text.trimEnd());
      if (size !== undefined) return { kind: "other-size", size };
    }
    if (status === 422 || (status === 409 && type !== TLOG_SIZE))
      return { kind: "inconsistent", why: `status ${status}` };
    return { kind: "away", why: meaningless(status) };
  });
}

const meaningless = (status: number) =>
  status === 200 ? "its answer does not verify" : `it answers with status ${status}`;

async function unlessAway<T>(work: () => Promise<T>): Promise<T | { kind: "away"; why: string }> {
  try {
    return await work();
  } catch (error) {
    const { message, cause } = error as Error;
    return { kind: "away", why: cause instanceof Error && cause.message ? cause.message : message };
  }
}

async function ask(url: string, body: string | undefined, signal: AbortSignal) {
  const response = await fetch(url, {
    method: body === undefined ? "GET" : "POST",
    ...(body === undefined ? {} : { body, headers: { "content-type": "text/plain; charset=utf-8" } }),
    redirect: "error",
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
  });
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of response.body ?? []) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw new Error(`it answers with more than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  const type = response.headers.get("content-type")?.split(";", 1)[0]?.trim().toLowerCase();
  return { status: response.status, type, text: Buffer.concat(chunks, length).toString("utf8") };
}
