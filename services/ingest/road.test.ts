import { createHash } from "node:crypto";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Child } from "../../infra/stack/processes.ts";
import { sampleCommon, sampleTally, signSample } from "../../shared/definition/sample.ts";
import { STREAMS } from "../../shared/platform/nats.ts";
import { type Harness, startHarness } from "../../test/harness.ts";
import { eventually } from "../../test/ledger.ts";

/** The road from the door to the receipt, when a part of it is away, slow, full, or killed. */

let harness: Harness;
let sequence = 0;

interface Posted {
  status: number;
  body: { code?: string; verdict?: string; receipt?: string; ask?: string; status?: string; index?: number };
  retryAfter: number;
  sha256: string;
}

/** Posts from an address of its own on loopback. */
function post(
  url: string,
  bytes: Uint8Array,
  headers: Record<string, string> = {},
  from = "127.0.0.1",
): Promise<Posted> {
  return new Promise((resolve, reject) => {
    const options = {
      method: "POST",
      localAddress: from,
      headers: { "content-type": "application/jose", "content-length": bytes.length, ...headers },
    };
    const sent = request(`${url}/v1/statements`, options, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () =>
        resolve({
          status: response.statusCode ?? 0,
          body: JSON.parse(text),
          retryAfter: Number(response.headers["retry-after"]),
          sha256: createHash("sha256").update(bytes).digest("hex"),
        }),
      );
    });
    sent.on("error", reject);
    sent.end(bytes);
  });
}

function tally(kid = "AT-1"): Uint8Array {
  const common = sampleCommon(harness.sample, "AT", ++sequence);
  return signSample(
    harness.sample,
    { type: "tally", ...common, tallies: [sampleTally("AT-1", { version: sequence })] },
    kid,
  );
}

const entries = async () =>
  (await harness.query<{ count: number }>("select count(*)::int as count from ledger.entry where index > 0"))[0]?.count;

describe("with the ledger away", () => {
  let ingest: Child;
  beforeAll(async () => {
    harness = await startHarness();
    ingest = await harness.start("ingest");
  });
  afterAll(() => harness.close());

  it("a statement is received, and its receipt follows when the ledger is back", async () => {
    const [one, two] = [tally(), tally()];
    const start = performance.now();
    const answer = await post(ingest.url, one, { prefer: "wait=1" });
    expect(performance.now() - start).toBeGreaterThan(900);
    expect([answer.status, answer.body.status]).toEqual([202, "received"]);
    const unasked = await post(ingest.url, two, { prefer: "wait=0" });
    expect(unasked.status).toBe(202);
    const asked = await fetch(`${ingest.url}${unasked.body.ask}`);
    expect([asked.status, ((await asked.json()) as { code: string }).code]).toEqual([503, "service.unavailable"]);

    const waiting = post(ingest.url, two, { prefer: "wait=30" });
    const ledger = await harness.start("ledger");
    expect((await waiting).body.verdict).toBe("accepted");
    const again = await post(ingest.url, one);
    expect([again.status, again.body.verdict]).toEqual([201, "accepted"]);
    const known = await fetch(`${ingest.url}${answer.body.ask}`);
    expect(await known.json()).toEqual({ statement: answer.sha256, index: again.body.index });
    await ledger.stop();
  });

  it("a full stream answers 503 with Retry-After, and drops nothing", async () => {
    const nc = await harness.nats("stack");
    const { streams } = await nc.jetstreamManager();
    const held = (await streams.info(STREAMS.statements)).state.messages;
    await streams.update(STREAMS.statements, { max_bytes: 1_000 });
    const answer = await post(ingest.url, tally());
    expect([answer.status, answer.body.code]).toEqual([503, "service.unavailable"]);
    expect(answer.retryAfter).toBeGreaterThan(0);
    expect((await streams.info(STREAMS.statements)).state.messages).toBe(held);
    await streams.update(STREAMS.statements, { max_bytes: 1 << 30 });
    expect((await post(ingest.url, tally(), { prefer: "wait=0" })).status).toBe(202);
  });

  it("without the stream it answers 503", async () => {
    const nc = await harness.nats("stack");
    const { streams } = await nc.jetstreamManager();
    await streams.delete(STREAMS.statements);
    const answer = await post(ingest.url, tally());
    expect([answer.status, answer.body.code]).toEqual([503, "service.unavailable"]);
  });
});

describe("when a service is killed", () => {
  let ingest: Child;
  let ledger: Child;
  beforeAll(async () => {
    harness = await startHarness();
    [ingest, ledger] = await Promise.all([harness.start("ingest"), harness.start("ledger")]);
  });
  afterAll(() => harness.close());

  /** Sends each until it has a receipt, as an office does. */
  async function deliver(bytes: Uint8Array): Promise<Posted> {
    for (let attempt = 0; attempt < 100; attempt++) {
      const answer = await post(ingest.url, bytes, { prefer: "wait=2" }).catch(() => undefined);
      if (answer?.status === 201) return answer;
      if (answer !== undefined && answer.status !== 202 && answer.status < 500)
        throw new Error(JSON.stringify(answer.body));
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error("no receipt");
  }

  it.each(["ledger", "ingest"] as const)(
    "%s: every statement is in the log once, and gets its receipt",
    async (name) => {
      const before = (await entries()) ?? 0;
      const killed = name === "ledger" ? ledger : ingest;
      const statements = Array.from({ length: 120 }, () => tally());
      let done = 0;
      const all = Promise.all(
        statements.map(async (bytes, n) => {
          await eventually(() => done >= n - 24);
          const answer = await deliver(bytes);
          done++;
          return answer;
        }),
      );
      await eventually(() => done > 30);
      const { restarts } = killed;
      killed.kill("SIGKILL");
      const answers = await all;
      expect(restarts()).toBeGreaterThan(0);
      expect(new Set(answers.map(({ body }) => body.index)).size).toBe(120);
      expect(await entries()).toBe(before + 120);
      const again = await Promise.all(statements.slice(0, 20).map((bytes) => deliver(bytes)));
      expect(again.map(({ body }) => body.receipt)).toEqual(answers.slice(0, 20).map(({ body }) => body.receipt));
      expect(await entries()).toBe(before + 120);
    },
  );

  it("a stop lets requests in flight have their receipts", async () => {
    const waiting = async () => {
      const metrics = await (await fetch(`${ingest.url}/metrics`)).text();
      return Number(/^scrutin_ingest_waiting\{[^}]*\} (\d+)$/m.exec(metrics)?.[1]);
    };
    // The ledger holds its breath: all of them are between the door and their receipts.
    ledger.kill("SIGSTOP");
    const posted = Array.from({ length: 20 }, () => post(ingest.url, tally(), { prefer: "wait=30" }));
    await eventually(async () => (await waiting()) === 20);
    const stopped = ingest.stop();
    ledger.kill("SIGCONT");
    const answers = await Promise.all(posted);
    await stopped;
    expect(answers.map(({ status }) => status)).toEqual(Array(20).fill(201));
  });
});

describe("a flood", () => {
  let ingest: Child;
  beforeAll(async () => {
    harness = await startHarness();
    [ingest] = await Promise.all([
      harness.start("ingest", { INGEST_RATE_ADDRESS: "1/30", INGEST_RATE_CLAIM: "1/10", INGEST_RATE_KEY: "1/5" }),
      harness.start("ledger"),
    ]);
  });
  afterAll(() => harness.close());

  it("under an office's key id from another address leaves the office its whole share", async () => {
    const good = Buffer.from(tally()).toString("ascii").split(".");
    const forged = Buffer.from(`${good[0]}.${good[1]}.${Buffer.alloc(64, 7).toString("base64url")}`);
    const flood = await Promise.all(Array.from({ length: 25 }, () => post(ingest.url, forged, {}, "127.0.0.66")));
    expect(flood.filter(({ status }) => status === 401)).toHaveLength(10);
    const limited = flood.filter(({ status }) => status === 429);
    expect(limited).toHaveLength(15);
    expect(limited.every(({ body, retryAfter }) => body.code === "rate.exceeded" && retryAfter > 0)).toBe(true);
    for (let n = 0; n < 5; n++) expect((await post(ingest.url, tally(), {}, "127.0.0.2")).status).toBe(201);
    // Its share grows by one a second: of many at once some are too many.
    const more = await Promise.all(Array.from({ length: 15 }, () => post(ingest.url, tally(), {}, "127.0.0.3")));
    expect(more.map(({ status }) => status)).toContain(429);
  });

  it("from one address is cut before anything is read", async () => {
    const junk = Buffer.from("junk");
    const flood = await Promise.all(Array.from({ length: 40 }, () => post(ingest.url, junk, {}, "127.0.0.77")));
    expect(flood.filter(({ status }) => status === 400)).toHaveLength(30);
    expect(flood.filter(({ status }) => status === 429)).toHaveLength(10);
  });
});
