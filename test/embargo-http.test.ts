import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally, signSample } from "../shared/definition/sample.ts";
import type { Statement } from "../shared/statement/types.ts";
import { createSayings, post } from "./embargo.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { ask, askAll, type Raw } from "./raw-http.ts";
import { foundIn, packed, type Sought, textTraces } from "./sentinel.ts";

/**
 * Every kind of request at every door, while a night that is counted to the end is kept shut by a trustee's hold: no answer tells a
 * figure, or whether there is one, and no cache keeps what it was told.
 */

const ELECTORS = 907_654_321;
const BALLOTS = 351_230_218;
// Not 300000007: that is what twice the least step of a clock leaves in a sum of seconds.
const VOTES = { AT01: 293_847_561, AT02: 57_382_641 };
const SOUGHT: Sought = [ELECTORS, BALLOTS, ...Object.values(VOTES)].map((figure) => [
  String(figure),
  [...textTraces(String(figure)), ...packed([figure])],
]);

const SERVICES = ["ingest", "ledger", "tabulate", "recount", "release", "watch"] as const;
type Service = (typeof SERVICES)[number];
const METHODS = ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "SEARCH", "PURGE"];

const HEADERS: string[][] = [
  ["Range: bytes=0-1"],
  ["Range: bytes=-1"],
  ["Range: bytes=0-0,1-1", 'If-Range: "1"'],
  ["If-None-Match: *"],
  ['If-None-Match: "1", W/"1"'],
  ["If-Match: *"],
  ["If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"],
  ["If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT"],
  ["If-Unmodified-Since: Fri, 31 Dec 9999 23:59:59 GMT"],
  ["Accept: text/csv"],
  ["Accept: text/event-stream"],
  ["Accept-Encoding: br, gzip, zstd"],
  ["Cache-Control: only-if-cached, max-stale"],
  ["Prefer: wait=1"],
  ["X-HTTP-Method-Override: GET"],
  ["X-Original-URL: /v1/definition", "X-Rewrite-URL: /v1/definition"],
  ["X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1"],
  ["Origin: https://example.eu", "Access-Control-Request-Method: GET"],
  ["Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="],
  ["Cookie: admin=1", "Authorization: Basic YWRtaW46YWRtaW4="],
];

const half = (path: string) => path.slice(0, path.lastIndexOf("/"));
const last = (path: string) => path.slice(path.lastIndexOf("/") + 1);
/** Other spellings of a path, as the bytes on the wire. */
const SPELLINGS: ((path: string, url: string) => string)[] = [
  (path) => `/${path}`,
  (path) => `${half(path)}//${last(path)}`,
  (path) => `${path}/`,
  (path) => `${path}.`,
  (path) => `${path}..`,
  (path) => `${path}%20`,
  (path) => `${path};a=b`,
  (path) => `${half(path)};a=b/${last(path)}`,
  (path) => `${path}?a=b`,
  (path) => `${path}#a`,
  (path) => `${path}.json`,
  (path) => `${path}%00`,
  (path) => `${path}%00.json`,
  (path) => `${path}%0d%0aX:%20y`,
  (path) => path.toUpperCase(),
  (path) => `/.${path}`,
  (path) => `/a/..${path}`,
  (path) => `/v1/definition/..${path.replace("/v1", "")}`,
  (path) => `/v1/definition/%2e%2e/%2e%2e${path}`,
  (path) => `/v1/definition/%2E%2E%2f%2E%2E${path}`,
  (path) => `/healthz/..;${path}`,
  (path) => path.replaceAll("/", "%2f").replace("%2f", "/"),
  (path) => path.replaceAll("/", "%2F"),
  (path) => path.replaceAll("/", "%252f").replace("%252f", "/"),
  (path) => path.replaceAll("/", "\\"),
  (path) => path.replaceAll("/", "/%5c"),
  (path) => path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path) => path.replaceAll(/[a-z]/g, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
  (path) => path.replaceAll(/[a-z]/g, (letter) => `%25${letter.charCodeAt(0).toString(16)}`),
  (path) => path.replace("e", "\u00e9"),
  (path) => path.replaceAll("/", "%c0%af").replace("%c0%af", "/"),
  (path, url) => `${url}${path}`,
  (path) => `http://elsewhere.example${path}`,
  (path) => `https://elsewhere.example:443${path}`,
  (path) => `${path}/${"a/".repeat(3_000)}`,
  (path) => `${path}/${"a".repeat(70_000)}`,
  (path) => path.slice(1),
  () => "*",
];

let harness: Harness;
const urls = {} as Record<Service, string>;
let say: ReturnType<typeof createSayings>;
/** Where figures will be, and where there will be nothing, of the same form: nobody may tell one from the other. */
let results: [there: string, nothing: string][];
/** The one refusal. */
let refusal: Raw;
/** And that of a method by which nothing is read. */
let onlyRead: Raw;
/** What no refusal may carry. */
const VALIDATOR = /^(etag|last-modified|content-range|accept-ranges|age|expires|content-location|content-encoding):/i;

const decide = (decision: "hold" | "resume"): Statement => {
  return { type: "decision", ...say.common("EU"), decision, about: "EU", reason: "as agreed" };
};

beforeAll(async () => {
  const sample = sampleDefinition();
  harness = await startHarness({ sample });
  const { query, start } = harness;
  [urls.ledger, urls.ingest] = (await Promise.all([start("ledger"), start("ingest")])).map(({ url }) => url) as [
    string,
    string,
  ];
  say = createSayings(harness);
  const said = async (statement: Statement, ...kids: string[]) =>
    expect(await post(harness, urls.ingest, statement, ...kids)).toMatchObject({ verdict: "accepted" });
  const tallies = [sampleTally("AT-1", { electors: ELECTORS, ballots: BALLOTS, blank: 9, invalid: 7, votes: VOTES })];
  const tally: Statement = { type: "tally", ...sampleCommon(sample, "AT", 1_000), tallies };
  await said(decide("hold"), "trustee-1");
  await said(tally, "AT-1");
  for (const [state, ...kids] of [
    ["AT", "AT-1"],
    ["LU", "LU-1", "LU-2"],
  ] as [string, ...string[]][])
    await said({ type: "polls", ...say.common(state), polls: "closed" }, ...kids);
  const SCRUTIN_INGEST_URL = urls.ingest;
  const rest = await Promise.all([start("tabulate", { SCRUTIN_INGEST_URL }), start("recount"), start("release")]);
  [urls.tabulate, urls.recount, urls.release] = rest.map(({ url }) => url) as [string, string, string];
  urls.watch = (await start("watch", { SCRUTIN_SERVICES: JSON.stringify(urls) })).url;
  const size = (await query<{ size: number }>("select size::int from ledger.head"))[0]?.size;
  await eventually(async () => (await query("select from recount.answer where size = $1", [size])).length > 0);
  await eventually(async () => (await query("select from recount.cosignature")).length === 0);
  const hash = createHash("sha256")
    .update(signSample(sample, tally, "AT-1"))
    .digest("hex");
  const nobody = createHash("sha256").update("nothing").digest("hex");
  results = [
    ["/v1/releases/1", "/v1/releases/999"],
    ["/v1/releases/latest", "/v1/releases/nothing"],
    ["/v1/releases/1.csv", "/v1/releases/999.csv"],
    ["/v1/releases/latest/signatures", "/v1/releases/999/signatures"],
    ["/v1/releases/1/files", "/v1/releases/999/files"],
    ["/v1/releases/1/files/sheets/eu.json", "/v1/releases/1/files/sheets/nothing.json"],
    ["/v1/releases/1/states/AT", "/v1/releases/1/states/XX"],
    ["/v1/releases/latest/states/AT/constituencies/AT", "/v1/releases/latest/states/AT/constituencies/XX"],
    ["/v1/releases/1/changes?since=0", "/v1/releases/999/changes?since=998"],
    ["/v1/releases/latest/files/release.csv.jws", "/v1/releases/999/files/release.csv.jws"],
    [`/statements/${hash}`, `/statements/${nobody}`],
    [`/statements/${hash}/inclusion`, `/statements/${nobody}/inclusion`],
    ["/log/judgements/0", "/log/judgements/999"],
  ];
  refusal = await ask(urls.release, "GET", "/v1/releases");
  onlyRead = await ask(urls.release, "POST", "/v1/releases", [], "{}");
});
afterAll(() => harness?.close());

const lines = ({ status, head }: Raw) => [String(status), ...head].join("\n");
/** No figure in it, and what is refused is kept by no cache and compared with nothing. */
function expectSilent(answer: Raw, about: string): void {
  expect(foundIn(answer.bytes, SOUGHT), about).toEqual([]);
  if (answer.status < 400) return;
  expect(
    answer.head.filter((line) => VALIDATOR.test(line)),
    about,
  ).toEqual([]);
  expect(
    answer.head.map((line) => line.toLowerCase()),
    about,
  ).toContain("cache-control: no-store");
}

describe("while a hold keeps a counted night shut", () => {
  it("has one refusal", () => {
    expect(refusal.status).toBe(403);
    expect(JSON.parse(refusal.body.toString("utf8"))).toMatchObject({ code: "embargo.in-force" });
    expect(refusal.bytes.toString("latin1")).toMatch(/\r\nretry-after: [1-5]\r\n/i);
    expectSilent(refusal, "the refusal");
    expect(onlyRead.status).toBe(405);
    expectSilent(onlyRead, "the other refusal");
  });

  it("gives it to every method, at every path that has results or could", async () => {
    const paths = ["/v1/releases", ...results.flat()];
    await askAll(
      METHODS.flatMap((method) => paths.map((path) => [method, path] as const)),
      async ([method, path]) => {
        const answer = await ask(urls.release, method, path, [], method === "POST" ? "{}" : "");
        expectSilent(answer, `${method} ${path}`);
        const { status, body } = answer;
        if (method === "TRACE") expect(status, `TRACE ${path}`).toBeGreaterThanOrEqual(400);
        else if (method === "HEAD") expect([status, body.length], `HEAD ${path}`).toEqual([403, 0]);
        else {
          const same = method === "GET" || method === "OPTIONS" ? refusal : onlyRead;
          expect(`${lines(answer)}\n\n${body}`, `${method} ${path}`).toBe(`${lines(same)}\n\n${same.body}`);
        }
      },
    );
  });

  it("gives it whatever the headers ask", async () => {
    const paths = ["/v1/releases", ...results.map(([there]) => there)];
    await askAll(
      HEADERS.flatMap((headers) => paths.map((path) => [headers, path] as const)),
      async ([headers, path]) => {
        const answer = await ask(urls.release, "GET", path, headers);
        const about = `${path} with ${headers.join(", ")}`;
        expect(`${lines(answer)}\n\n${answer.body}`, about).toBe(`${lines(refusal)}\n\n${refusal.body}`);
      },
    );
  });

  it("tells by no spelling of a path whether there is something", async () => {
    const spelt = results.flatMap((pair) => SPELLINGS.map((spell) => pair.map((path) => spell(path, urls.release))));
    let refused = 0;
    await askAll(spelt, async ([there = "", nothing = ""]) => {
      const about = there.slice(0, 120);
      const [one, other] = [await ask(urls.release, "GET", there), await ask(urls.release, "GET", nothing)];
      expectSilent(one, about);
      expect(one.status === 0 || one.status >= 400, `${about}: ${one.status}`).toBe(true);
      expect(`${lines(one)}\n\n${one.body}`, about).toBe(`${lines(other)}\n\n${other.body}`);
      if (one.status === 403) refused++;
      if (one.status === 403) expect(one.body.toString(), about).toBe(refusal.body.toString());
    });
    expect(refused).toBeGreaterThan(50);
  });

  it("opens no tunnel", async () => {
    for (const service of SERVICES)
      for (const target of ["127.0.0.1:5432", new URL(urls.release).host, "/v1/releases/1"]) {
        const answer = await ask(urls[service], "CONNECT", target);
        expect([service, target, answer.status < 200 || answer.status >= 300]).toEqual([service, target, true]);
        expectSilent(answer.status === 0 ? refusal : answer, `${service} CONNECT ${target}`);
      }
  });

  it.each(SERVICES)("tells no figure at the door of %s, whatever is asked", async (service) => {
    const own = [
      "/",
      "/healthz",
      "/readyz",
      "/metrics",
      "/v1/codes",
      "/v1/status",
      "/v1/statements",
      "/v1/definition",
      "/checkpoint",
    ];
    const paths = [...own, ...results.map(([there]) => there), "/v1/results", "/debug", "/.env", "/log", "/tile/0/000"];
    const asked: [string, string, string[]][] = [
      ...paths.flatMap((path) => METHODS.map((method): [string, string, string[]] => [method, path, []])),
      ...own.flatMap((path) => HEADERS.map((headers): [string, string, string[]] => ["GET", path, headers])),
      ...own
        .slice(1)
        .flatMap((path) =>
          SPELLINGS.map((spell): [string, string, string[]] => ["GET", spell(path, urls[service]), []]),
        ),
    ];
    let answered = 0;
    await askAll(asked, async ([method, path, headers]) => {
      const answer = await ask(urls[service], method, path, headers);
      if (answer.status === 0) return;
      answered++;
      expectSilent(answer, `${service}: ${method} ${path.slice(0, 120)} ${headers.join(", ")}`);
    });
    expect(answered).toBeGreaterThan(asked.length / 2);
  });

  it("finds the figures as soon as trustees let go", async () => {
    const answer = await post(harness, urls.ingest, decide("resume"), "trustee-1", "trustee-2");
    expect(answer).toMatchObject({ verdict: "accepted" });
    let open = refusal;
    await eventually(async () => {
      open = await ask(urls.release, "GET", "/v1/releases/1");
      return open.status === 200;
    });
    expect(foundIn(open.bytes, SOUGHT)).toContain(String(VOTES.AT01));
    expect(open.head.some((line) => VALIDATOR.test(line))).toBe(true);
  });
});
