import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../../shared/definition/sample.ts";
import { detachedHolds, FILE_TYP, signDetached } from "../../../shared/statement/detached.ts";
import { importVerifyKey, type VerifyKey } from "../../../shared/statement/ed25519.ts";
import { useBrowser } from "../../../test/browser.ts";
import { makeChain, signer } from "../fixture.ts";
import { trustOf } from "../opened.ts";
import { createShelf, type Shelf } from "../shelf.ts";
import type { ManifestFile } from "./bundle.ts";
import { createBundleWriter, type WriterSources } from "./writer.ts";

/** Foreign text that would be markup, if it were not escaped. */
const HOSTILE = `<script>document.title="got in"</script><img src=x onerror=alert(1)>`;
const sample = sampleDefinition({
  edit: (definition) => {
    for (const state of definition.states) for (const list of state.lists) list.name = HOSTILE;
  },
});
const browser = useBrowser();
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

let base = "";
let shelf: Shelf;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "scrutin-bundle-"));
  const chain = await makeChain(sample, 3);
  shelf = createShelf({
    trust: trustOf(sample.definition, sample.hash),
    selectAfter: async (number, limit) => chain.filter((row) => row.number > number).slice(0, limit),
    selectOne: async (number) => chain.find((row) => row.number === number),
  });
  await shelf.take(() => undefined);
});
afterAll(() => rm(base, { recursive: true, force: true }));

const raised: string[] = [];
const writer = (folder: string, changes: Partial<WriterSources> = {}) =>
  createBundleWriter({
    definition: sample.definition,
    hash: sample.hash,
    bytes: sample.bytes,
    signatures: sample.signatures,
    signFile: (bytes) => signDetached("release-1", FILE_TYP, bytes, signer(sample, "release-1")),
    folder: join(base, folder),
    command: undefined,
    list: shelf.list,
    find: shelf.find,
    proofOf: async () => ({ proof: "c2sp.org/tlog-proof@v1\n", settled: true }),
    raise: async ({ code, about }) => void raised.push(`${code} ${about}`),
    log: pino({ level: "silent" }),
    ...changes,
  });

interface Manifest {
  definition: string;
  release: string;
  files: ManifestFile[];
}
const manifestOf = async (bundle: string) =>
  JSON.parse(await readFile(join(base, bundle, "manifest.json"), "utf8")) as Manifest;

describe("a bundle", () => {
  it("is written for every release, and says by hash what each of its files is, under the definition's key", async () => {
    await writer("all").round();
    expect((await readdir(join(base, "all"))).sort()).toEqual(["latest", "release-1", "release-2", "release-3"]);
    expect(await readlink(join(base, "all", "latest"))).toBe("release-3");
    const key = importVerifyKey(sample.keys.get("release-1")?.publicRaw ?? new Uint8Array()) as VerifyKey;
    for (const { number, sha256: hash } of shelf.list()) {
      const folder = `all/release-${number}`;
      const { files, ...about } = await manifestOf(folder);
      expect(about).toMatchObject({ definition: sample.hash, release: hash, number, mode: "exercise" });
      const names = files.map(({ name }) => name);
      for (const name of [
        "release.json",
        "release.proof",
        "definition.json",
        "release.csv",
        "index.html",
        "VERIFY.txt",
      ])
        expect(names).toContain(name);
      for (const file of files) {
        const bytes = await readFile(join(base, folder, file.name));
        expect([file.name, sha256(bytes), bytes.length]).toEqual([file.name, file.sha256, file.bytes]);
      }
      const manifest = await readFile(join(base, folder, "manifest.json"));
      const signature = await readFile(join(base, folder, "manifest.json.jws"), "utf8");
      expect(detachedHolds("release-1", key, FILE_TYP, manifest, signature)).toBe(true);
      expect(detachedHolds("release-1", key, FILE_TYP, Buffer.from(`${manifest} `), signature)).toBe(false);
    }
    // The definition lies on the disk once.
    expect((await stat(join(base, "all/release-3/definition.json"))).nlink).toBe(3);
  });

  it("is read in a browser without a server and without script, and says what it is", async (test) => {
    await writer("read").round();
    const { page, requests } = await browser.open(test, { javaScriptEnabled: false });
    await page.goto(pathToFileURL(join(base, "read/latest/index.html")).href);
    expect(await page.title()).toBe("EXERCISE: Release 3");
    const text = await page.textContent("body");
    expect(text).toContain("EXERCISE. This is no election");
    expect(text).toContain(shelf.list()[2]?.sha256);
    expect(text).toContain(HOSTILE);
    expect(await page.locator("script, img").count()).toBe(0);
    await page.click("text=VERIFY.txt");
    expect(await page.textContent("body")).toContain(sample.hash);
    expect(requests.every((url) => url.startsWith("file:"))).toBe(true);
  });

  it("is not written anew after a restart, and nothing half-written is left", async () => {
    const folder = join(base, "again");
    await writer("again").round();
    const before = await stat(join(folder, "release-2"));
    await mkdir(join(folder, ".new-left"));
    await rm(join(folder, "release-3"), { recursive: true });
    await writer("again").round();
    expect((await stat(join(folder, "release-2"))).ino).toBe(before.ino);
    expect((await readdir(folder)).sort()).toEqual(["latest", "release-1", "release-2", "release-3"]);
  });

  it("waits a little for witnesses, and no longer", async () => {
    let asked = 0;
    const proofOf = async () => ({ proof: `${++asked}`, settled: asked > 2 });
    const one = writer("waits", { proofOf, list: () => shelf.list().slice(0, 1) });
    await one.round();
    await expect(stat(join(base, "waits/release-1"))).rejects.toThrow("ENOENT");
    await one.round();
    await one.round();
    expect(await readFile(join(base, "waits/release-1/release.proof"), "utf8")).toBe("3");
    const never = writer("never", { proofOf: async () => ({ proof: "alone", settled: false }) });
    for (let look = 0; look < 12; look++) await never.round();
    expect(await readlink(join(base, "never/latest"))).toBe("release-3");
  });

  it("of another election is not written over: an incident says so, once, and the releases go on", async () => {
    const folder = join(base, "other");
    await writer("other").round();
    const text = await readFile(join(folder, "release-2/manifest.json"), "utf8");
    await writeFile(join(folder, "release-2/manifest.json"), text.replace(sample.hash, "00".repeat(32)));
    raised.length = 0;
    const again = writer("other");
    await again.round();
    await again.round();
    expect(raised).toEqual(["bundle.failed 2"]);
  });

  it("is carried by the program that is named, again until it ends well", async () => {
    const program = join(base, "carry.sh");
    const seen = join(base, "seen");
    await writeFile(program, `#!/bin/sh\nls "$1" > /dev/null && echo "$1" >> ${seen}\ntest -e ${base}/well\n`);
    await chmod(program, 0o755);
    raised.length = 0;
    const one = writer("carried", { command: program, list: () => shelf.list().slice(0, 1) });
    await one.round();
    await writeFile(join(base, "well"), "");
    await one.round();
    const path = join(base, "carried", "release-1");
    expect(await readFile(seen, "utf8")).toBe(`${path}\n${path}\n`);
    expect(raised).toEqual(["bundle.failed 1"]);
  });
});
