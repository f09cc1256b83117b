import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { spoolFolder } from "../services/audit/audit.ts";
import { reportText } from "../services/audit/report-text.ts";
import { readVisit } from "../services/audit/visit.ts";
import { witnessVerifierKey } from "../shared/ledger/cosignature.ts";
import type { Statement } from "../shared/statement/types.ts";
import { honestNight, luxembourgTally, voices } from "./audit-night.ts";
import { published, type Served } from "./audit-published.ts";
import { auditRun } from "./audit-run.ts";
import { CLOSED, common, createWorld, release, say, type World, waitUntil } from "./audit-world.ts";

const audits = auditRun();
let night: World;
let files: Map<string, Served>;
beforeAll(async () => {
  night = await honestNight();
  files = await published(night);
});

describe("an honest night", () => {
  it("holds, and its report says what was found", async () => {
    audits.server().serve(files);
    const report = await audits.run();
    expect(report.failure).toBeNull();
    expect(report).toMatchObject({
      result: "holds",
      definition: { sha256: night.sample.hash, signedBy: ["authority-1", "authority-2"], trusted: [] },
      checkpoint: { size: 24, quorum: 2, cosigned: [{}, {}, {}] },
      lift: { index: 11 },
      seats: { release: 3, allocated: 26, groups: { NI: 26 }, states: { AT: 20, LU: 6 } },
      figures: {
        entries: 24,
        statements: { open: 22, closed: 1, withheld: 0 },
        signatures: { first: 32, second: 32 },
        verdicts: { checked: 20, accepted: 17, quarantined: 3, withheld: 0 },
        foreseen: 2,
        keys: { rotated: 1, revoked: 1, enrolled: 0 },
        equivocations: 1,
        releases: { checked: 3, partly: 0 },
      },
      sample: { share: 1 },
    });
    const text = reportText(report);
    for (const part of ["EXERCISE", "ALL OF IT HOLDS.", night.sample.hash, "no key of the election authority", "NI 26"])
      expect(text.replaceAll(/\s+/g, " ")).toContain(part);
    expect(text.split("\n").every((line) => line.length <= 100)).toBe(true);
  });

  it("rests on less with the authority's keys and a witness of the auditor's own", async () => {
    audits.server().serve(files);
    const [first, second] = night.sample.anchors.map(({ id, publicKey }) => ({ id, publicKey }));
    const { publicRaw } = night.sample.keys.get("witness-2")!;
    const witness = {
      name: "witness-2",
      publicKey: (await import("../shared/statement/ed25519.ts")).importVerifyKey(publicRaw)!,
    };
    expect(witnessVerifierKey("witness-2", publicRaw)).toMatch(/^witness-2\+/);
    const both = await audits.run({ definitionKeys: [first!, second!], witnesses: [witness] });
    expect([both.failure, both.definition?.trusted, both.checkpoint?.cosigned.length]).toEqual([
      null,
      ["authority-1", "authority-2"],
      3,
    ]);
    expect(both.onTrust.join()).not.toContain("definition");
    const one = await audits.run({ definitionKeys: [{ id: undefined, publicKey: second!.publicKey }] });
    expect([one.failure, one.definition?.trusted]).toEqual([null, ["authority-2"]]);
    expect(one.onTrust.join()).toContain("authority-2 alone");
  });

  it("names a witness whom the quorum does not need, and whose cosignature does not hold", async () => {
    audits.server().serve(files);
    expect((await audits.run()).notChecked.join()).not.toContain("saw this checkpoint");
    const note = files.get("/log/checkpoint")!;
    const rows = note.body.toString("utf8").trimEnd().split("\n");
    const [dash, name, base64] = rows.at(-1)!.split(" ") as [string, string, string];
    const bytes = Buffer.from(base64, "base64");
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
    rows[rows.length - 1] = [dash, name, bytes.toString("base64")].join(" ");
    audits
      .server()
      .serve(new Map(files).set("/log/checkpoint", { ...note, body: Buffer.from(`${rows.join("\n")}\n`) }));
    const report = await audits.run();
    expect([report.failure, report.checkpoint?.cosigned.map((witness) => witness.name)]).toEqual([
      null,
      ["witness-1", "witness-2"],
    ]);
    expect(report.notChecked).toContainEqual(expect.stringMatching(/^That witness-3 saw this checkpoint:/));
    expect(report.notChecked.join()).toContain("What /log/judgements may say of them already is not read.");
  });

  it("is checked as far as it is public before the lift", async () => {
    const early = createWorld();
    const { closed, tally, decide } = voices(early);
    waitUntil(early, CLOSED + 1_000);
    await closed("AT");
    await tally("AT-1");
    await decide("hold", "EU");
    audits.server().serve(await published(early));
    const report = await audits.run();
    expect(report).toMatchObject({
      result: "holds",
      failure: null,
      seats: null,
      figures: { entries: 4, statements: { open: 2, closed: 1 }, verdicts: { checked: 0 }, foreseen: 2 },
    });
    expect(report.notChecked.join()).toContain("nothing has been released yet");
    expect(reportText(report)).toContain("as far as it is open");
  });

  it("leaves out what a hold withholds, and says so", async () => {
    const held = createWorld();
    const { closed, tally, lift, decide, declare } = voices(held);
    waitUntil(held, CLOSED + 1_000);
    await closed("AT");
    await closed("LU");
    for (const unit of ["LU-11", "LU-12", "LU-21", "AT-1"]) await tally(unit);
    await lift(CLOSED + 9_000);
    await release(held);
    await decide("hold", "LU");
    await declare("LU", ["LU-1", "LU-2"]);
    await tally("AT-2");
    await release(held);
    audits.server().serve(await published(held));
    const report = await audits.run();
    expect(report).toMatchObject({
      result: "holds",
      failure: null,
      seats: { states: { AT: 20, LU: 0 } },
      figures: { statements: { withheld: 3 }, verdicts: { withheld: 3 }, releases: { checked: 2, partly: 1 } },
    });
    expect(report.notChecked.join()).toContain("3 statements of LU");
  });
});

describe("keys that come and go", () => {
  it("are known from the entry on that brings them, and left out from the release on that knows better", async () => {
    const world = createWorld();
    const { closed, tally, lift, rotate, revoke } = voices(world);
    waitUntil(world, CLOSED + 1_000);
    await closed("AT");
    await closed("LU");
    await tally("LU-11");
    await rotate("LU-1", "LU-3");
    // Fetched and verified ahead, when nobody knew LU-3 yet.
    const statement: Statement = { type: "tally", ...common(world, "LU", "LU-3"), tallies: [luxembourgTally("LU-12")] };
    await say(world, statement, ["LU-3", "LU-2"]);
    for (const unit of ["AT-1", "AT-2", "AT-3"]) await tally(unit);
    await lift(CLOSED + 10_000);
    await release(world);
    const since = (index: number) => Date.parse(world.log[index]!.received);
    await revoke("AT-1", since(7)); // leaves out AT-3
    await revoke("AT-1", since(6)); // and AT-2 as well
    await release(world);
    await tally("AT-4");
    await release(world);
    audits.server().serve(await published(world));
    const report = await audits.run();
    expect([report.failure, report.figures.keys]).toEqual([null, { rotated: 1, revoked: 2, enrolled: 0 }]);
    const counted = world.releases.map(({ release: { states } }) => states.map(({ units }) => units.counted));
    expect(counted).toEqual([
      [3, 2],
      [1, 2],
      [1, 2],
    ]);
  });
});

describe("a log of more than one bundle", () => {
  /** Nearly three hundred signatures, a hundred a second on each thread. */
  const FAST = { threads: 4 };
  let large: Map<string, Served>;
  let world: World;
  beforeAll(async () => {
    world = createWorld();
    const { closed, tally, lift } = voices(world);
    waitUntil(world, CLOSED + 1_000);
    await closed("AT");
    await closed("LU");
    for (let version = 1; version <= 262; version++) await tally("AT-1", { version });
    await lift(CLOSED + 300_000);
    await release(world);
    large = await published(world);
  }, 30_000);

  it("holds, across pages and levels", async () => {
    audits.server().serve(large);
    const report = await audits.run({}, FAST);
    expect([report.failure, report.figures.entries, report.figures.tiles]).toEqual([null, world.log.length, 3]);
  });

  it.each([
    ["/log/tile/0/000", 255, 255],
    ["/log/tile/0/001.p/11", 3, 259],
    ["/log/tile/1/000.p/1", 0, null],
  ])("whose %s has a flipped byte is refused, and the tile is named", async (path, hash, index) => {
    const failure = await audits.failureOf(flip(large, path, hash * 32 + 7));
    expect(failure).toMatchObject({ code: "tile.differs", path, index, who: expect.stringContaining("publisher") });
    expect(failure?.what).toContain(`Hash ${hash} of ${path}`);
  });

  it("goes on where it was interrupted, and asks for nothing twice", async () => {
    const stateFile = audits.freshState();
    const interruption = new AbortController();
    const server = audits.server();
    server.serve(large);
    let stage = "";
    const progress = {
      begin(what: string) {
        stage = what;
      },
      at(done: number) {
        if (stage === "statements" && done === 258) interruption.abort();
      },
      end: () => undefined,
    };
    const interrupted = audits.run({ stateFile }, { ...FAST, progress, signal: interruption.signal });
    await expect(interrupted).rejects.toThrow("abort");
    const kept = await readdir(spoolFolder(stateFile));
    expect(kept).toEqual(expect.arrayContaining(["entries-0-256", "entries-1-11", "opened-0", "owner"]));
    server.serve(large);
    expect((await audits.run({ stateFile }, FAST)).failure).toBeNull();
    const statements = server.asked.filter((path) => path.startsWith("/statements/"));
    expect(statements.length).toBeLessThan(12);
    expect(server.asked.filter((path) => path.includes("entries"))).toEqual([]);
    await expect(readdir(spoolFolder(stateFile))).rejects.toThrow("ENOENT");
  });

  it("never believes what an interrupted run kept over what is true", async () => {
    const stateFile = audits.freshState();
    const folder = spoolFolder(stateFile);
    await mkdir(folder, { recursive: true });
    await writeFile(`${folder}/owner`, `${audits.server().url.href.replace(/\/$/, "")} ${world.sample.hash}`);
    for (const name of ["entries-0-256", "opened-0", "opened-1"])
      await writeFile(`${folder}/${name}`, Buffer.alloc(5000, 1));
    audits.server().serve(large);
    expect((await audits.run({ stateFile }, FAST)).failure).toBeNull();
  });
});

describe("the last visit", () => {
  it("is kept after an audit that holds, and compared with the next", async () => {
    const stateFile = audits.freshState();
    audits.server().serve(files);
    await audits.run({ stateFile });
    const visit = await readVisit(stateFile);
    expect(visit).toMatchObject({
      size: 24,
      definition: night.sample.hash,
      releases: [{}, {}, {}].map(() => expect.any(String)),
    });
    const again = await audits.run({ stateFile, visit });
    expect([again.failure, again.lastVisit]).toEqual([null, { at: "2024-06-10T00:00:00.000Z", size: 24 }]);
  });

  it("is not written after one that fails", async () => {
    const stateFile = audits.freshState();
    await mkdir(dirname(stateFile), { recursive: true });
    audits.server().serve(flip(files, "/log/tile/0/000.p/24", 0));
    expect((await audits.run({ stateFile })).result).toBe("broken");
    await expect(readFile(stateFile)).rejects.toThrow("ENOENT");
  });
});

describe("a publisher that is slow", () => {
  it("is asked again: 503, 429, a connection that breaks", async () => {
    const server = audits.server();
    server.serve(files);
    const told = new Map<string, number>();
    server.answer = (path) => {
      const times = (told.get(path) ?? 0) + 1;
      told.set(path, times);
      if (times > 1) return undefined;
      if (path.startsWith("/log/tile")) return "hang up";
      const status = path.startsWith("/statements/") ? 429 : 503;
      return { status, type: "application/problem+json", body: Buffer.from('{"code":"service.busy"}') };
    };
    expect((await audits.run()).failure).toBeNull();
  });

  it("that gives no answer at all leaves the audit unfinished", async () => {
    const server = audits.server();
    server.serve(files);
    server.answer = (path) => (path === "/v1/releases/2" ? "hang up" : undefined);
    await expect(audits.run({}, { requestPatienceMs: 300 })).rejects.toThrow(/releases\/2 gives no answer/);
  });
});

/** The same files with one bit of one of them changed. */
function flip(served: Map<string, Served>, path: string, at: number): Map<string, Served> {
  const file = served.get(path);
  if (file === undefined) throw new RangeError(`nothing is served at ${path}`);
  const body = Buffer.from(file.body);
  body[at]! ^= 1;
  return new Map(served).set(path, { ...file, body });
}
