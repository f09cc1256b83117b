import { spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readSlovenia } from "../infra/elections/ep2024/feed.ts";
import { withClient } from "../infra/stack/database.ts";
import { makeNightExercise } from "../infra/stack/exercise.ts";
import { type Stack, startStack } from "../infra/stack/stack.ts";
import { openOffice } from "../services/office/folder.ts";
import { openKey } from "../services/office/keys.ts";
import { signSaying } from "../services/office/signing.ts";
import { readView } from "../services/office/view.ts";
import { waywardProxy } from "./wayward-proxy.ts";

/** The office's tool as an office has it, one file and Node, against a whole stack: from an empty folder to receipts, on a bad line. */

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const EXAMPLES = join(ROOT, "services/office/examples");
let folder: string;
let stack: Stack;
let tool: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "scrutin-office-"));
  tool = join(folder, "scrutin-office.mjs");
  const bundled = spawn(process.execPath, ["--import", "tsx", "services/office/bundle.ts", "--out", tool], {
    cwd: ROOT,
  });
  const closed = Date.now() - 60_000;
  [stack] = await Promise.all([
    startStack({
      folder: join(folder, "stack"),
      makeExercise: () => makeNightExercise({ full: false, closesAt: () => new Date(closed) }),
      keepData: false,
      say: () => undefined,
    }),
    once(bundled, "close"),
  ]);
  await writeStackFile("stack.json", stack.addresses.ingest);
  await writeFile(join(folder, "pass"), "four words nobody guesses\n", { mode: 0o600 });
});
afterAll(async () => {
  await stack?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function writeStackFile(name: string, ingest: string): Promise<string> {
  const { addresses, definitionFile, keysFolder } = stack;
  const said = { addresses: { ...addresses, ingest }, definition: definitionFile, keys: keysFolder };
  await writeFile(join(folder, name), JSON.stringify(said));
  return join(folder, name);
}

function begin(...args: string[]) {
  const env = { ...process.env, SCRUTIN_OFFICE_PASSPHRASE_FILE: join(folder, "pass") };
  return spawn(process.execPath, [tool, ...args], { cwd: folder, env });
}

/** Runs a command to its end. */
async function office(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = begin(...args);
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]);
  return { code: code as number | null, out, err };
}

/** What the log holds of a key: its numbers, in order. */
const logged = (kid: string) =>
  withClient(stack.database.adminUrl, async (client) => {
    const { rows } = await client.query<{ sequence: string }>(
      "select sequence from ledger.entry where key = $1 and type <> 'key' order by sequence",
      [kid],
    );
    return rows.map(({ sequence }) => Number(sequence));
  });

describe("from an empty folder to a receipt that is proven", () => {
  it("in seven commands, with Slovenia's stations", async () => {
    const { finals } = readSlovenia();
    const lists = Object.keys(finals[0]?.votes ?? {});
    const rows = finals.map(({ unit, electors, ballots, invalid, votes }) =>
      [unit.slice(3), electors, ballots, invalid, ...lists.map((list) => votes[list])].join(";"),
    );
    await writeFile(
      join(folder, "si.csv"),
      `${["station", "electors", "ballots", "invalid", ...lists].join(";")}\n${rows.join("\n")}\n`,
    );
    const votes = Object.fromEntries(lists.map((list) => [list, list]));
    const mapping = {
      format: "csv",
      unit: "SI-{station}",
      electors: "electors",
      ballots: "ballots",
      invalid: "invalid",
      votes,
    };
    await writeFile(join(folder, "si.mapping.json"), JSON.stringify(mapping));
    const steps = [
      ["keygen", "--state", "SI", "--official", "Ada Example", "--id", "SI-ada"],
      ["enrol", "--exercise", "stack.json"],
      ["check", "si.csv", "--map", "si.mapping.json"],
      ["sign", "si.csv", "--map", "si.mapping.json", "--only-good"],
      ["submit"],
      ["status"],
      ["prove"],
    ];
    const said: string[] = [];
    for (const step of steps) {
      const { code, out, err } = await office(...step);
      expect([step, code, err]).toEqual([step, 0, ""]);
      said.push(out);
    }
    expect(said[0]).toMatch(/Fingerprint: ([0-9a-f]{4} ){7}[0-9a-f]{4}\n/);
    expect(said[4]).toContain("7 accepted, 0 quarantined, 0 refused");
    expect(said[5]).toContain("3078 of 3078 units are reported.");
    expect(said[6]).toContain("Cosigned by witness.example/scrutin-1, witness.example/scrutin-2.");
    expect(await logged("SI-ada")).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it("the same file again is nothing new, and a file with an error in it signs nothing", async () => {
    const again = await office("sign", "si.csv", "--map", "si.mapping.json");
    expect(again.out).toContain("There is nothing new in it");
    const broken = (await readFile(join(folder, "si.csv"), "utf8")).replace(/\n(1001-001;)(\d+);/, "\n$1-$2;");
    await writeFile(join(folder, "broken.csv"), broken);
    const { code, err } = await office("sign", "broken.csv", "--map", "si.mapping.json");
    expect([code, err]).toEqual([1, expect.stringMatching(/^check\.failed: Nothing was signed: 1 /)]);
    expect((await office("submit")).out).toContain("Nothing waits");
  });

  it("a correction stands beside what it corrects; a declaration waits for the second official", async () => {
    const corrected = await office(
      "correct",
      "SI-1001-001",
      "--set",
      "electors=545",
      "--reason",
      "Miscounted",
      "--yes",
    );
    expect(corrected.out).toMatch(/electors +544 +545 {2}changed/);
    const two = [
      ["keygen", "--state", "SI", "--official", "Bo Second", "--id", "SI-bo"],
      ["enrol", "--exercise", "stack.json", "--key", "SI-bo"],
      ["close", "--yes", "--key", "SI-ada"],
      ["declare", "final", "--yes", "--key", "SI-ada"],
      ["submit"],
    ];
    for (const step of two) expect([step, (await office(...step)).code]).toEqual([step, 0]);
    expect(await logged("SI-ada")).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect((await office("cosign", "--yes", "--key", "SI-ada")).err).toContain("signer.already");
    expect((await office("cosign", "--yes", "--key", "SI-bo")).code).toBe(0);
    expect((await office("submit")).out).toContain("1 accepted");
    expect(await logged("SI-ada")).toHaveLength(10);
  });

  it("a wrong passphrase opens nothing, and says so", async () => {
    await writeFile(join(folder, "other"), "four words of somebody\n", { mode: 0o600 });
    const { code, err } = await office("close", "--yes", "--key", "SI-ada", "--passphrase-file", "other");
    expect([code, err]).toEqual([1, expect.stringMatching(/^passphrase\.wrong: /)]);
  });
});

describe("on a bad line, with a process that is killed", () => {
  it("fifty times at any moment: the log holds every statement once", async () => {
    let seed = 20240609;
    const random = () => {
      seed = (seed * 48271) % 2147483647;
      return seed / 2147483647;
    };
    const proxy = await waywardProxy(new URL(stack.addresses.ingest), random);
    try {
      const stackFile = await writeStackFile("bad-line.json", stack.addresses.ingest);
      await office("keygen", "--office", "ro", "--state", "RO", "--official", "Cy Third", "--id", "RO-cy");
      expect((await office("enrol", "--office", "ro", "--exercise", stackFile)).code).toBe(0);
      const settings = join(folder, "ro", "office.json");
      await writeFile(
        settings,
        (await readFile(settings, "utf8")).replace(stack.addresses.ingest, proxy.url.slice(0, -1)),
      );
      const opened = await openOffice(join(folder, "ro"));
      const signer = await openKey(opened.folder, undefined, "four words nobody guesses");
      const view = await readView(opened);
      const ids = opened.register.state("RO") && [
        ...(opened.election.definition.states.find(({ id }) => id === "RO")?.units[0]?.ids ?? []),
      ];
      const statements = 250;
      for (const unit of (ids ?? []).slice(0, statements)) {
        const figures = { electors: 100, ballots: 1, blank: 0, invalid: 1 };
        const tally = { unit, version: 1, status: "final", ...figures, votes: { RO01: 0 } } as const;
        await signSaying({ type: "tally", tallies: [tally] }, { office: opened, view, signer, now: Date.now });
      }
      let killed = 0;
      for (let kill = 0; kill < 50; kill++) {
        const child = begin("submit", "--office", "ro", "--wait", "1m");
        const ended = once(child, "close");
        await Promise.race([ended, sleep(150 + random() * 500)]);
        child.kill("SIGKILL");
        await ended;
        if (child.signalCode === "SIGKILL") killed++;
      }
      // They were killed in the middle: some before anything was sent, some with statements on their way.
      expect(killed).toBeGreaterThan(20);
      proxy.mend();
      const { code, err } = await office("submit", "--office", "ro", "--wait", "1m");
      expect([code, err]).toEqual([0, ""]);
      expect(await logged("RO-cy")).toEqual(Array.from({ length: statements }, (_, n) => n + 1));
      const status = JSON.parse((await office("status", "--office", "ro", "--json")).out) as { keys: object[] };
      expect(status.keys).toEqual([
        expect.objectContaining({ signed: statements, accepted: statements, waiting: [], gaps: [] }),
      ]);
    } finally {
      await proxy.close();
    }
  });
});

it("what was signed for one exercise is not accepted by another", async () => {
  const copy = join(folder, "si-of-another");
  await cp(join(folder, "office"), copy, { recursive: true });
  const opened = await openOffice(copy);
  const other = { ...opened, election: { ...opened.election, hash: "0".repeat(64) } };
  const signer = await openKey(copy, "SI-bo", "four words nobody guesses");
  const view = await readView(opened);
  await signSaying({ type: "void", voids: 900, reason: "for another" }, { office: other, view, signer, now: Date.now });
  const { code, out } = await office("submit", "--office", copy);
  expect([code, out]).toEqual([1, expect.stringContaining("F.101")]);
});

it("every example's mapping is read, and drafted ones are a beginning", async () => {
  for (const name of ["germany", "romania", "slovenia"]) {
    const { err } = await office(
      "check",
      join(ROOT, "services/office/fixtures/empty.csv"),
      "--map",
      join(EXAMPLES, `${name}.mapping.json`),
    );
    expect(err).toBe("");
  }
  const { out } = await office("map", join(ROOT, "services/office/fixtures/de-good.csv"));
  expect(JSON.parse(out)).toMatchObject({
    delimiter: ",",
    electors: "registered",
    ballots: "voters",
    totals: { valid: "votes" },
  });
});
