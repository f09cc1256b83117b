import { beforeAll, describe, expect, it } from "vitest";
import { reportText } from "../services/audit/report-text.ts";
import { readVisit, type Visit, writeVisit } from "../services/audit/visit.ts";
import { verifierKey } from "../shared/ledger/checkpoint.ts";
import type { Entry } from "../shared/ledger/entry.ts";
import { honestNight } from "./audit-night.ts";
import { published, type Served } from "./audit-published.ts";
import { auditRun, type Expected } from "./audit-run.ts";
import { rootAt, type World } from "./audit-world.ts";

/** Answers that are meant to wear an audit out: more than anyone would serve who has nothing to hide. */

const audits = auditRun();
let night: World;
let files: Map<string, Served>;
beforeAll(async () => {
  night = await honestNight();
  files = await published(night);
});

/** The same files with one of them made anew. */
function but(path: string, body: (before: string) => string | Buffer): Map<string, Served> {
  const file = files.get(path);
  if (file === undefined) throw new RangeError(`nothing is served at ${path}`);
  return new Map(files).set(path, { ...file, body: Buffer.from(body(file.body.toString("utf8")) as string) });
}

describe("a page of judgements", () => {
  const path = "/log/judgements/0";
  it.each<[string, (before: string) => string | Buffer, Expected]>([
    [
      "with lines without end",
      () => "null\n".repeat(2_000_000),
      { code: "judgement.differs", index: 256, what: /Line 257/ },
    ],
    [
      "that is larger than any judgements are",
      (before) => `${before}${" ".repeat(65 * 1024 * 1024)}`,
      { code: "judgement.differs", index: 0, what: /more than the \d+ bytes/ },
    ],
    ["that is cut off", (before) => before.slice(0, before.indexOf("\n") + 1), { code: "judgement.missing", index: 1 }],
  ])("%s is refused", async (_, body, expected) => {
    await audits.refused(but(path, body), { path, ...expected });
  });
});

describe("a view that stands still", () => {
  it("holds, and is called old while the results are not official", async () => {
    audits.server().serve(files);
    const now = (after: number) => ({ now: () => new Date(night.now + after) });
    const fresh = await audits.run({}, now(60_000));
    expect([fresh.result, fresh.warnings]).toEqual(["holds", []]);
    expect(fresh.checkpoint?.newest).toEqual({ at: expect.any(String), by: "witness-1", ageSeconds: 60 });
    expect(reportText(fresh)).toMatch(/newest +2024-06-09T21:\S+ \(witness-1\), 1 min before this audit ended/);
    const old = await audits.run({}, now(3_600_000));
    expect([old.result, old.warnings]).toEqual(["holds", [expect.stringMatching(/old.*\(witness-1\), 1 h before/)]]);
    expect(reportText(old)).toMatch(/ALL OF IT HOLDS\.\n\nLook into this\n {2}- What you were shown is old/);
  });

  it("gives the log's verifier key, with which any other tool can be started", async () => {
    audits.server().serve(files);
    const report = await audits.run();
    const { definition, keys } = night.sample;
    const vkey = verifierKey(definition.origin, keys.get("ledger-1")!.publicRaw);
    expect(report.checkpoint?.vkey).toBe(vkey);
    expect(reportText(report)).toContain(`log key       ${vkey}`);
  });
});

describe("a publisher that drips", () => {
  it.each(["/v1/definition", "/log/checkpoint", "/log/judgements/0", "/v1/releases/2"])(
    "a byte of %s now and then leaves the audit unfinished, and does not keep it",
    async (path) => {
      const server = audits.server();
      server.serve(files);
      server.answer = (asked) => (asked === path ? "hold" : undefined);
      const limits = { requestPatienceMs: 200, deadlineMs: () => 300 };
      await expect(audits.run({}, limits)).rejects.toThrow(`${path} gives no answer (the answer was not whole`);
    },
  );
});

describe("two runs on one state file", () => {
  const visitOf = (size: number): Visit => ({
    ...{ url: audits.server().url.href, at: "2024-06-09T22:00:00Z", definition: night.sample.hash, mode: "exercise" },
    ...{ origin: night.sample.definition.origin, size, root: rootAt(night, size).toString("base64"), releases: [] },
  });

  it("never go back: what the other one has seen since is kept, and compared", async () => {
    audits.server().serve(files);
    const stateFile = audits.freshState();
    // It has ended while this run was at work.
    await writeVisit(stateFile, { ...visitOf(24), size: 25 });
    expect((await audits.run({ stateFile })).failure).toBeNull();
    expect(await readVisit(stateFile)).toMatchObject({ size: 25 });
    const other = audits.freshState();
    await writeVisit(other, { ...visitOf(9), root: Buffer.alloc(32, 1).toString("base64") });
    expect((await audits.run({ stateFile: other })).failure).toMatchObject({ code: "log.forked" });
    expect(await readVisit(other)).toMatchObject({ size: 9 });
  });
});

describe("where it went wrong", () => {
  it("is the statement, or the page, at which something is withheld without a hold", async () => {
    const { entry } = night.log[9]!;
    const path = `/statements/${(entry as Entry).statement}`;
    const problem = Buffer.from('{"code":"statement.withheld"}');
    const withheld = { status: 403, type: "application/problem+json", body: problem };
    await audits.refused(new Map(files).set(path, withheld), { code: "withheld.no-hold", index: 9, path });
    const page = "/log/judgements/0";
    const hidden = but(page, (before) => {
      const lines = before.split("\n");
      lines[18] = "null";
      return lines.join("\n");
    });
    await audits.refused(hidden, { code: "withheld.no-hold", index: 18, path: page });
  });

  it("is the list, when a release is in it that the log is too short for", async () => {
    const path = "/v1/releases";
    const longer = but(path, (before) => {
      const list = JSON.parse(before) as { releases: { number: number; size: number; url: string }[] };
      const last = list.releases.at(-1)!;
      list.releases.push({ ...last, number: last.number + 1, size: 10 ** 9, url: `/v1/releases/${last.number + 1}` });
      return JSON.stringify(list);
    });
    await audits.refused(longer, { code: "release.unlogged", path, what: /only 24 entries.*release 4/ });
  });
});
