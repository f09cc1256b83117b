import { chmod, readFile, stat, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import { type Desk, layDesk, type Ran, runHere } from "./fixture.ts";

/** The recovery key in the trustees' hands: by the tool alone. */

const sample = sampleDefinition();
let desk: Desk;
beforeAll(async () => {
  desk = await layDesk(sample);
  await writeFile(desk.path("recovery.json"), JSON.stringify(sample.recovery.jwk), { mode: 0o600 });
});
afterAll(() => desk.close());

const shares = (set: string) => ["trustee-1", "trustee-2", "trustee-3"].map((kid) => desk.path(`${kid}.${set}`));
const to = (set: string) => shares(set).flatMap((file, n) => ["--to", `trustee-${n + 1}=${file}`]);
const split = (set: string) => runHere(["recovery", "split", "--key", desk.path("recovery.json"), ...to(set)]);
const check = (...files: string[]) => desk.as("trustee-1", "recovery", "check", ...files);
const join = (out: string, ...files: string[]): Promise<Ran> =>
  desk.as("trustee-1", "recovery", "join", ...files, "--out", desk.path(out));

describe("the recovery key", () => {
  it("is split, checked by each trustee alone and by all together, and joined by any two", async () => {
    const { exit, text } = await split("a");
    expect(exit, text).toBe(0);
    expect(text).toContain(`The recovery key of the definition: ${sample.recovery.jwk.x}`);
    expect(text).not.toContain(sample.recovery.jwk.d);
    const [one = "", two = "", three = ""] = shares("a");
    for (const file of [one, two, three]) {
      expect((await stat(file)).mode & 0o777).toBe(0o600);
      const alone = await check(file);
      expect(alone).toMatchObject({ exit: 0 });
      expect(alone.text).toContain("which the definition names");
      expect(alone.text).not.toContain("rebuild");
    }
    expect((await check(one, two, three)).text).toContain("Each two of them rebuild that key.");
    for (const [n, pair] of [
      [one, two],
      [three, one],
      [two, three],
    ].entries()) {
      expect(await join(`joined-${n}.json`, ...pair)).toMatchObject({ exit: 0 });
      const jwk = JSON.parse(await readFile(desk.path(`joined-${n}.json`), "utf8")) as { d: string };
      expect(jwk.d).toBe(sample.recovery.jwk.d);
      expect((await stat(desk.path(`joined-${n}.json`))).mode & 0o777).toBe(0o600);
    }
  });

  it("that is new never lies in a file, and each share is of it", async () => {
    const { exit, text } = await runHere(["recovery", "new", ...to("new")]);
    expect(exit, text).toBe(0);
    const [, publicKey = ""] = /definition: (\S{43})$/m.exec(text) ?? [];
    const checked = await runHere(["recovery", "check", ...shares("new")]);
    expect(checked.text).toContain(`Of the recovery key ${publicKey}.`);
    // It is not this election's, and no definition is talked into it.
    expect(await check(...shares("new"))).toMatchObject({ exit: 1, code: "share.refused" });
    const [one = "", two = ""] = shares("new");
    expect(await join("other.json", one, two)).toMatchObject({ exit: 1, code: "share.refused" });
    await expect(stat(desk.path("other.json"))).rejects.toThrow("ENOENT");
  });

  it("is not split over files that are there, nor from what others may read or what is no such key", async () => {
    await split("b");
    const before = await readFile(shares("b")[1] as string, "utf8");
    expect(await split("b")).toMatchObject({ exit: 2, code: "file.exists" });
    expect(await readFile(shares("b")[1] as string, "utf8")).toBe(before);
    const twice = await runHere(["recovery", "new", ...to("c").with(3, `trustee-1=${desk.path("c")}`)]);
    expect(twice).toMatchObject({ exit: 1, code: "share.refused" });
    await chmod(desk.path("recovery.json"), 0o644);
    expect(await split("d")).toMatchObject({ exit: 2, code: "key.exposed" });
    await chmod(desk.path("recovery.json"), 0o600);
    const trustees = ["recovery", "split", "--key", desk.keyFile("trustee-1"), ...to("d")];
    expect(await runHere(trustees)).toMatchObject({ exit: 1, code: "share.refused" });
    await expect(stat(shares("d")[0] as string)).rejects.toThrow("ENOENT");
  });

  it("is not joined from damaged shares, shares of two splits, or the same share twice", async () => {
    await Promise.all([split("e"), split("f")]);
    const [one = "", two = ""] = shares("e");
    const [, other = ""] = shares("f");
    expect((await join("g.json", one, other)).text).toContain("different splits");
    expect((await join("g.json", one, one)).code).toBe("share.refused");
    await writeFile(
      two,
      (await readFile(two, "utf8")).replace(/"share": "(.)/, (_, c) => `"share": "${c === "A" ? "B" : "A"}`),
    );
    expect((await check(two)).text).toContain("is damaged");
    expect((await join("g.json", one, two)).text).toContain("is damaged");
    await expect(stat(desk.path("g.json"))).rejects.toThrow("ENOENT");
  });
});
