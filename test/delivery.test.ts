import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../infra/stack/processes.ts";
import { makeRelease } from "../services/release/fixture.ts";
import type { Status } from "../services/watch/status.ts";
import { systemClock } from "../shared/platform/clock.ts";
import { writePullToken } from "../shared/platform/pull-token.ts";
import type { Statement } from "../shared/statement/types.ts";
import { type Harness, startHarness, watchHeaders } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { openWrittenLog, speakers, type WrittenLog } from "./written-log.ts";

/** What is shown is read back by another process than the one that shows it, by a way that a stranger would go. */

let harness: Harness;
let log: WrittenLog;
let say: ReturnType<typeof speakers>;
let release: Child;
let watch: Child;
let between: Server;
/** What becomes of the endpoint's body on its way; null: it never comes. */
let twist: ((body: string) => string) | null = (body) => body;

const statusOf = async () =>
  (await (await fetch(`${watch.url}/v1/status`, { headers: watchHeaders })).json()) as Status;
const delivery = async () => (await statusOf()).delivery;
const ill = async () => (await statusOf()).ill.join("; ");
const until = (state: string) => eventually(async () => (await delivery()).state === state);

const HOLDS: Record<string, string> = {};
const INSERT_SHARE = "insert into release.key_share (number, size, given_by, share) values ($1, $2, $3, $4)";

/** Makes release `number` of the log as it stands and announces it in the log; the key is given if `given`. */
async function publish(number: number, previous: string | null, given = true): Promise<string> {
  const size = log.size();
  const [checkpoint] = await harness.query<{ root: Buffer }>("select root from ledger.checkpoint where size = $1", [
    size,
  ]);
  const root = checkpoint?.root.toString("base64") ?? "";
  const made = await makeRelease(harness.sample, { number, size }, previous, { checkpoint: { root } });
  await harness.query("insert into tabulate.candidate (number, size, sealed) values ($1, $2, $3)", [
    number,
    size,
    made.candidate,
  ]);
  await harness.query("insert into recount.answer (number, size, sealed) values ($1, $2, $3)", [
    number,
    size,
    made.answer,
  ]);
  const said = {
    type: "release",
    ...say.common("EU", "tabulate-1"),
    number,
    size,
    root,
    release: made.sha256,
    previous,
  };
  await log.append(say.signed({ ...said, definition: harness.sample.hash } as Statement, "tabulate-1", "recount-1"));
  if (given) {
    await harness.query(INSERT_SHARE, [number, size, "tabulate", made.tabulateShare]);
    await harness.query(INSERT_SHARE, [number, size, "recount", made.recountShare]);
  }
  HOLDS[number] = made.sha256;
  return made.sha256;
}

beforeAll(async () => {
  harness = await startHarness();
  log = await openWrittenLog(harness.databaseUrl("ledger"), harness.sample);
  say = speakers(harness.sample);
  release = await harness.start("release");
  between = createServer(async (request, response) => {
    const answer = await fetch(new URL(request.url ?? "/", release.url));
    const body = await answer.text();
    if (twist !== null) response.writeHead(answer.status, { "content-type": "application/json" }).end(twist(body));
  }).listen(0, "127.0.0.1");
  await once(between, "listening");
  watch = await harness.start("watch", {
    SCRUTIN_SERVICES: "{}",
    SCRUTIN_PUBLICATION_URL: `http://127.0.0.1:${(between.address() as AddressInfo).port}`,
  });
});
afterAll(async () => {
  between?.closeAllConnections();
  between?.close();
  await log?.close();
  await harness?.close();
});

describe("the read-back of a release", () => {
  it("has nothing to compare before the first one", async () => {
    await eventually(async () => (await delivery()).since !== null);
    expect(await delivery()).toMatchObject({ state: "nothing-yet", announced: null, shown: null, fetched: [] });
  });

  it("finds what was released", async () => {
    await log.append(say.tally(), say.closed("AT"), say.closed("LU"));
    const at = "2024-06-09T21:31:00.000Z";
    const clocks = { process: at, postgres: at, nats: at };
    const lift = { type: "lift", ...say.common("EU", "tabulate-1"), clocks, definition: harness.sample.hash };
    await log.append(say.signed(lift as Statement, "tabulate-1", "recount-1"));
    const sha256 = await publish(1, null);
    await until("equal");
    expect(await delivery()).toMatchObject({ announced: { number: 1 }, shown: { number: 1, sha256 } });
  });

  it("names a release that was changed on its way, and one that is none", async () => {
    for (const lie of [(body: string) => body.replace(/"number":1/, '"number": 1'), () => "<p>Soon</p>"]) {
      twist = lie;
      await until("differs");
      expect(await ill()).toContain("is not the one that was released");
      twist = (body) => body;
      await until("equal");
    }
  });

  it("says when the endpoint is silent", async () => {
    twist = null;
    await until("no-answer");
    expect(await ill()).toContain("the publication endpoint gives no release");
    twist = (body) => body;
    await until("equal");
  });

  it("shows what the Parliament has fetched, by the token that its client sends, and when", async () => {
    const key = harness.sample.keys.get("parliament-1");
    if (key === undefined) throw new Error("the sample has no key of the Parliament");
    const nowMs = systemClock();
    const terms = {
      definition: harness.sample.hash,
      issuedMs: nowMs,
      expiresMs: nowMs + 60_000,
      nonce: Buffer.alloc(16),
    };
    const token = writePullToken({ kid: "parliament-1", privateKey: key.privateKey }, terms);
    const stranger = `${token.slice(0, -3)}AAA`;
    for (const bearer of [stranger, token])
      expect(
        (await fetch(`${release.url}/v1/releases/latest`, { headers: { authorization: `Bearer ${bearer}` } })).status,
      ).toBe(200);
    await eventually(async () => (await delivery()).fetched.length > 0);
    expect((await delivery()).fetched).toMatchObject([{ key: "parliament-1", number: 1, equal: true }]);
    await harness.query("select release.record_delivery('parliament-1', 1, sha256('another'))");
    await eventually(async () => (await ill()).includes("parliament-1 has another release 1"));
  });

  it("says when a newer release is not shown for ten seconds", async () => {
    await log.append(say.tally("AT-2"));
    await publish(2, HOLDS[1] ?? null, false);
    await eventually(async () => (await delivery()).announced?.number === 2);
    await until("behind");
  }, 40_000);
});
