import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readVisit, type Visit, writeVisit } from "./visit.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-visit-"));
});
afterEach(() => rm(folder, { recursive: true }));

const visitOf = (size: number, changes: Partial<Visit> = {}): Visit => ({
  url: "https://results.example.eu",
  at: `2024-06-09T22:00:${size}.000Z`,
  definition: "a".repeat(64),
  mode: "live",
  origin: "results.example.eu/night",
  size,
  root: Buffer.alloc(32, size).toString("base64"),
  releases: [],
  ...changes,
});

describe("a visit", () => {
  it("is kept whole, and leaves nothing beside it", async () => {
    const file = join(folder, "deep", "state.json");
    await writeVisit(file, visitOf(10));
    expect(await readVisit(file)).toEqual(visitOf(10));
    expect(await readdir(join(folder, "deep"))).toEqual(["state.json"]);
  });

  it("never makes one that another run has kept since forget what it saw", async () => {
    const file = join(folder, "state.json");
    await writeVisit(file, visitOf(20));
    await writeVisit(file, visitOf(10));
    expect(await readVisit(file)).toEqual(visitOf(20));
    await writeVisit(file, visitOf(20, { at: "2024-06-09T23:00:00.000Z" }));
    expect(await readVisit(file)).toMatchObject({ size: 20, at: "2024-06-09T23:00:00.000Z" });
    await writeVisit(file, visitOf(30));
    expect(await readVisit(file)).toEqual(visitOf(30));
  });

  it("of another election takes the place of the one before it, whatever its size", async () => {
    const file = join(folder, "state.json");
    await writeVisit(file, visitOf(20));
    await writeVisit(file, visitOf(10, { definition: "b".repeat(64) }));
    expect(await readVisit(file)).toMatchObject({ size: 10 });
  });

  it("does not take the place of what is no visit", async () => {
    const file = join(folder, "state.json");
    await writeFile(file, "{}");
    await expect(writeVisit(file, visitOf(10))).rejects.toThrow(/not what an audit keeps/);
  });
});
