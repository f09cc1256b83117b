import { sign } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { sampleDefinition } from "../../shared/definition/sample.ts";
import type { Client } from "../../shared/platform/publisher/client.ts";
import { Discrepancy } from "../../shared/platform/publisher/discrepancy.ts";
import { FILE_TYP, RELEASE_TYP, signDetached } from "../../shared/statement/detached.ts";
import type { Taken } from "./document.ts";
import { type FileSources, writeFiles } from "./files.ts";
import { type OutFolder, openFolder } from "./folder.ts";

const sample = sampleDefinition();
const texts = new Map([
  ["release.csv", "a,b\r\n"],
  ["sheets/eu.json", "{}"],
  ["sheets/parties.csv", "c,d\r\n"],
]);
const makeFiles = () => [...texts].map(([name, text]) => ({ name, text: () => text }));
const taken = { number: 7, release: {} } as Taken;

const signature = (text: string, kid = "release-1", typ = FILE_TYP) =>
  signDetached(kid, typ, Buffer.from(text, "utf8"), (message) => sign(null, message, sample.keys.get(kid)!.privateKey));

let root = "";
let folder: OutFolder;
let asked: string[] = [];
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "scrutin-pull-files-"));
});
afterAll(() => rm(root, { recursive: true }));
beforeEach(async () => {
  await rm(root, { recursive: true });
  folder = await openFolder(root);
  asked = [];
});

/** Serves the signatures that `change` gives in the place of the true ones. */
function sources(
  formats: FileSources["formats"],
  change = (_name: string, jws: string): string | undefined => jws,
): FileSources {
  const client: Client = {
    async get(path) {
      asked.push(path);
      const name = path.replace("/v1/releases/7/files/", "").replace(/\.jws$/, "");
      const jws = change(name, signature(texts.get(name) ?? ""));
      return {
        status: jws === undefined ? 404 : 200,
        body: Buffer.from(jws ?? ""),
        problem: undefined,
        location: undefined,
      };
    },
    close: () => undefined,
  };
  return { client, definition: sample.definition, folder, formats, makeFiles };
}

const codeOf = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  return error instanceof Discrepancy ? error.code : error;
};

describe("files of a release", () => {
  it("are made here and written with the publisher's signature beside each, once", async () => {
    expect(await writeFiles(taken, sources("all"))).toEqual({ written: 3 });
    for (const [name, text] of texts) {
      expect(await readFile(join(root, "release-7", name), "utf8")).toBe(text);
      expect(await readFile(join(root, "release-7", `${name}.jws`), "utf8")).toBe(signature(text));
    }
    asked = [];
    expect(await writeFiles(taken, sources("all"))).toEqual({ written: 0 });
    expect(asked).toEqual([]);
  });

  it.each<[string[], number]>([
    [[], 0],
    [["release.csv"], 1],
    [["release"], 1],
    [["sheets"], 2],
    [["sheets/eu", "release.csv"], 2],
  ])("are those that %j means", async (formats, written) => {
    expect(await writeFiles(taken, sources(formats))).toEqual({ written });
  });

  it.each<[string, string, (jws: string, text: string) => string | undefined]>([
    ["of other bytes", "file.differs", (_, text) => signature(`${text} `)],
    ["of the release's kind", "file.differs", (_, text) => signature(text, "release-1", RELEASE_TYP)],
    ["by another key", "file.differs", (_, text) => signature(text, "tabulate-1")],
    ["that was cut off", "file.differs", (jws) => jws.slice(0, -1)],
    ["that is not there", "release.missing", () => undefined],
  ])("are refused with a signature %s, and not written", async (_, code, change) => {
    const wrong = sources("all", (name, jws) => (name === "sheets/eu.json" ? change(jws, texts.get(name) ?? "") : jws));
    expect(await codeOf(writeFiles(taken, wrong))).toBe(code);
    expect(await folder.read("release-7/release.csv")).toBeDefined();
    expect(await folder.read("release-7/sheets/eu.json")).toBeUndefined();
    expect(await folder.read("release-7/sheets/eu.json.jws")).toBeUndefined();
  });
});
