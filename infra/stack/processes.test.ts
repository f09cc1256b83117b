import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isAlive, until } from "./child.ts";
import { type Child, EX_CONFIG, supervise } from "./processes.ts";

/** A service as small as one can be: it listens, says so, and ends gracefully on SIGTERM or with its parent. */
const SERVICE = `
import { createServer } from "node:http";
const server = createServer((_, answer) => answer.end(String(process.pid)));
const end = () => { console.log(JSON.stringify({ msg: "ended gracefully" })); process.exit(0); };
process.on("SIGTERM", end);
if (process.env.SCRUTIN_PARENT === "1") process.stdin.resume().on("end", end);
server.listen(Number(process.env.PORT), "127.0.0.1", () => {
  console.log(JSON.stringify({ msg: "listening", url: "http://127.0.0.1:" + server.address().port }));
});
`;

let folder = "";
const said: string[] = [];
const say = (line: string) => void said.push(line);

async function script(name: string, text: string): Promise<string> {
  const path = join(folder, `${name}.mts`);
  await writeFile(path, text);
  return path;
}

async function order(name: string, text: string, restart = true) {
  return { name, script: await script(name, text), env: {}, folder, say, restart };
}

const logOf = (name: string) => readFile(join(folder, "logs", `${name}.log`), "utf8");
const answer = async ({ url }: Child) => Number(await (await fetch(url)).text());

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-processes-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("a supervised service", () => {
  it("is ready when it has said where it listens, and ends gracefully", async () => {
    const child = await supervise(await order("plain", SERVICE));
    expect(await answer(child)).toBe(child.pid());
    await child.stop();
    expect(isAlive(child.pid())).toBe(false);
    expect(await logOf("plain")).toContain("ended gracefully");
    expect(child.restarts()).toBe(0);
  });

  it("is started again on its port after every kill -9, as another process", async () => {
    const child = await supervise(await order("killed", SERVICE));
    for (let round = 1; round <= 3; round++) {
      const before = child.pid();
      child.kill("SIGKILL");
      await child.up();
      expect(child.restarts()).toBe(round);
      expect(await answer(child)).toBe(child.pid());
      expect(child.pid()).not.toBe(before);
    }
    expect(said.filter((line) => line.startsWith("killed ended (signal SIGKILL)"))).toHaveLength(3);
    await child.stop();
    expect(child.restarts()).toBe(3);
  });

  it("is not started again when it is stopped while it waits to be", async () => {
    const child = await supervise(await order("stopped", SERVICE));
    // The fourth death is answered after 200 ms.
    for (let round = 0; round < 3; round++) {
      child.kill("SIGKILL");
      await child.up();
    }
    child.kill("SIGKILL");
    await until(
      async () => said.some((line) => line.includes("stopped ended") && line.includes("200 ms")) || undefined,
      5_000,
    );
    await child.stop();
    expect(child.restarts()).toBe(3);
    expect(isAlive(child.pid())).toBe(false);
  });

  it("keeps secrets of our environment out of the service's", async () => {
    process.env.SCRUTIN_TEST_SECRET = "superuser";
    const child = await supervise(await order("env", `console.log(JSON.stringify(process.env));${SERVICE}`));
    delete process.env.SCRUTIN_TEST_SECRET;
    await child.stop();
    const env = JSON.parse((await logOf("env")).split("\n")[0] ?? "") as Record<string, string>;
    expect(env.SCRUTIN_TEST_SECRET).toBeUndefined();
    expect(env).toMatchObject({ PORT: "0", SCRUTIN_PARENT: "1", PATH: process.env.PATH });
  });

  it("is refused with the end of its log when it refuses its configuration", async () => {
    const text = `console.log("definition: 721 seats do not add up to 720"); process.exit(${EX_CONFIG});`;
    await expect(supervise(await order("refused", text))).rejects.toThrow(
      /exit code 78[\s\S]*721 seats do not add up to 720/,
    );
    expect((await logOf("refused")).match(/721/g)).toHaveLength(1);
  });

  it("is given up when it dies again and again before it was ever ready", async () => {
    const text = `console.log("no database"); process.exit(1);`;
    await expect(supervise(await order("dying", text))).rejects.toThrow(/exit code 1[\s\S]*no database/);
    expect((await logOf("dying")).match(/no database/g)).toHaveLength(5);
  });

  it("is killed when it does not heed SIGTERM", { timeout: 30_000 }, async () => {
    const deaf = SERVICE.replace('process.on("SIGTERM", end)', 'process.on("SIGTERM", () => {})');
    const child = await supervise(await order("deaf", deaf));
    await child.stop();
    expect(isAlive(child.pid())).toBe(false);
    expect(said).toContain("deaf did not end within 10 s and was killed");
  });

  it("ends gracefully when its parent is killed", async () => {
    const service = await script("orphan", SERVICE);
    const parent = await script(
      "parent",
      `import { supervise } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, "processes.ts")).href)};
       const child = await supervise({ name: "orphan", script: ${JSON.stringify(service)}, env: {},
         folder: ${JSON.stringify(folder)}, say: () => {}, restart: true });
       console.log(child.pid());
       setInterval(() => {}, 1000);`,
    );
    const stack = spawn(process.execPath, ["--import", "tsx", parent], { stdio: ["ignore", "pipe", "inherit"] });
    const pid = await new Promise<number>((resolve) => stack.stdout.once("data", (chunk) => resolve(Number(chunk))));
    expect(isAlive(pid)).toBe(true);
    stack.kill("SIGKILL");
    expect(await until(async () => !isAlive(pid) || undefined, 10_000)).toBe(true);
    expect(await logOf("orphan")).toContain("ended gracefully");
  });
});
