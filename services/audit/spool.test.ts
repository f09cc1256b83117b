import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { UsageError } from "../../shared/platform/publisher/discrepancy.ts";
import { makeFolder } from "../../shared/platform/publisher/folder.ts";
import { openSpool } from "./spool.ts";

let folder: string;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "scrutin-spool-")), "run");
});
afterEach(() => rm(join(folder, ".."), { recursive: true }));

const LOG = `https://results.example.eu ${"a".repeat(64)}`;
const OTHER = `https://results.example.eu ${"b".repeat(64)}`;
const text = (bytes: Buffer | undefined) => bytes?.toString("utf8");

describe("the spool", () => {
  it("gives the next run on the same log what was kept, and another log nothing", async () => {
    const first = await openSpool(folder, LOG);
    await first.write("entries-0", Buffer.from("bundle"));
    const next = await openSpool(folder, LOG);
    expect(text(await next.read("entries-0"))).toBe("bundle");
    expect(await next.read("entries-1")).toBeUndefined();
    const other = await openSpool(folder, OTHER);
    expect(await other.read("entries-0")).toBeUndefined();
  });

  it("keeps records only when all of them are there", async () => {
    const spool = await openSpool(folder, LOG);
    const writer = await spool.records("opened-0");
    for (const record of ["judgements", "", "a statement", "å"]) await writer.append(Buffer.from(record));
    expect(await spool.openRecords("opened-0")).toBeUndefined();
    expect([text(await writer.record(0)), text(await writer.record(3))]).toEqual(["judgements", "å"]);
    await writer.append(Buffer.from("the last"));
    await writer.commit();
    await writer.discard();
    const reader = await spool.openRecords("opened-0");
    const records = await Promise.all([4, 3, 2, 1, 0, 5, 99].map(async (n) => text(await reader!.record(n))));
    expect(records).toEqual(["the last", "å", "a statement", "", "judgements", "", ""]);
    await reader!.close();
  });

  it("leaves nothing of records that were discarded, nor of a run that was killed", async () => {
    const spool = await openSpool(folder, LOG);
    const discarded = await spool.records("opened-0");
    await discarded.append(Buffer.from("half"));
    await discarded.discard();
    const killed = await spool.records("opened-1");
    await killed.append(Buffer.from("half"));
    await openSpool(folder, LOG);
    expect((await readdir(folder)).sort()).toEqual(["owner", "process"]);
    await killed.commit().catch(() => undefined);
  });

  it("does not read a file that was cut off, or is none", async () => {
    const spool = await openSpool(folder, LOG);
    const writer = await spool.records("opened-0");
    await writer.append(Buffer.alloc(1000));
    await writer.commit();
    for (const length of [1007, 500, 3, 0]) {
      await truncate(join(folder, "opened-0"), length);
      expect(await spool.openRecords("opened-0")).toBeUndefined();
    }
    await writeFile(join(folder, "opened-0"), Buffer.alloc(64, 0xff));
    expect(await spool.openRecords("opened-0")).toBeUndefined();
  });

  it("removes everything, or leaves it to the next run", async () => {
    const spool = await openSpool(folder, LOG);
    await spool.write("entries-0", Buffer.from("bundle"));
    await spool.end("leave");
    expect((await readdir(folder)).sort()).toEqual(["entries-0", "owner"]);
    await (await openSpool(folder, LOG)).end("remove");
    await expect(readdir(folder)).rejects.toThrow("ENOENT");
  });

  it("is two folders for two processes at once", async () => {
    const mine = await openSpool(folder, LOG);
    await mine.write("entries-0", Buffer.from("bundle"));
    await writeFile(join(folder, "process"), String(process.ppid)); // alive, and not this one
    const other = await openSpool(folder, LOG);
    expect(await other.read("entries-0")).toBeUndefined();
    await other.end("leave");
    expect(await readdir(join(folder, ".."))).toEqual(["run"]);
    await writeFile(join(folder, "process"), "999999999"); // nobody has it
    expect(text(await (await openSpool(folder, LOG)).read("entries-0"))).toBe("bundle");
  });

  it("refuses a folder that is not its own, and leaves everything in it", async () => {
    await mkdir(join(folder, "photos"), { recursive: true });
    await writeFile(join(folder, "thesis.txt"), "years of work");
    await writeFile(join(folder, "entries-0-256"), "mine, by chance");
    await expect(openSpool(folder, LOG)).rejects.toThrow(UsageError);
    await expect(openSpool(folder, LOG)).rejects.toThrow(/holds other files\. Name another --state file/);
    // A file that is called as the mark is, and says something else.
    await writeFile(join(folder, "owner"), "me");
    await expect(openSpool(folder, LOG)).rejects.toThrow(UsageError);
    expect((await readdir(folder)).sort()).toEqual(["entries-0-256", "owner", "photos", "thesis.txt"]);
    expect(await readFile(join(folder, "owner"), "utf8")).toBe("me");
  });

  it("takes an empty folder, and one that a run left which was killed as it began", async () => {
    await mkdir(folder);
    await (await openSpool(folder, LOG)).end("remove");
    await mkdir(folder);
    await writeFile(join(folder, "process"), "999999999");
    await writeFile(join(folder, `owner.${randomUUID()}.part`), "http");
    await (await openSpool(folder, LOG)).end("leave");
    expect(await readdir(folder)).toEqual(["owner"]);
  });

  it("removes nothing but what it wrote, though its mark is there", async () => {
    const spool = await openSpool(folder, LOG);
    await spool.write("entries-0", Buffer.from("bundle"));
    await writeFile(join(folder, "notes.txt"), "of the auditor");
    await spool.end("leave");
    expect((await readdir(folder)).sort()).toEqual(["entries-0", "notes.txt", "owner"]);
    await (await openSpool(folder, OTHER)).end("remove");
    expect(await readdir(folder)).toEqual(["notes.txt"]);
  });
});

describe("a folder", () => {
  it.each(["/proc/audit/of/mine", "/proc/self/audit", "/dev/null/audit"])(
    "where there can be none (%s) is refused in a sentence, and at once",
    async (path) => {
      await expect(makeFolder(path)).rejects.toThrow(UsageError);
      await expect(openSpool(path, LOG)).rejects.toThrow(/cannot be made or written \([A-Z]+\)\. Name another/);
    },
  );

  it("is made with those above it, for its owner only; a file in its place is refused", async () => {
    const deep = join(folder, "a", "b", "c");
    await makeFolder(deep);
    await makeFolder(deep);
    expect((await stat(deep)).mode & 0o777).toBe(0o700);
    await writeFile(join(deep, "file"), "");
    await expect(makeFolder(join(deep, "file"))).rejects.toThrow(/is no folder/);
    await expect(makeFolder(join(deep, "file", "more"))).rejects.toThrow(UsageError);
  });
});
