import { randomUUID } from "node:crypto";
import { type FileHandle, open, readdir, readFile, rename, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { UsageError } from "../../shared/platform/publisher/discrepancy.ts";
import { makeFolder, refuseAsUsage } from "../../shared/platform/publisher/folder.ts";

/**
 * What a run has fetched, on disk: one file per bundle of entries, one per 256 opened statements. An interrupted run leaves it to the
 * next one; nothing in it is believed for lying there. A second look at the log in the same run reads it here, too.
 */
export interface Spool {
  /** Undefined if it was never kept. */
  read(name: string): Promise<Buffer | undefined>;
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** A file of many records, which grows outside memory and stands under its name only when it is complete. */
  records(name: string): Promise<RecordWriter>;
  /** Undefined if it was never completed, or is not such a file. */
  openRecords(name: string): Promise<RecordReader | undefined>;
  /** Removes everything, or leaves it to the next run. */
  end(how: "remove" | "leave"): Promise<void>;
}

export interface RecordWriter {
  append(bytes: Uint8Array): Promise<void>;
  /** One that was appended; empty beyond the last one. */
  record(n: number): Promise<Buffer>;
  /** Gives the file its name. */
  commit(): Promise<void>;
  /** Leaves nothing behind; after `commit` it changes nothing. */
  discard(): Promise<void>;
}

export interface RecordReader {
  /** Empty beyond the last one. */
  record(n: number): Promise<Buffer>;
  close(): Promise<void>;
}

const WORD = 4;
/** Most statements have a few kilobytes: one write for many of them. */
const WRITTEN_AT_ONCE = 512 * 1024;
/** A bundle has 256 entries. */
const MAX_RECORDS = 1024;

/** Names that a spool writes; nothing else is ever removed. */
const OURS = /^(owner|process|[a-z]+(-\d+)+)(\.[0-9a-f-]{36}\.part)?$/;
/** The address of a log, and the SHA-256 of its definition. */
const OWNER = /^https?:\/\/\S+ [0-9a-f]{64}$/;
const MARK = "owner";
const LOCK = "process";

/**
 * Opens the folder. What it holds is taken over if it was left by a run on the same log (`owner`: address and definition), and removed if not.
 * While another process is at work there, this run gets a folder of its own beside it, which the next one does not look for. Throws a
 * UsageError for a folder that is somebody else's, or cannot be written.
 */
export async function openSpool(shared: string, owner: string): Promise<Spool> {
  if (!OWNER.test(owner)) throw new RangeError(`no address and SHA-256: ${owner}`);
  const isFree = await lock(shared).catch(refuseAsUsage(shared));
  const folder = isFree ? shared : `${shared}.${process.pid}`;
  await takeOver(folder, owner).catch(refuseAsUsage(folder));

  const pathOf = (name: string) => join(folder, name);
  const partOf = (name: string) => join(folder, `${name}.${randomUUID()}.part`);
  const underWay = new Set<Promise<void>>();
  let isOver = false;
  const write = async (name: string, bytes: Uint8Array) => {
    const part = partOf(name);
    await writeFile(part, bytes);
    await rename(part, pathOf(name));
  };
  return {
    read: (name) => readFile(pathOf(name)).catch(noSuchFile),
    async write(name, bytes) {
      if (isOver) return;
      const writing = write(name, bytes);
      underWay.add(writing);
      await writing.finally(() => underWay.delete(writing));
    },
    async records(name) {
      const part = partOf(name);
      return recordWriter(await open(part, "wx+"), {
        commit: () => rename(part, pathOf(name)),
        discard: () => rm(part),
      });
    },
    async openRecords(name) {
      const file = await open(pathOf(name), "r").catch(noSuchFile);
      return file && recordReader(file);
    },
    async end(how) {
      // What was fetched ahead may still be on its way to the disk: a folder that fills while it is removed is no finding.
      isOver = true;
      await Promise.allSettled(underWay);
      if (how === "leave" && isFree) await rm(join(folder, LOCK), { force: true });
      else await removeOurs(folder);
    },
  };
}

/** What lies in the folder. Throws a UsageError for one that no run has left: nothing there is ours to remove. */
async function lookInto(folder: string): Promise<{ names: string[]; owner: string | undefined }> {
  const names = await readdir(folder);
  const mark = names.includes(MARK) ? await readFile(join(folder, MARK), "utf8") : undefined;
  const owner = mark !== undefined && OWNER.test(mark) ? mark : undefined;
  // A run that was killed at its very beginning has left its lock, and perhaps half a mark.
  if (owner === undefined && names.some((name) => name !== LOCK && !(name.startsWith(`${MARK}.`) && OURS.test(name))))
    throw new UsageError(
      `${folder} is where an audit keeps what it has fetched, and it holds other files. Name another --state file.`,
    );
  return { names, owner };
}

async function takeOver(folder: string, owner: string): Promise<void> {
  await makeFolder(folder);
  const found = await lookInto(folder);
  for (const name of found.names)
    if (name !== LOCK && name !== MARK && OURS.test(name) && (found.owner !== owner || name.endsWith(".part")))
      await rm(join(folder, name), { force: true });
  // Whole or not at all: without its mark the next run would not know the folder.
  const part = join(folder, `${MARK}.${randomUUID()}.part`);
  await writeFile(part, owner);
  await rename(part, join(folder, MARK));
}

/** What else lies there stays, and the folder with it. */
async function removeOurs(folder: string): Promise<void> {
  const names = (await readdir(folder).catch(noSuchFile)) ?? [];
  for (const name of names) if (OURS.test(name)) await rm(join(folder, name), { force: true });
  await rmdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOTEMPTY" && error.code !== "ENOENT") throw error;
  });
}

/** False while another living process has it. A lock that a killed process left is taken over. */
async function lock(folder: string): Promise<boolean> {
  await makeFolder(folder);
  const file = join(folder, LOCK);
  const before = Number(await readFile(file, "utf8").catch(noSuchFile));
  if (before > 0 && before !== process.pid && isAlive(before)) return false;
  await lookInto(folder);
  await rm(file, { force: true });
  try {
    await writeFile(file, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false; // another one came in between
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function noSuchFile(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

/** The records one after the other, then their lengths, then how many they are: u32, little-endian. */
function recordWriter(file: FileHandle, then: { commit(): Promise<void>; discard(): Promise<void> }): RecordWriter {
  const lengths: number[] = [];
  const starts: number[] = [0];
  let pending: Uint8Array[] = [];
  let written = 0;
  let ended = false;
  const flush = async () => {
    const bytes = Buffer.concat(pending);
    pending = [];
    written += bytes.length;
    await file.writeFile(bytes); // goes on where the last one ended
  };
  return {
    async append(bytes) {
      const end = (starts.at(-1) as number) + bytes.length;
      lengths.push(bytes.length);
      starts.push(end);
      pending.push(bytes);
      if (end - written >= WRITTEN_AT_ONCE) await flush();
    },
    async record(n) {
      await flush();
      return readRecord(file, starts, n);
    },
    async commit() {
      await flush();
      const tail = Buffer.alloc((lengths.length + 1) * WORD);
      for (const [n, length] of [...lengths, lengths.length].entries()) tail.writeUInt32LE(length, n * WORD);
      await file.writeFile(tail);
      ended = true;
      await file.close();
      await then.commit();
    },
    async discard() {
      if (ended) return;
      ended = true;
      await file.close();
      await then.discard();
    },
  };
}

async function recordReader(file: FileHandle): Promise<RecordReader | undefined> {
  const lengths = await readLengths(file);
  if (lengths === undefined) {
    await file.close();
    return undefined;
  }
  const starts: number[] = [0];
  for (const [n, length] of lengths.entries()) starts.push((starts[n] as number) + length);
  return {
    record: (n) => readRecord(file, starts, n),
    close: () => file.close(),
  };
}

/** `starts`: where each record begins, and where the last one ends. */
async function readRecord(file: FileHandle, starts: readonly number[], n: number): Promise<Buffer> {
  const [from = 0, to = from] = starts.slice(n, n + 2);
  const bytes = Buffer.alloc(to - from);
  await file.read(bytes, 0, bytes.length, from);
  return bytes;
}

/** Undefined unless the file is exactly as long as it says: one that a crash cut off is as good as none. */
async function readLengths(file: FileHandle): Promise<number[] | undefined> {
  const { size } = await file.stat();
  if (size < WORD) return undefined;
  const last = Buffer.alloc(WORD);
  await file.read(last, 0, WORD, size - WORD);
  const count = last.readUInt32LE();
  const tail = (count + 1) * WORD;
  if (count > MAX_RECORDS || tail > size) return undefined;
  const table = Buffer.alloc(count * WORD);
  await file.read(table, 0, table.length, size - tail);
  const lengths = Array.from({ length: count }, (_, n) => table.readUInt32LE(n * WORD));
  return lengths.reduce((sum, length) => sum + length, tail) === size ? lengths : undefined;
}
