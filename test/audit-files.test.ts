import { beforeAll, describe, it } from "vitest";
import type { Entry } from "../shared/ledger/entry.ts";
import { decodeBundle, encodeBundle } from "../shared/ledger/tiles.ts";
import { honestNight } from "./audit-night.ts";
import { published, type Served } from "./audit-published.ts";
import { auditRun, type Expected } from "./audit-run.ts";
import type { World } from "./audit-world.ts";

/** Every file that is served, changed: each change is refused, named, and told whom to ask about. */

const audits = auditRun();
let night: World;
let files: Map<string, Served>;
beforeAll(async () => {
  night = await honestNight();
  files = await published(night);
});
const BUNDLE = "/log/tile/entries/000.p/24";
const statementOf = (index: number) => `/statements/${(night.log[index]!.entry as Entry).statement}`;

type Change = (body: Buffer) => Buffer | string;

const changed = (path: string, change: Change): Map<string, Served> => {
  const file = files.get(path);
  if (file === undefined) throw new RangeError(`nothing is served at ${path}`);
  return new Map(files).set(path, { ...file, body: Buffer.from(change(Buffer.from(file.body)) as string) });
};
const without = (path: string) => {
  const left = new Map(files);
  if (!left.delete(path)) throw new RangeError(`nothing is served at ${path}`);
  return left;
};
const flipAt =
  (at: number): Change =>
  (body) => {
    body[at < 0 ? body.length + at : at]! ^= 1;
    return body;
  };
const bundle =
  (change: (entries: Uint8Array[]) => Uint8Array[]): Change =>
  (body) =>
    Buffer.from(encodeBundle(change(decodeBundle(body)!)));
const lines =
  (change: (all: string[]) => string[]): Change =>
  (body) =>
    change(body.toString("utf8").trimEnd().split("\n")).join("\n");
interface Releases {
  releases: { number: number; sha256: string; size: number }[];
}
const list =
  (change: (releases: Releases["releases"]) => Releases["releases"]): Change =>
  (body) => {
    const read = JSON.parse(body.toString("utf8")) as Releases;
    return JSON.stringify({ ...read, releases: change(read.releases) });
  };

describe("files that were changed", () => {
  it.each<[string, () => Map<string, Served>, Expected]>([
    [
      "a byte of a tile",
      () => changed("/log/tile/0/000.p/24", flipAt(5 * 32)),
      { code: "tile.differs", index: 5, path: "/log/tile/0/000.p/24", who: /publisher/ },
    ],
    [
      "a byte of an entry",
      () => changed(BUNDLE, flipAt(60)),
      { code: "bundle.differs", index: 0, path: BUNDLE, who: /publisher/ },
    ],
    [
      "a removed entry",
      () =>
        changed(
          BUNDLE,
          bundle((all) => all.toSpliced(6, 1)),
        ),
      { code: "bundle.differs", index: 6, what: /23 entries/ },
    ],
    [
      "two swapped entries",
      () =>
        changed(
          BUNDLE,
          bundle((all) => all.with(6, all[7]!).with(7, all[6]!)),
        ),
      { code: "bundle.differs", index: 6, what: /calls itself entry 7/ },
    ],
    ["a missing tile", () => without("/log/tile/0/000.p/24"), { code: "tile.missing", who: /publisher/ }],
    [
      "a byte of a tally",
      () => changed(statementOf(4), flipAt(200)),
      { code: "statement.bytes", index: 4, who: /publisher/ },
    ],
    [
      "a byte of a quarantined tally",
      () => changed(statementOf(5), flipAt(200)),
      { code: "statement.bytes", index: 5 },
    ],
    [
      "a byte of a statement that was open at once",
      () => changed(statementOf(23), flipAt(-1)),
      { code: "statement.bytes", index: 23 },
    ],
    [
      "a statement larger than any may be",
      () => changed(statementOf(4), (body) => Buffer.concat([body, Buffer.alloc(2 ** 21)])),
      { code: "statement.bytes", index: 4 },
    ],
    [
      "a checkpoint larger than any may be",
      () => changed("/log/checkpoint", (body) => Buffer.concat([body, Buffer.alloc(2 ** 20, "x")])),
      { code: "checkpoint.unsigned" },
    ],
    [
      "a list of releases whose sizes do not rise",
      () =>
        changed(
          "/v1/releases",
          list((all) => all.with(1, { ...all[1]!, size: all[0]!.size })),
        ),
      { code: "release.list", what: /Release 2/ },
    ],
    [
      "a list that gives a release another size",
      () =>
        changed(
          "/v1/releases",
          list((all) => all.with(1, { ...all[1]!, size: all[1]!.size + 1 })),
        ),
      { code: "release.swapped", index: 16 },
    ],
    ["a missing statement", () => without(statementOf(9)), { code: "statement.missing", index: 9 }],
    [
      "a statement that is withheld without a hold",
      () => new Map(files).set(statementOf(9), problem("statement.withheld")),
      { code: "withheld.no-hold", what: /LU/ },
    ],
    [
      "a byte of a judgement",
      () =>
        changed(
          "/log/judgements/0",
          lines((all) => all.with(5, all[5]!.replace("F.301", "F.302"))),
        ),
      { code: "judgement.differs", index: 5 },
    ],
    [
      "a byte of a judgement's salt",
      () =>
        changed(
          "/log/judgements/0",
          lines((all) => all.with(4, all[4]!.replace(/"salt":"./, '"salt":"z'))),
        ),
      { code: "judgement.differs", index: 4 },
    ],
    [
      "a missing judgement",
      () =>
        changed(
          "/log/judgements/0",
          lines((all) => all.slice(0, 7)),
        ),
      { code: "judgement.missing", index: 7 },
    ],
    [
      "a judgement that is withheld without a hold",
      () =>
        changed(
          "/log/judgements/0",
          lines((all) => all.with(18, "null")),
        ),
      { code: "withheld.no-hold", what: /AT/ },
    ],
    [
      "a byte of a release",
      () => changed("/v1/releases/2", flipAt(300)),
      { code: "release.bytes", path: "/v1/releases/2", who: /publisher/ },
    ],
    [
      "a byte of a release's signature",
      () => changed("/v1/releases/2/signatures", flipAt(-8)),
      { code: "release.signature", path: /releases\/2/ },
    ],
    [
      "a release with one count's signature",
      () => changed("/v1/releases/1/signatures", (body) => oneOf(body)),
      { code: "release.signature", what: /recount/ },
    ],
    ["a missing release", () => without("/v1/releases/3"), { code: "release.missing", path: "/v1/releases/3" }],
    [
      "a hidden last release",
      () =>
        changed(
          "/v1/releases",
          list((all) => all.slice(0, 2)),
        ),
      { code: "release.hidden", index: 21, what: /release 3/ },
    ],
    [
      "a hidden release in the middle",
      () =>
        changed(
          "/v1/releases",
          list((all) => all.toSpliced(1, 1)),
        ),
      { code: "release.hidden", what: /Release 2 is not in the list/ },
    ],
    [
      "a release in the place of another",
      () => swappedReleases(),
      { code: "release.swapped", index: 12, what: /release 1/ },
    ],
    ["no list of releases", () => changed("/v1/releases", () => "{}"), { code: "release.list" }],
    [
      "a byte of the checkpoint",
      () => changed("/log/checkpoint", flipAt(30)),
      { code: "checkpoint.unsigned", who: /ledger/ },
    ],
    ["no checkpoint", () => without("/log/checkpoint"), { code: "checkpoint.missing" }],
    [
      "a missing witness",
      () =>
        changed(
          "/log/checkpoint",
          lines((all) => [...all.slice(0, 6), ""]),
        ),
      { code: "checkpoint.quorum", what: /1 of the definition's witnesses.*needs 2/, who: /ledger.*witnesses/ },
    ],
    [
      "a witness' broken line",
      () =>
        changed(
          "/log/checkpoint",
          lines((all) => [...all.slice(0, 6), all[6]!.replace(/.{3}=?=?$/, "AAA="), ""]),
        ),
      { code: "checkpoint.unsigned" },
    ],
    [
      "a byte of the definition",
      () => changed("/v1/definition", flipAt(300)),
      { code: "definition.refused", who: /authority/ },
    ],
    [
      "a byte of the definition's signatures",
      () => changed("/v1/definition/signatures", flipAt(-10)),
      { code: "definition.refused" },
    ],
  ])("%s", async (_, served, expected) => {
    await audits.refused(served(), expected);
  });
});

const problem = (code: string): Served => {
  return { status: 403, type: "application/problem+json", body: Buffer.from(JSON.stringify({ code, status: 403 })) };
};
function oneOf(body: Buffer): string {
  const { signatures } = JSON.parse(body.toString("utf8")) as { signatures: unknown[] };
  return JSON.stringify({ signatures: [signatures[0], signatures[0]] });
}
/** Release 2 under the number 1, too: signed by both counts, with its own hash in the list. */
function swappedReleases(): Map<string, Served> {
  const [, second] = night.releases;
  const served = changed(
    "/v1/releases",
    list((all) => all.with(0, { ...all[0]!, sha256: second!.sha256 })),
  );
  for (const suffix of ["", "/signatures"])
    served.set(`/v1/releases/1${suffix}`, files.get(`/v1/releases/2${suffix}`)!);
  return served;
}
