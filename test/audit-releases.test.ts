import { gzipSync } from "node:zlib";
import { beforeAll, describe, expect, it } from "vitest";
import { compareAnnouncements } from "../services/audit/announcements.ts";
import { firstAuthority } from "../shared/ledger/authority.ts";
import type { Entry } from "../shared/ledger/entry.ts";
import type { Client } from "../shared/platform/publisher/client.ts";
import { Discrepancy } from "../shared/platform/publisher/discrepancy.ts";
import { verifyKeyOf } from "../shared/statement/authentic.ts";
import { honestNight, voices } from "./audit-night.ts";
import { noteOf, proofOf, published, type Served } from "./audit-published.ts";
import { auditRun, type Expected } from "./audit-run.ts";
import { asCsv } from "./audit-server.ts";
import { CLOSED, createWorld, release, rootAt, type World, waitUntil } from "./audit-world.ts";

/** What is served beside a release's document: its CSV, its proof, the way to its statement, its row in the list, the latest of them. */

const audits = auditRun();
let night: World;
let files: Map<string, Served>;
/** The entries that announce the three releases. */
let announced: number[];
beforeAll(async () => {
  night = await honestNight();
  files = await published(night);
  announced = night.log.flatMap(({ statement }, index) => (statement?.type === "release" ? [index] : []));
});

const given = (path: string): Served => {
  const file = files.get(path);
  if (file === undefined) throw new RangeError(`nothing is served at ${path}`);
  return file;
};
const served = (path: string, body: Buffer | string, more: Partial<Served> = {}) =>
  new Map(files).set(path, { ...given(path), body: Buffer.from(body as string), ...more });
const changed = (path: string, change: (text: string) => string) => {
  const text = given(path).body.toString("utf8");
  const other = change(text);
  if (other === text) throw new RangeError(`nothing was changed in ${path}`);
  return served(path, other);
};
const flipped = (path: string, at: number) => {
  const body = Buffer.from(given(path).body);
  body[at < 0 ? body.length + at : at]! ^= 1;
  return served(path, body);
};
const copied = (from: string, to: string) => new Map(files).set(to, given(from));
const publisher = (code: Expected["code"], path: string, more: Partial<Expected> = {}): Expected => ({
  code,
  path: new RegExp(`^${path}$`),
  who: /publisher/,
  ...more,
});

const [CSV, PROOF, STATEMENT] = ["/v1/releases/2.csv", "/v1/releases/2/proof", "/v1/releases/2/statement"];
const [LATEST, LATEST_CSV] = ["/v1/releases/latest", "/v1/releases/latest.csv"];
const LATEST_SIGNATURES = "/v1/releases/latest/signatures";
const LAST_PROOF = "/v1/releases/3/proof";
const HTML = "<!doctype html><title>Results</title>";
const BESIDE = [CSV, PROOF, STATEMENT, LATEST, LATEST_CSV, LATEST_SIGNATURES, LAST_PROOF];
/** The signature of `who` in a proof, with another one of its bytes. */
const broken = (text: string, who: string) =>
  text.replace(new RegExp(`(— ${who} \\S{40})(\\S)`), (_, before, letter) => before + (letter === "A" ? "B" : "A"));

describe("what is served beside a release", () => {
  it.each<[string, () => Map<string, Served> | Promise<Map<string, Served>>, Expected]>([
    ["a figure in a CSV", () => flipped(CSV, -8), publisher("release.csv", CSV, { what: /line \d+/ })],
    ["the end of a CSV", () => changed(CSV, (text) => text.slice(0, -2)), publisher("release.csv", CSV)],
    ["a row behind a CSV", () => changed(CSV, (text) => `${text}LIVE,x\r\n`), publisher("release.csv", CSV)],
    ["another release's CSV", () => copied("/v1/releases/1.csv", CSV), publisher("release.csv", CSV)],
    ["a compressed CSV", () => served(CSV, gzipSync(given(CSV).body)), publisher("release.csv", CSV)],
    ["a page for a CSV", () => served(CSV, HTML, { type: "text/html" }), publisher("release.csv", CSV)],

    [
      "another release's CSV for whoever would rather have CSV",
      () => copied("/v1/releases/1.csv", asCsv("/v1/releases/2")),
      publisher("release.csv", "/v1/releases/2", { what: /as CSV/ }),
    ],
    [
      "the document for whoever would rather have CSV",
      () => copied("/v1/releases/2", asCsv("/v1/releases/2")),
      publisher("release.csv", "/v1/releases/2", { what: /as CSV.* in line 1\b/ }),
    ],

    ["a byte of a proof's entry", () => flipped(PROOF, 60), publisher("release.proof", PROOF)],
    ["a hash of a proof", () => changed(PROOF, withoutHash), publisher("release.proof", PROOF, { what: /hashes/ })],
    [
      "a proof without its entry",
      () => changed(PROOF, (text) => text.replace(/extra .*\n/, "")),
      publisher("release.proof", PROOF, { what: /does not carry/ }),
    ],
    [
      "a huge index in a proof",
      () => changed(PROOF, (text) => text.replace(/index \d+/, `index ${2 ** 53 - 1}`)),
      publisher("release.proof", PROOF, { what: /entry 9007199254740991/ }),
    ],
    [
      "a huge index in the last proof",
      () => changed(LAST_PROOF, (text) => text.replace(/index \d+/, `index ${2 ** 53 - 1}`)),
      publisher("release.proof", LAST_PROOF),
    ],
    [
      "a checkpoint of a huge size in the last proof",
      () => changed(LAST_PROOF, (text) => text.replace("\n24\n", `\n${2 ** 53 - 1}\n`)),
      publisher("release.proof", LAST_PROOF),
    ],
    [
      "the proof of another entry",
      async () => served(PROOF, await proofOf(night, 3)),
      publisher("release.proof", PROOF, { what: /is of entry 3/ }),
    ],
    ["another release's proof", () => copied("/v1/releases/1/proof", PROOF), publisher("release.proof", PROOF)],
    [
      "a proof that the log has not signed",
      () => changed(PROOF, (text) => broken(text, "results.example.eu/sample")),
      publisher("release.proof", PROOF, { what: /log's key has not signed/ }),
    ],
    [
      "a proof that one witness has cosigned",
      () => changed(PROOF, (text) => text.replace(/— witness-1 .*\n/, "").replace(/— witness-2 .*\n/, "")),
      publisher("release.proof", PROOF, { what: /enough witnesses/ }),
    ],
    [
      "a witness' line beyond the quorum",
      () => changed(PROOF, (text) => broken(text, "witness-3")),
      publisher("release.proof", PROOF, { what: /no witness/ }),
    ],
    [
      "a proof with a line that nobody signed",
      () => changed(PROOF, (text) => text.replace(/— witness-3 (.*)\n/, "— witness-3 $1\n— another $1\n")),
      publisher("release.proof", PROOF, { what: /no witness/ }),
    ],
    ["a proof of a fork", async () => served(PROOF, await proofOfFork()), { code: "log.forked", path: PROOF }],
    ["a compressed proof", () => served(PROOF, gzipSync(given(PROOF).body)), publisher("release.proof", PROOF)],
    ["a page for a proof", () => served(PROOF, HTML, { type: "text/html" }), publisher("release.proof", PROOF)],
    ["a page for the last proof", () => served(LAST_PROOF, HTML), publisher("release.proof", LAST_PROOF)],
    [
      "the way to another statement",
      () => served(STATEMENT, "", { location: `/statements/${(night.log[3]!.entry as Entry).statement}` }),
      publisher("release.missing", STATEMENT, { what: /is announced by/ }),
    ],
    [
      "the way to a statement elsewhere",
      () => served(STATEMENT, "", { location: `http://127.0.0.1${given(STATEMENT).location}` }),
      publisher("release.missing", STATEMENT),
    ],

    ["a byte of the latest release", () => flipped(LATEST, 300), publisher("release.latest", LATEST)],
    ["the latest release in a page", () => served(LATEST, HTML), publisher("release.latest", LATEST)],
    [
      "an older release as the latest",
      () => copied("/v1/releases/2", LATEST),
      publisher("release.latest", LATEST, { what: /is release 2; the last one is 3/ }),
    ],
    ["a byte of the latest CSV", () => flipped(LATEST_CSV, -8), publisher("release.latest", LATEST_CSV)],
    ["an older CSV as the latest", () => copied(CSV, LATEST_CSV), publisher("release.latest", LATEST_CSV)],
    [
      "an older CSV as the latest for whoever would rather have CSV",
      () => copied(CSV, asCsv(LATEST)),
      publisher("release.latest", LATEST, { what: /as CSV/ }),
    ],
    [
      "the signatures of an older release as the latest's",
      () => copied("/v1/releases/2/signatures", LATEST_SIGNATURES),
      publisher("release.latest", LATEST_SIGNATURES),
    ],
    [
      "an older release as the latest in all its forms",
      () => new Map([...copied("/v1/releases/2", LATEST), [LATEST_CSV, given(CSV)]]),
      publisher("release.latest", LATEST),
    ],

    ...["asOf", "status", "url", "sha256"].map((name): [string, () => Map<string, Served>, Expected] => [
      `another ${name} in the list`,
      () => changed("/v1/releases", (text) => text.replace(new RegExp(`"${name}":"[^"]`), `"${name}":"0`)),
      name === "sha256" ? publisher("release.bytes", "/v1/releases/1") : publisher("release.list", "/v1/releases"),
    ]),
    ...["mode", "election", "definition"].map((name): [string, () => Map<string, Served>, Expected] => [
      `another ${name} of the list`,
      () => changed("/v1/releases", (text) => text.replace(new RegExp(`"${name}":"[^"]`), `"${name}":"0`)),
      publisher("release.list", "/v1/releases"),
    ]),
    [
      "more in the list than it says of a release",
      () => changed("/v1/releases", (text) => text.replace('"url"', '"seats":720,"url"')),
      publisher("release.list", "/v1/releases", { what: /release 1/ }),
    ],
    [
      "a name twice in the list",
      () => changed("/v1/releases", (text) => text.replace('"asOf"', '"asOf":"2030-01-01T00:00:00.000Z","asOf"')),
      publisher("release.list", "/v1/releases"),
    ],
    [
      "a list larger than any may be",
      () => changed("/v1/releases", (text) => text.replace("[", `[${"{},".repeat(3 * 2 ** 20)}`)),
      publisher("release.list", "/v1/releases"),
    ],
    [
      "a third signature",
      () =>
        changed("/v1/releases/1/signatures", (text) => text.replace("]}", ',{"protected":"e30","signature":"AAAA"}]}')),
      publisher("release.signature", "/v1/releases/1/signatures", { what: /two signatures/ }),
    ],
    [
      "a blank between signatures",
      () => changed("/v1/releases/1/signatures", (text) => text.replace("},{", "}, {")),
      publisher("release.signature", "/v1/releases/1/signatures"),
    ],
  ])("%s", async (_, lie, expected) => {
    await audits.refused(await lie(), expected);
  });

  /** Without the last line above its checkpoint. */
  function withoutHash(text: string): string {
    const [head, ...rest] = text.split("\n\n");
    return [head!.slice(0, head!.lastIndexOf("\n")), ...rest].join("\n\n");
  }

  /** The right path of the right entry, in a log of which another entry is another one. */
  async function proofOfFork(): Promise<string> {
    const index = announced[1]!;
    const log = night.log.with(2, { ...night.log[2]!, body: Buffer.from("{}") });
    const forked = { ...night, log };
    return proofOf(forked, index);
  }
});

describe("what is not served beside a release", () => {
  it.each(BESIDE.flatMap((path) => [404, 403, 500].map((status): [string, number] => [path, status])))(
    "%s, answered with %i",
    async (path, status) => {
      const type = "application/problem+json";
      const body = Buffer.from(JSON.stringify({ code: status === 403 ? "embargo.in-force" : "unknown", status }));
      audits.server().serve(new Map(files).set(path, { status, type, body }));
      const { failure } = await audits.run({}, { requestPatienceMs: 150 });
      expect(failure).toMatchObject({ path, what: expect.stringContaining(String(status)) });
      expect(failure?.code).toBe(path.includes("latest") ? "release.latest" : "release.missing");
    },
  );
});

describe("every byte of a proof", () => {
  it("is verified", async () => {
    const { sample, log } = night;
    const [number, index] = [2, announced[1]!];
    const path = `/v1/releases/${number}/proof`;
    const { definition } = sample;
    const witnesses = definition.witnesses!.keys.map(({ name, publicKey }) => ({
      name,
      publicKey: verifyKeyOf(publicKey)!,
    }));
    const trusted = { authorities: [firstAuthority(definition)], witnesses, quorum: definition.witnesses!.quorum };
    const verified = {
      size: log.length,
      root: rootAt(night, log.length),
      rootAt: async (size: number) => rootAt(night, size),
      bundle: async () => log.map(({ body }) => body),
      entry: async (at: number) => log[at]!.body,
    };
    const verify = (body: Buffer) => {
      const client: Client = {
        async get(asked) {
          const { status, location, ...rest } = asked === path ? { ...given(path), body } : given(asked);
          return { status, body: rest.body, problem: undefined, location };
        },
        close: () => undefined,
      };
      const { signal } = new AbortController();
      const sources = { client, trusted: trusted as never, log: verified, patienceMs: 0, signal };
      return compareAnnouncements([{ number, index }], sources).then(
        () => "holds",
        (error: unknown) => (error instanceof Discrepancy ? error.where.path : error),
      );
    };
    const right = given(path).body;
    expect(await verify(right)).toBe("holds");
    for (let at = 0; at < right.length; at++) {
      const body = Buffer.from(right);
      body[at]! ^= 1 << (at % 8);
      expect([at, await verify(body)]).toEqual([at, path]);
    }
  }, 30_000);
});

describe("the latest release", () => {
  it("is looked for again when another came in between", async () => {
    const server = audits.server();
    server.serve(files);
    let times = 0;
    // The CSV was asked for before the new release came, the document after it.
    server.answer = (path) => (path === LATEST_CSV && ++times === 1 ? given(CSV) : undefined);
    const { failure } = await audits.run({}, { patienceMs: 5_000 });
    expect([failure, times]).toEqual([null, 2]);
  });

  it("may be one that came while the audit went on", async () => {
    const world = createWorld();
    const { closed, tally, lift } = voices(world);
    waitUntil(world, CLOSED + 1_000);
    await closed("AT");
    await closed("LU");
    await lift(CLOSED + 10_000);
    await release(world);
    const before = await published(world);
    await tally("AT-1");
    await release(world);
    const after = await published(world);
    const server = audits.server();
    server.serve(before);
    let lists = 0;
    server.answer = (path) => {
      const isNew = path === "/v1/releases" ? ++lists > 1 : path.includes("latest");
      return isNew ? after.get(path) : undefined;
    };
    expect((await audits.run()).failure).toBeNull();
    // One that is not in the list, though both counts have signed it.
    lists = -10;
    expect((await audits.run()).failure).toMatchObject({ code: "release.latest", path: LATEST });
  });

  it.each([LATEST, LATEST_CSV, LATEST_SIGNATURES])("is not there before the lift: %s", async (path) => {
    const early = createWorld();
    const { closed } = voices(early);
    waitUntil(early, CLOSED + 1_000);
    await closed("AT");
    const lie = new Map(await published(early)).set(path, given(path));
    await audits.refused(lie, publisher("release.latest", path, { what: /status 200/ }));
  });

  it("rests on a list that only grows", async () => {
    const server = audits.server();
    server.serve(files);
    let lists = 0;
    const shorter = changed("/v1/releases", (text) => text.replace(/,\{"number":3.*\]/, "]"));
    server.answer = (path) => (path === "/v1/releases" && ++lists > 1 ? shorter.get(path) : undefined);
    expect((await audits.run()).failure).toMatchObject({ code: "release.list", path: "/v1/releases" });
  });
});

describe("a proof from a checkpoint that is newer than the audited one", () => {
  it("holds as far as it is known", async () => {
    const world = await honestNight();
    const before = await published(world);
    await voices(world).closed("LU");
    const newer = Buffer.from(await proofOf(world, announced[2]!));
    expect(await noteOf(world)).toContain("\n25\n");
    audits.server().serve(new Map(before).set(LAST_PROOF, { ...given(LAST_PROOF), body: newer }));
    expect((await audits.run()).failure).toBeNull();
  });
});
