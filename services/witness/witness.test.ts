import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { verifyNote } from "../../shared/ledger/checkpoint.ts";
import { verifyCosignatures } from "../../shared/ledger/cosignature.ts";
import { createMetrics } from "../../shared/platform/metrics.ts";
import { createTestLog, type TestLog } from "../../test/witnesses.ts";
import { buildApp } from "./app.ts";
import { openKey, type WitnessKey } from "./key.ts";
import { openState, originHash, type State } from "./state.ts";
import { createWitness, StateDamaged } from "./witness.ts";

/** A witness with its real memory on a real disk, in the test's process, so that a test can get in between. */

let folder: string;
let key: WitnessKey;
let log: TestLog;
let failures: unknown[];
let now: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "witness-test-"));
  const opened = await openKey({
    file: join(folder, "key.json"),
    folder: join(folder, "state"),
    name: "witness.example/1",
  });
  key = opened.key;
  log = createTestLog();
  log.grow(20);
  failures = [];
  now = Date.parse("2029-06-10T21:00:00Z");
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const stateFile = () => join(folder, "state", `${originHash(log.origin)}.note`);
const witness = () => ({ name: key.name, publicKey: key.publicKey });

/** As after a start; `between` stands before the disk. */
async function start(between: (state: State) => State = (state) => state) {
  const state = between(await openState(join(folder, "state"), [log.origin]));
  const quiet = pino({ level: "silent" });
  const logs = [{ origin: log.origin, publicKey: log.publicKey }];
  const service = createWitness({ key, logs, state, now: () => now, log: quiet });
  const app = buildApp({
    log: quiet,
    metrics: createMetrics("witness"),
    witness: service,
    fail: (e) => failures.push(e),
  });
  return {
    post: (body: string) => app.request("/add-checkpoint", { method: "POST", body }),
    readBack: () => app.request(`/${originHash(log.origin)}/checkpoint`),
    request: (path: string) => app.request(path),
  };
}
type Started = Awaited<ReturnType<typeof start>>;

/** The size that the witness' own cosigned note says, with every signature verified. */
async function sizeHeld(here: Started): Promise<number> {
  const answer = await here.readBack();
  if (answer.status === 404) return 0;
  const note = await answer.text();
  const text = verifyNote(note, { name: log.origin, publicKey: log.publicKey });
  expect(verifyCosignatures(note, [witness()])).toHaveLength(1);
  return Number(text?.split("\n")[1]);
}

async function cosigned(answer: Response, size: number): Promise<number> {
  expect(answer.status).toBe(200);
  const line = await answer.text();
  const [found] = verifyCosignatures((await log.note(size)) + line, [witness()]);
  expect(line.split("\n")).toHaveLength(2);
  return found?.time ?? Number.NaN;
}

async function conflict(answer: Response, size: number): Promise<void> {
  expect(answer.status).toBe(409);
  expect(answer.headers.get("content-type")).toBe("text/x.tlog.size");
  expect(await answer.text()).toBe(`${size}\n`);
}

describe("a checkpoint", () => {
  it("is cosigned when it extends the last one, from the first on, and can be read back", async () => {
    const here = await start();
    const nothing = await here.readBack();
    expect([nothing.status, await nothing.text()]).toEqual([404, "Nothing was cosigned for that origin.\n"]);
    let old = 0;
    for (const size of [1, 2, 3, 7, 8, 20]) {
      expect(await cosigned(await here.post(await log.request(old, size)), size)).toBe(now / 1000);
      expect(await sizeHeld(here)).toBe(size);
      old = size;
    }
    expect((await here.readBack()).headers.get("content-type")).toBe("text/plain; charset=utf-8");
  });

  it("is cosigned again at the same size, later or not; its time never goes back", async () => {
    const here = await start();
    const first = await cosigned(await here.post(await log.request(0, 5)), 5);
    now += 60_000;
    const second = await cosigned(await here.post(await log.request(5, 5)), 5);
    expect(second).toBe(first + 60);
    now -= 3_600_000;
    expect(await cosigned(await here.post(await log.request(5, 6)), 6)).toBe(second);
    expect(await cosigned(await (await start()).post(await log.request(6, 6)), 6)).toBe(second);
  });

  it("of an empty tree is cosigned, and then one that is not empty", async () => {
    const here = await start();
    await cosigned(await here.post(await log.request(0, 0)), 0);
    await cosigned(await here.post(await log.request(0, 4)), 4);
  });

  it("keeps only the log's own line of those that came with it", async () => {
    const here = await start();
    const foreign = `— witness.example/2 ${Buffer.alloc(76, 1).toString("base64")}\n`;
    const note = await log.note(5);
    const text = note.slice(0, note.indexOf("\n\n") + 2);
    const own = note.slice(text.length);
    await cosigned(await here.post(await log.request(0, 5, { note: `${text}${foreign}${own}${foreign}` })), 5);
    expect(await (await here.readBack()).text()).not.toContain("witness.example/2");
  });
});

describe("what is refused, as C2SP tlog-witness says", () => {
  const cases: [string, number, (log: TestLog) => Promise<string>][] = [
    ["no request", 400, async () => "hello"],
    ["no note", 400, async (l) => l.request(5, 6, { note: "hello\n" })],
    ["an old size above the checkpoint's", 400, async (l) => l.request(5, 4, { proof: [] })],
    ["a fourth line under a true signature", 400, async (l) => l.request(5, 6, { note: await extended(l, 6) })],
    ["another log", 404, async (l) => (await l.request(5, 6)).replace(l.origin, "results.example.eu/other")],
    ["another key of the log's name", 403, async (l) => l.request(5, 6, { note: await stranger(l).note(6) })],
    [
      "a signature of another size",
      403,
      async (l) => l.request(5, 6, { note: (await l.note(6)).replace("\n6\n", "\n7\n") }),
    ],
    [
      "a true signature beside a false one of the same key",
      403,
      async (l) => l.request(5, 6, { note: await twice(l, 6) }),
    ],
    ["a proof for another tree", 422, async (l) => l.request(5, 6, { proof: proofOf(await l.request(4, 6)) })],
    ["no proof", 422, async (l) => l.request(5, 6, { proof: [] })],
    ["a proof where none is needed", 422, async (l) => l.request(5, 5, { proof: l.leaves.slice(0, 1) })],
    ["a fork beyond the size held", 422, async (l) => fork(l, 4).request(5, 9)],
    ["a body of more than 16 KiB", 413, async () => "old 5\n".padEnd(16 * 1024 + 1, "x")],
  ];

  it.each(cases)("%s: %i", async (_, status, request) => {
    const here = await start();
    await cosigned(await here.post(await log.request(0, 5)), 5);
    const before = await readFile(stateFile());
    const answer = await here.post(await request(log));
    expect(answer.status).toBe(status);
    expect(await answer.text()).not.toContain("—");
    expect(await readFile(stateFile())).toEqual(before);
    await cosigned(await here.post(await log.request(5, 6)), 6);
  });

  it("an old size that is not the one held: 409 with that size, though the proof be true", async () => {
    const here = await start();
    await conflict(await here.post(await log.request(3, 5)), 0);
    await cosigned(await here.post(await log.request(0, 5)), 5);
    await conflict(await here.post(await log.request(0, 7)), 5);
    await conflict(await here.post(await log.request(3, 5)), 5);
    await conflict(await here.post(await log.request(6, 7)), 5);
    await conflict(await here.post(await log.request(0, 4)), 5);
    expect(await sizeHeld(here)).toBe(5);
  });

  it("a request that was cosigned, sent again after others", async () => {
    const here = await start();
    const replayed = await log.request(0, 5);
    await cosigned(await here.post(replayed), 5);
    await cosigned(await here.post(await log.request(5, 9)), 9);
    await conflict(await here.post(replayed), 9);
    expect(await sizeHeld(here)).toBe(9);
  });

  it("another tree of the size held: 409, and both signed checkpoints are kept as evidence", async () => {
    const here = await start();
    await cosigned(await here.post(await log.request(0, 8)), 8);
    const other = fork(log, 7);
    const answer = await here.post(await other.request(8, 8));
    expect(answer.status).toBe(409);
    expect(answer.headers.get("content-type")).not.toContain("tlog.size");
    const evidence = await readFile(join(folder, "state", `${originHash(log.origin)}.fork-8`), "utf8");
    expect(evidence).toBe(`${await log.note(8)}\n${await other.note(8)}`);
    expect((await here.post(await other.request(8, 8))).status).toBe(409);
    expect(await (await here.readBack()).text()).toContain(await log.note(8));
  });

  it("paths that are none", async () => {
    const here = await start();
    for (const path of ["/add-checkpoint", "/x/checkpoint", `/${"0".repeat(64)}/checkpoint`, "/../key.json"]) {
      const answer = await here.request(path);
      expect([404, 405]).toContain(answer.status);
      const nothing = /^There is nothing.*POST \/add-checkpoint|^Nothing was cosigned/;
      if (answer.status === 404) expect(await answer.text()).toMatch(nothing);
    }
  });
});

describe("two requests at once", () => {
  it("never both move one memory: of every pair of forks one is cosigned at most", async () => {
    const here = await start();
    await cosigned(await here.post(await log.request(0, 5)), 5);
    const other = fork(log, 5);
    const bodies = await Promise.all(
      Array.from({ length: 40 }, (_, n) => (n % 2 === 0 ? log : other).request(5, 6 + (n % 5))),
    );
    const answers = await Promise.all(bodies.map((body) => here.post(body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(39).fill(409)]);
    const first = answers.findIndex(({ status }) => status === 200);
    expect(await sizeHeld(here)).toBe(6 + (first % 5));
  });
});

describe("the memory", () => {
  it("is on the disk before the cosignature leaves", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    let reached: () => void = () => undefined;
    const writing = new Promise<void>((resolve) => (reached = resolve));
    const here = await start((state) => ({
      ...state,
      async write(origin, note) {
        reached();
        await gate;
        await state.write(origin, note);
      },
    }));
    let answered = false;
    const answer = Promise.resolve(here.post(await log.request(0, 5))).then((response) => {
      answered = true;
      return response;
    });
    await writing;
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toBe(false);
    release();
    await cosigned(await answer, 5);
    expect(await readFile(stateFile(), "utf8")).toContain("\n5\n");
  });

  const broken = new Error("no space left on device");
  it.each<[string, number, (state: State) => State]>([
    ["was not written", 5, (state) => ({ ...state, write: () => Promise.reject(broken) })],
    [
      "was written and reported as failed",
      7,
      (state) => ({
        ...state,
        async write(origin, note) {
          await state.write(origin, note);
          throw broken;
        },
      }),
    ],
  ])("that %s gives no cosignature, now or for another tree", async (_, held, between) => {
    await cosigned(await (await start()).post(await log.request(0, 5)), 5);
    const here = await start(between);
    expect((await here.post(await log.request(5, 7))).status).toBe(500);
    for (const again of [here, await start()]) expect(await sizeHeld(again)).toBe(held);
    const after = await start();
    const other = fork(log, 5);
    if (held === 7) {
      await conflict(await after.post(await other.request(5, 7)), 7);
      expect((await after.post(await other.request(7, 7))).status).toBe(409);
      await cosigned(await after.post(await log.request(7, 7)), 7);
    } else await cosigned(await after.post(await log.request(5, 7)), 7);
  });

  it("that was cut in the middle of a write is the old one", async () => {
    await cosigned(await (await start()).post(await log.request(0, 5)), 5);
    await writeFile(`${stateFile()}.next`, (await log.note(9)).slice(0, 30));
    const here = await start();
    expect(await sizeHeld(here)).toBe(5);
    expect((await readdir(join(folder, "state"))).sort()).toEqual([`${originHash(log.origin)}.note`, "verifier-key"]);
    await cosigned(await here.post(await log.request(5, 9)), 9);
  });

  it.each<[string, () => Promise<unknown>]>([
    ["is empty", () => truncate(stateFile(), 0)],
    ["is cut", async () => truncate(stateFile(), (await readFile(stateFile())).length - 20)],
    ["lost its own line", async () => writeFile(stateFile(), await log.note(5))],
    [
      "says a smaller size",
      async () => writeFile(stateFile(), (await readFile(stateFile(), "utf8")).replace("\n5\n", "\n4\n")),
    ],
    ["is another log's", async () => writeFile(stateFile(), await createTestLog("results.example.eu/x").note(0))],
  ])("that %s is not believed, and nothing is cosigned on it", async (_, damage) => {
    const here = await start();
    await cosigned(await here.post(await log.request(0, 5)), 5);
    await damage();
    for (const old of [0, 4, 5]) expect((await here.post(await log.request(old, 9))).status).toBe(500);
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) expect(failure).toBeInstanceOf(StateDamaged);
  });
});

function fork(of: TestLog, size: number): TestLog {
  const other = of.fork(size);
  other.grow(20 - size);
  return other;
}

const stranger = (of: TestLog): TestLog => {
  const other = createTestLog(of.origin);
  other.leaves.push(...of.leaves);
  return other;
};

const proofOf = (request: string) =>
  request
    .slice(0, request.indexOf("\n\n"))
    .split("\n")
    .slice(1)
    .map((line) => Buffer.from(line, "base64"));

/** The note with the log's line, and again with a byte of its signature changed. */
async function twice(of: TestLog, size: number): Promise<string> {
  const note = await of.note(size);
  const line = note.slice(note.lastIndexOf("—"));
  const [dash, name, encoded = ""] = line.trimEnd().split(" ");
  const bytes = Buffer.from(encoded, "base64");
  bytes[20] = (bytes[20] as number) ^ 1;
  return `${note}${dash} ${name} ${bytes.toString("base64")}\n`;
}

const extended = (of: TestLog, size: number) => of.note(size, "an extension");
