import { link, mkdir, open, readdir, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { SECRET_MODE, syncFolder } from "../../shared/platform/write-new.ts";
import { openEnvelope } from "../../shared/statement/jws.ts";
import { readStatement } from "../../shared/statement/read.ts";
import type { Statement } from "../../shared/statement/types.ts";
import { Refusal } from "./refusal.ts";

/**
 * The spool: what was signed lies on the disk before it is sent, one folder a key, and stays with its receipt for good. A statement's file is named by its
 * sequence number and made exclusively and whole, so that a number is never signed under twice, by two commands at once or after a power cut.
 *
 *   spool/<kid>/000000000017.jws                what was signed
 *               000000000017.cosigned.jws       the same payload with everyone's signature, where the first is not enough
 *               000000000017.receipt            the ledger's receipt, as it came
 *               000000000017.refused            the door's refusal: it will not be taken, whoever asks
 */

/** A statement of the spool, and how far it has come. */
export interface Spooled {
  sequence: number;
  /** The file to send. */
  file: string;
  state: "signed" | "receipt" | "refused";
}

const DIGITS = 12;
const nameOf = (sequence: number) => String(sequence).padStart(DIGITS, "0");
export const spoolOf = (folder: string, kid: string): string => join(folder, "spool", kid);

/** Every statement of a key, in the order of their numbers. */
export async function listSpool(folder: string, kid: string): Promise<Spooled[]> {
  const spool = spoolOf(folder, kid);
  const names = await readdir(spool).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [] as string[];
    throw new Refusal("file.unreadable", `${spool} cannot be read (${error.code}).`);
  });
  const found = new Map<number, { cosigned: boolean; state: Spooled["state"] }>();
  for (const name of names) {
    const [, digits, kind] = /^(\d{12})\.(jws|cosigned\.jws|receipt|refused)$/.exec(name) ?? [];
    if (digits === undefined) continue;
    const sequence = Number(digits);
    const one = found.get(sequence) ?? { cosigned: false, state: "signed" as const };
    if (kind === "cosigned.jws") one.cosigned = true;
    if (kind === "receipt" || kind === "refused") one.state = kind;
    found.set(sequence, one);
  }
  return [...found]
    .sort(([a], [b]) => a - b)
    .map(([sequence, { cosigned, state }]) => {
      return { sequence, state, file: join(spool, `${nameOf(sequence)}${cosigned ? ".cosigned" : ""}.jws`) };
    });
}

/** Keys that have signed something here. */
export async function spoolKeys(folder: string): Promise<string[]> {
  return (await readdir(join(folder, "spool")).catch(() => [] as string[])).sort();
}

/**
 * Puts signed bytes into the spool under a number that nothing was signed under yet: `write` signs for the number that it is given, again for the next one if
 * another command was faster. When it resolves the statement survives a power failure.
 */
export async function addToSpool(
  folder: string,
  kid: string,
  from: number,
  write: (sequence: number) => Uint8Array,
): Promise<Spooled> {
  const spool = spoolOf(folder, kid);
  await mkdir(spool, { recursive: true, mode: 0o700 });
  for (let sequence = from; ; sequence++) {
    const file = join(spool, `${nameOf(sequence)}.jws`);
    if (await place(file, write(sequence))) return { sequence, file, state: "signed" };
  }
}

/** Adds what came of a statement. The same again changes nothing. */
export async function settle(
  folder: string,
  kid: string,
  sequence: number,
  kind: "cosigned.jws" | "receipt" | "refused",
  text: string | Uint8Array,
): Promise<void> {
  await place(join(spoolOf(folder, kid), `${nameOf(sequence)}.${kind}`), text);
}

export async function readSettled(folder: string, kid: string, sequence: number, kind: "receipt" | "refused") {
  return readFile(join(spoolOf(folder, kid), `${nameOf(sequence)}.${kind}`), "utf8");
}

let made = 0;

/** A new file, whole or not at all: written aside, then linked to its name. False if there is one of that name. */
async function place(file: string, bytes: string | Uint8Array): Promise<boolean> {
  const aside = `${file}.${process.pid}.${made++}.tmp`;
  try {
    const handle = await open(aside, "wx", SECRET_MODE);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(aside, file);
    await syncFolder(join(file, ".."));
    return true;
  } catch (error) {
    const { code, message, path } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && path !== aside) return false;
    if (code === "EEXIST") return false;
    throw new Refusal("file.unwritable", `${file} cannot be written (${code ?? message}).`);
  } finally {
    await unlink(aside).catch(() => undefined);
  }
}

/** What a file of the spool says. Rejects with a Refusal if it is none of ours. */
export async function readSpooled(file: string): Promise<{ bytes: Buffer; statement: Statement; signers: string[] }> {
  const bytes = await readFile(file).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal("file.unreadable", `${file} cannot be read (${error.code ?? error.message}).`);
  });
  const opened = openEnvelope(bytes);
  const read = opened.kind === "envelope" ? readStatement(opened.envelope.payload) : undefined;
  if (opened.kind === "refused" || read?.kind !== "statement")
    throw new Refusal("spool.malformed", `${file} is not what this tool signed.`);
  return { bytes, statement: read.statement, signers: opened.envelope.signatures.map(({ kid }) => kid) };
}
