import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { honestNight } from "./audit-night.ts";
import { published, receiptOf, type Served } from "./audit-published.ts";
import { type FileServer, startFileServer } from "./audit-server.ts";
import type { World } from "./audit-world.ts";

/** The command itself, as a process: what it prints, and the code with which it ends. */

const ROOT = fileURLToPath(new URL("..", import.meta.url));

let folder: string;
let server: FileServer;
let night: World;
let files: Map<string, Served>;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-audit-"));
  server = await startFileServer();
  night = await honestNight();
  files = await published(night);
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

function start(...args: string[]): ChildProcess {
  const env = { ...process.env, XDG_STATE_HOME: folder };
  return spawn(process.execPath, ["--import", "tsx", "services/audit/main.ts", ...args], { cwd: ROOT, env });
}

async function ended(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  const texts = { out: "", err: "" };
  child.stdout?.on("data", (chunk: Buffer) => (texts.out += chunk.toString("utf8")));
  child.stderr?.on("data", (chunk: Buffer) => (texts.err += chunk.toString("utf8")));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...texts };
}

describe("npm run audit", () => {
  it("ends with 0 and a report when all holds; the next visit is compared with this one", async () => {
    server.serve(files);
    const receipt = join(folder, "receipt.jws");
    await writeFile(receipt, await receiptOf(night, 4));
    const first = await ended(start(server.url.href, "--receipt", receipt));
    expect([first.code, first.err]).toEqual([0, ""]);
    expect(first.out).toContain("ALL OF IT HOLDS.");
    expect(first.out).toContain("1 receipt: the log holds what they say");
    const next = await ended(start(server.url.href, "--json"));
    expect(next.code).toBe(0);
    expect(JSON.parse(next.out)).toMatchObject({ result: "holds", lastVisit: { size: 24 }, seats: { allocated: 26 } });
  });

  it("ends with 1 and the first thing that is wrong, in words and as JSON", async () => {
    const { body, ...rest } = files.get("/v1/releases/2")!;
    server.serve(new Map(files).set("/v1/releases/2", { ...rest, body: Buffer.concat([body, Buffer.from(" ")]) }));
    const [words, json] = await Promise.all([ended(start(server.url.href)), ended(start(server.url.href, "--json"))]);
    expect([words.code, json.code]).toEqual([1, 1]);
    expect(words.out).toContain("THE AUDIT FAILED. This is the first thing that is wrong:");
    expect(words.out).toContain("This must be explained by the publisher");
    expect(JSON.parse(json.out)).toMatchObject({
      result: "broken",
      failure: { code: "release.bytes", path: "/v1/releases/2" },
    });
  });

  it("ends with 2 for what it does not understand, with 3 when nobody answers, and prints its help", async () => {
    const nobody = await startFileServer();
    await nobody.close();
    const [wrong, noFile, help] = await Promise.all([
      ended(start()),
      ended(start(server.url.href, "--proof", join(folder, "none"))),
      ended(start("--help")),
    ]);
    expect([wrong.code, noFile.code, help.code]).toEqual([2, 2, 0]);
    expect(noFile.err).toMatch(/none cannot be read \(ENOENT\)/);
    expect(help.out).toContain("--definition-key KEY");
    server.serve(new Map());
    const away = await ended(start(server.url.href, "--json"));
    expect([away.code, JSON.parse(away.out).result]).toEqual([3, "unfinished"]);
    expect(away.err).toContain("says nothing about the log");
  });

  it("ends with 2, at once and without asking anyone, for files and places that were named by mistake", async () => {
    server.serve(files);
    const list = join(folder, "list.json");
    await writeFile(list, '{"size":24,"equivocations":[],"gaps":[]}');
    const image = join(folder, "image.png");
    await writeFile(image, Buffer.from("89504e470d0a1a0a", "hex"));
    const ran = await Promise.all([
      ended(start(server.url.href, "--evidence", list)),
      ended(start(server.url.href, "--proof", image)),
      ended(start(server.url.href, "--receipt", image)),
      ended(start(server.url.href, "--state", "/proc/audit/of/mine.json")),
    ]);
    expect(ran.map(({ code, out }) => [code, out])).toEqual(ran.map(() => [2, ""]));
    const [evidence, proof, receipt, state] = ran.map(({ err }) => err);
    expect(evidence).toMatch(/--evidence .*list\.json: it is no evidence file.*fetch the file at one of its `url`s/);
    expect(proof).toMatch(/--proof .*image\.png: it is no proof/);
    expect(receipt).toMatch(/--receipt .*image\.png: it is no receipt/);
    expect(state).toMatch(/^\/proc\/audit\/of cannot be made or written \([A-Z]+\)\. Name another --state file\.\n$/);
    expect(server.asked).toEqual([]);
  });

  it("ends with 2 rather than touch a folder that is somebody else's", async () => {
    server.serve(files);
    const stranger = join(folder, "thesis.run");
    await mkdir(stranger);
    await writeFile(join(stranger, "chapter-1.txt"), "years of work");
    const { code, err } = await ended(start(server.url.href, "--state", join(folder, "thesis.json")));
    expect([code, err]).toEqual([2, expect.stringMatching(/thesis\.run is where an audit keeps.*holds other files/)]);
    expect(await readdir(stranger)).toEqual(["chapter-1.txt"]);
  });

  it("ends with 130 and a sentence on Ctrl-C, and goes on from there", async () => {
    server.serve(files);
    const state = join(folder, "interrupted.json");
    const child = start(server.url.href, "--state", state);
    server.answer = (path) => {
      if (path !== "/v1/releases/2") return undefined;
      child.kill("SIGINT");
      return "hold";
    };
    const { code, out, err } = await ended(child);
    expect([code, out]).toEqual([130, ""]);
    expect(err).toBe("Interrupted. What was fetched is kept: the same command goes on from there.\n");
    expect(await readdir(join(folder, "interrupted.run"))).toContain("entries-0-24");
    server.serve(files);
    expect((await ended(start(server.url.href, "--state", state))).code).toBe(0);
    expect(server.asked).not.toContain("/log/tile/entries/000.p/24");
    await expect(readdir(join(folder, "interrupted.run"))).rejects.toThrow("ENOENT");
  });
});
