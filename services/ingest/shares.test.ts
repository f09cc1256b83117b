import type { Hono } from "hono";
import { describe, expect, it } from "vitest";
import { sampleCommon, sampleDefinition, sampleTally, signSample } from "../../shared/definition/sample.ts";
import { createKeyBook } from "../../shared/ledger/keys.ts";
import { createBuckets, createRoom, type Rate } from "../../shared/platform/bounds.ts";
import type { Env } from "../../shared/platform/http.ts";
import { createHeardLog } from "../../shared/platform/log-fixture.ts";
import { createMetrics } from "../../shared/platform/metrics.ts";
import { MAX_STATEMENT_BYTES } from "../../shared/statement/jws.ts";
import { createAlarms } from "./alarms.ts";
import { buildApp, type IngestDeps } from "./app.ts";
import type { Bus } from "./bus.ts";
import { createRecent } from "./limits.ts";

/**
 * What one sender may use of the door, whether it sends or asks; what it holds comes back whatever became of it. Without a socket
 * all requests come from one address.
 */

const sample = sampleDefinition();
const tally = (sequence: number, kid = "AT-1") =>
  signSample(sample, { type: "tally", ...sampleCommon(sample, "AT", sequence), tallies: [sampleTally()] }, kid);
const PLENTY: Rate = { perSecond: 1, burst: 1_000 };

/** `carry` never sees a receipt: that is for the tests of the road. */
function doorWith(changes: { addresses?: Rate; claims?: Rate; bytes?: [number, number]; carry?: Bus["carry"] } = {}) {
  const room = createRoom(...(changes.bytes ?? [64 * MAX_STATEMENT_BYTES, 64 * MAX_STATEMENT_BYTES]));
  const deps: IngestDeps = {
    log: createHeardLog().log,
    metrics: createMetrics("ingest"),
    definition: sample.definition,
    addresses: createBuckets(changes.addresses ?? PLENTY),
    room,
    door: {
      signers: createKeyBook(sample.definition),
      signaturesRequired: (state) => sample.register.state(state)?.signaturesRequired ?? 1,
      charged: createRecent(),
      claims: createBuckets(changes.claims ?? PLENTY),
      keys: createBuckets(PLENTY),
      verifying: createRoom(512, 512),
      now: () => 0,
      alarms: createAlarms(
        () => undefined,
        () => 0,
      ),
    },
    bus: {
      carry: changes.carry ?? (async () => undefined),
      recall: async () => undefined,
      find: async () => 7,
      well: async () => true,
      waiting: () => 0,
    },
  };
  return { app: buildApp(deps), room };
}

async function send(app: Hono<Env>, body: Uint8Array) {
  const request = new Request("http://door/v1/statements", {
    method: "POST",
    headers: { "content-type": "application/jose", "content-length": String(body.length) },
    body: Buffer.from(body),
  });
  return codeOf(await app.fetch(request));
}
const ask = async (app: Hono<Env>) => codeOf(await app.request(`/v1/statements/${"0".repeat(64)}`));
const codeOf = async (response: Response) =>
  response.ok ? String(response.status) : ((await response.json()) as { code: string }).code;

describe("an address", () => {
  it("has one share of requests, sent or asked", async () => {
    const { app } = doorWith({ addresses: { perSecond: 1, burst: 3 } });
    expect(await send(app, tally(1))).toBe("202");
    expect(await ask(app)).toBe("200");
    expect(await ask(app)).toBe("200");
    expect(await ask(app)).toBe("rate.exceeded");
    expect(await send(app, tally(2))).toBe("rate.exceeded");
  });

  it("has a share for each key that it claims: one key's traffic leaves the other's alone", async () => {
    const { app } = doorWith({ claims: { perSecond: 1, burst: 2 } });
    for (const n of [1, 2]) expect(await send(app, tally(n))).toBe("202");
    expect(await send(app, tally(3))).toBe("rate.exceeded");
    for (const n of [1, 2]) expect(await send(app, tally(n, "AT-2"))).toBe("202");
    expect(await send(app, tally(3, "AT-2"))).toBe("rate.exceeded");
  });
});

describe("the bytes in hand", () => {
  it("are refused beyond their limit before any of them is read, and come back when the answer is given", async () => {
    let arrived = () => {};
    let answer = () => {};
    const carrying = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const answered = new Promise<undefined>((resolve) => {
      answer = () => resolve(undefined);
    });
    const body = tally(1);
    const { app, room } = doorWith({
      bytes: [2 * body.length - 1, 2 * body.length - 1],
      carry: async ({ statement }) => {
        if (statement.sequence !== 1) return undefined;
        arrived();
        return answered;
      },
    });
    const first = send(app, body);
    await carrying;
    expect(room.taken).toBe(body.length);
    expect(await send(app, tally(2))).toBe("service.busy");
    answer();
    expect(await first).toBe("202");
    expect(room.taken).toBe(0);
    expect(await send(app, tally(3))).toBe("202");
  });

  it("count when they have come: slow senders who announce a megabyte each hold no room of others", async () => {
    const { app, room } = doorWith({ bytes: [MAX_STATEMENT_BYTES, MAX_STATEMENT_BYTES] });
    const slow = Array.from({ length: 20 }, () => {
      let end = () => {};
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new Uint8Array(1).fill(65));
          end = () => controller.close();
        },
      });
      const headers = { "content-type": "application/jose", "content-length": String(MAX_STATEMENT_BYTES) };
      const init = { method: "POST", headers, body, duplex: "half" };
      return { end: () => end(), answer: app.fetch(new Request("http://door/v1/statements", init as RequestInit)) };
    });
    await expect.poll(() => room.taken).toBe(20);
    expect(await send(app, tally(1))).toBe("202");
    for (const { end } of slow) end();
    for (const { answer } of slow) expect(await codeOf(await answer)).toBe("jws.malformed");
    expect(room.taken).toBe(0);
  });

  it("are read up to the limit of one statement, and no further", async () => {
    const { app } = doorWith();
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (pulled >= 4 * MAX_STATEMENT_BYTES) return controller.close();
        const chunk = new Uint8Array(65_536).fill(65);
        pulled += chunk.length;
        controller.enqueue(chunk);
      },
    });
    const init = { method: "POST", headers: { "content-type": "application/jose" }, body, duplex: "half" };
    const response = await app.fetch(new Request("http://door/v1/statements", init as RequestInit));
    expect(await codeOf(response)).toBe("statement.too-large");
    expect(pulled).toBeLessThan(1.5 * MAX_STATEMENT_BYTES);
  });

  it.each([
    ["a refusal", Buffer.from("junk"), "jws.malformed"],
    ["one that is too large", Buffer.alloc(MAX_STATEMENT_BYTES + 1, 65), "statement.too-large"],
  ])("come back after %s", async (_, body, code) => {
    const { app, room } = doorWith();
    expect(await send(app, body)).toBe(code);
    expect(room.taken).toBe(0);
  });

  it("come back after an error of our own", async () => {
    const { app, room } = doorWith({
      carry: async () => {
        throw new Error("the bus is gone");
      },
    });
    await send(app, tally(1));
    expect(room.taken).toBe(0);
  });
});
