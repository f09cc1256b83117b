import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NATS_SHA256, NATS_VERSION, releasePlatform } from "./nats-release.ts";
import { findNatsServer, isAtLeast, OLDEST_NATS } from "./nats-server.ts";

const run = promisify(execFile);
const kept = { ...process.env };
const release = `nats-server-v${NATS_VERSION}-${releasePlatform()}`;

let folder = "";
let cache = "";
let said: string[] = [];
let server: Server | undefined;
const say = (line: string) => void said.push(line);

/** A program that answers `-v` as nats-server does: what is tested here is how one is found, not what it does. */
async function answering(path: string, version: string): Promise<string> {
  await writeFile(path, `#!/bin/sh\necho "nats-server: v${version}"\n`);
  await chmod(path, 0o755);
  return path;
}

/** A release archive as upstream packs it, with its SHA-256. */
async function archive(): Promise<{ bytes: Buffer; sha256: string }> {
  await mkdir(join(folder, release));
  await answering(join(folder, release, "nats-server"), NATS_VERSION);
  await run("tar", ["-czf", join(folder, "release.tar.gz"), "-C", folder, release]);
  const bytes = await readFile(join(folder, "release.tar.gz"));
  return { bytes, sha256: createHash("sha256").update(bytes).digest("hex") };
}

async function serve(listener: RequestListener): Promise<string> {
  const listening = createServer(listener);
  server = listening;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}

beforeEach(async () => {
  said = [];
  folder = await mkdtemp(join(tmpdir(), "scrutin-nats-server-"));
  cache = join(folder, "cache");
  // A machine with the few commands that every one has, and neither go nor apt-get.
  const commands = join(folder, "commands");
  await mkdir(commands);
  for (const name of ["sh", "tar", "gzip"]) {
    const { stdout } = await run("/bin/sh", ["-c", `command -v ${name}`]);
    await symlink(stdout.trim(), join(commands, name));
  }
  Object.assign(process.env, { PATH: commands, SCRUTIN_CACHE: cache });
  delete process.env.NATS_SERVER;
});
afterEach(async () => {
  Object.assign(process.env, kept);
  for (const name of ["NATS_SERVER", "SCRUTIN_CACHE"]) if (kept[name] === undefined) delete process.env[name];
  server?.closeAllConnections();
  server?.close();
  server = undefined;
  await rm(folder, { recursive: true, force: true });
});

describe("a nats-server that is there", () => {
  it("is taken from NATS_SERVER before anything else", async () => {
    process.env.NATS_SERVER = await answering(join(folder, "mine"), "2.10.29");
    await answering(join(folder, "commands", "nats-server"), "2.12.1");
    expect(await findNatsServer({ say })).toEqual({ path: join(folder, "mine"), version: "2.10.29" });
  });

  it.each([
    ["is missing", async () => join(folder, "nowhere"), /there is no such file/],
    ["is no nats-server", async () => join(folder, "commands", "tar"), /-v" (fails|does not answer)/],
    ["is too old", async () => answering(join(folder, "old"), "2.9.9"), /version 2\.9\.9, and 2\.9\.10 is the oldest/],
  ])("is refused in a sentence when NATS_SERVER %s", async (_, path, why) => {
    process.env.NATS_SERVER = await path();
    await answering(join(folder, "commands", "nats-server"), "2.12.1");
    await expect(findNatsServer({ say })).rejects.toThrow(why);
  });

  it("is taken from the PATH, as old as Debian's", async () => {
    const path = await answering(join(folder, "commands", "nats-server"), OLDEST_NATS);
    expect(await findNatsServer({ say })).toEqual({ path, version: OLDEST_NATS });
    expect(said).toEqual([`nats-server on the PATH: ${OLDEST_NATS}, ${path}`]);
  });
});

describe("the pinned release", () => {
  it("is fetched once, by two stacks at once, and found in the cache after that", async () => {
    const { bytes, sha256 } = await archive();
    const asked: (string | undefined)[] = [];
    const base = await serve((request, answer) => {
      asked.push(request.url);
      answer.end(bytes);
    });
    const source = { base, pins: { [releasePlatform()]: sha256 } };
    const both = await Promise.all([findNatsServer({ say, ...source }), findNatsServer({ say, ...source })]);
    const path = join(cache, `nats-server-${NATS_VERSION}-${releasePlatform()}`, "nats-server");
    expect(both).toEqual([
      { path, version: NATS_VERSION },
      { path, version: NATS_VERSION },
    ]);
    expect(asked).toEqual([`/v${NATS_VERSION}/${release}.tar.gz`]);
    expect(await findNatsServer({ say, ...source })).toEqual(both[0]);
    expect(asked).toHaveLength(1);
    expect((await run(path, ["-v"])).stdout).toContain(NATS_VERSION);
  });

  it("is not used when one byte of it differs, and nothing of it is kept", async () => {
    const { bytes, sha256 } = await archive();
    bytes.writeUInt8(bytes.readUInt8(100) ^ 1, 100);
    const base = await serve((_, answer) => answer.end(bytes));
    const found = findNatsServer({ say, base, pins: { [releasePlatform()]: sha256 } });
    await expect(found).rejects.toThrow(/no nats-server: install version/);
    expect(said.join("\n")).toContain(`not the pinned ${sha256}; it is not used`);
    expect(await readdir(cache)).toEqual([]);
  });

  it.each([
    ["no pin", {}, /no SHA-256 is pinned/, (_: unknown, answer: { end(): void }) => answer.end()],
    [
      "no file",
      undefined,
      /answered 404/,
      (_: unknown, answer: { writeHead(n: number): { end(): void } }) => answer.writeHead(404).end(),
    ],
    ["no answer", undefined, /no answer within 5 s/, () => undefined],
  ] as const)("gives way to the next step when there is %s", async (_, pins, why, listener) => {
    const base = await serve(listener as RequestListener);
    await expect(findNatsServer({ say, base, ...(pins && { pins }) })).rejects.toThrow(/install version/);
    expect(said.join("\n")).toMatch(why);
    expect(said.join("\n")).toContain(`go install of ${NATS_VERSION}: not possible here`);
    expect(said.join("\n")).toContain("apt-get: not possible here");
  });

  it("is pinned for the platforms that PostgreSQL is packaged for", () => {
    expect(Object.keys(NATS_SHA256).sort()).toEqual(["darwin-amd64", "darwin-arm64", "linux-amd64", "linux-arm64"]);
    for (const pin of Object.values(NATS_SHA256)) expect(pin).toMatch(/^[0-9a-f]{64}$/);
  });
});

it.each([
  ["2.9.10", true],
  ["2.9.9", false],
  ["2.10.0", true],
  ["3.0.0", true],
  ["1.99.99", false],
])("version %s will do: %s", (version, will) => {
  expect(isAtLeast(version, OLDEST_NATS)).toBe(will);
});
