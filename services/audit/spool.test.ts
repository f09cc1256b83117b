import { mkdtemp, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSpool } from "./spool.ts";

let folder: string;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "scrutin-spool-")), "run");
});
afterEach(() => rm(join(folder, ".."), { recursive: true }));

const text = (bytes: Buffer | undefined) => bytes?.toString("utf8");

describe("the spool", () => {
  it("gives the next run on the same log what was kept, and another log nothing", async () => {
    const first = await openSpool(folder, "log A");
    await first.write("entries-0", Buffer.from("bundle"));
    const next = await openSpool(folder, "log A");
    expect(text(await next.read("entries-0"))).toBe("bundle");
    expect(await next.read("entries-1")).toBeUndefined();
    const other = await openSpool(folder, "log B");
    expect(await other.read("entries-0")).toBeUndefined();
  });

  it("keeps records only when all of them are there", async () => {
    const spool = await openSpool(folder, "log");
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
    const spool = await openSpool(folder, "log");
    const discarded = await spool.records("opened-0");
    await discarded.append(Buffer.from("half"));
    await discarded.discard();
    const killed = await spool.records("opened-1");
    await killed.append(Buffer.from("half"));
    await openSpool(folder, "log");
    expect((await readdir(folder)).sort()).toEqual(["owner", "process"]);
    await killed.commit().catch(() => undefined);
  });

  it("does not read a file that was cut off, or is none", async () => {
    const spool = await openSpool(folder, "log");
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
    const spool = await openSpool(folder, "log");
    await spool.write("entries-0", Buffer.from("bundle"));
    await spool.end("leave");
    expect((await readdir(folder)).sort()).toEqual(["entries-0", "owner"]);
    await (await openSpool(folder, "log")).end("remove");
    await expect(readdir(folder)).rejects.toThrow("ENOENT");
  });

  it("is two folders for two processes at once", async () => {
    const mine = await openSpool(folder, "log");
    await mine.write("entries-0", Buffer.from("bundle"));
    await writeFile(join(folder, "process"), String(process.ppid)); // alive, and not this one
    const other = await openSpool(folder, "log");
    expect(await other.read("entries-0")).toBeUndefined();
    await other.end("leave");
    expect(await readdir(join(folder, ".."))).toEqual(["run"]);
    await writeFile(join(folder, "process"), "999999999"); // nobody has it
    expect(text(await (await openSpool(folder, "log")).read("entries-0"))).toBe("bundle");
  });
});
