import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PULLS_PER_ADDRESS } from "../services/release/sealed.ts";
import { type Served, serve } from "../shared/platform/http.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { writePullToken } from "../shared/platform/pull-token.ts";
import { joinShares, keyShare } from "../shared/platform/release-seal.ts";
import { decodeSealedCopy, openSealedCopy } from "../shared/platform/sealed-copy.ts";
import { vaultOf } from "../shared/platform/vault-fixture.ts";
import { type Harness, startHarness } from "./harness.ts";
import { eventually } from "./ledger.ts";
import { type OpenedWorld, openOpenedWorld } from "./opened.ts";
import {
  filesIn,
  freshFolder,
  parliamentSigner,
  removeFolder,
  runPull,
  startCutter,
  startStreamer,
  startTamperer,
} from "./pull-run.ts";

/** The next release, sealed, for the Parliament alone; and what its client makes of it when the key comes. */

let harness: Harness;
let world: OpenedWorld;
let served: Served;
const folders: string[] = [];

beforeAll(async () => {
  harness = await startHarness();
}, 60_000);
afterAll(async () => {
  await harness?.close();
  for (const made of folders) await removeFolder(made);
});
beforeEach(async () => {
  world = await openOpenedWorld(harness);
  served = await serve(world.app, { host: "127.0.0.1", port: 0, log: createHeardLog().log });
  await world.log.append(world.say.tally("AT-1"));
});
afterEach(async () => {
  await served.close();
  await world.close();
});

async function folder(): Promise<string> {
  const made = await freshFolder();
  folders.push(made);
  return made;
}

const LATEST = "/v1/sealed/latest";

function bearer(): Record<string, string> {
  const { sample } = harness;
  const terms = {
    definition: sample.hash,
    issuedMs: world.now,
    expiresMs: world.now + 60_000,
    nonce: Buffer.alloc(16),
  };
  return { authorization: `Bearer ${writePullToken(parliamentSigner(sample), terms)}` };
}
const ask = (path: string, init: RequestInit = {}) =>
  world.ask(path, { ...init, headers: { ...bearer(), ...init.headers } });
const copyOf = async (answer: Response) => decodeSealedCopy(new Uint8Array(await answer.arrayBuffer()));

describe("the sealed release", () => {
  it("is there before the lift, and opens with the key of its number and size alone", async () => {
    expect((await ask(LATEST)).status).toBe(503);
    await world.look();
    expect((await ask(LATEST)).status).toBe(404);
    const made = await world.seal();
    const answer = await ask(LATEST);
    expect(answer.status).toBe(200);
    expect(answer.headers.get("cache-control")).toBe("private, no-cache");
    expect(answer.headers.get("content-location")).toBe(`/v1/sealed/1/${made.size}`);
    const copy = await copyOf(answer);
    const vault = vaultOf(harness.sample);
    const key = joinShares(keyShare(vault, "tabulate", made), keyShare(vault, "recount", made));
    expect(openSealedCopy(copy!, key).bytes).toEqual(Buffer.from(made.bytes));
    expect(await copyOf(await ask(`/v1/sealed/1/${made.size}`))).toEqual(copy);
    expect((await ask(`/v1/sealed/1/${made.size + 1}`)).status).toBe(404);
    expect(await world.codeOf("/v1/releases/1")).toEqual([403, "embargo.in-force"]);
  });

  it("is shown to nobody else, and nobody else learns whether there is one", async () => {
    const paths = [LATEST, "/v1/sealed/1/2", "/v1/sealed/9/9", "/v1/sealed/nothing", "/v1/sealed/1/2/3"];
    const answers = async () => {
      const seen = [];
      for (const path of paths)
        for (const method of ["GET", "HEAD"])
          for (const headers of [{}, { authorization: "Bearer x" }, { range: "bytes=0-1" }, { "if-none-match": "*" }]) {
            world.now += 1_000;
            const answer = await world.ask(path, { method, headers: headers as Record<string, string> });
            expect(answer.status).toBe(401);
            expect(answer.headers.get("www-authenticate")).toBe('Bearer realm="sealed"');
            expect(answer.headers.get("cache-control")).toBe("no-store");
            seen.push([...answer.headers].join(), await answer.text());
          }
      return seen;
    };
    const before = await answers();
    await world.seal();
    expect(await answers()).toEqual(before);
  });

  it("is as long, under the same headers, whatever was counted and whether both counts agree", async () => {
    const shape = async () => {
      const answer = await ask(LATEST);
      const { etag, ...headers } = Object.fromEntries(answer.headers);
      expect(etag).toMatch(/^"[0-9a-f]{64}"$/);
      const body = Buffer.from(await answer.arrayBuffer());
      return { headers, length: body.length, header: body.subarray(0, 40).toString("hex") };
    };
    const seals: Parameters<OpenedWorld["seal"]>[0][] = [
      {},
      { answer: { agrees: false, differs: "states[0].constituencies[0].votes.AT01" } },
      { says: { union: { votes: 2 ** 50 } as never } },
    ];
    const shapes: unknown[] = [];
    const mine = world;
    try {
      for (const twist of seals) {
        world = await openOpenedWorld(harness);
        await world.log.append(world.say.tally("AT-1"));
        await world.seal(twist);
        shapes.push(await shape());
        await world.close();
      }
    } finally {
      world = mine;
    }
    expect(shapes[1]).toEqual(shapes[0]);
    expect(shapes[2]).toEqual(shapes[0]);
  });

  it("is 304 for whoever has it, and held until there is a newer one for whoever would rather wait", async () => {
    await world.seal();
    const first = await ask(LATEST);
    const tag = { "if-none-match": first.headers.get("etag") ?? "" };
    expect((await ask(LATEST, { headers: tag })).status).toBe(304);
    let answered = false;
    const waiting = ask(LATEST, { headers: { ...tag, prefer: "wait=20" } }).then((answer) => {
      answered = true;
      return answer;
    });
    await world.look();
    expect(answered).toBe(false);
    await world.log.append(world.say.tally("AT-2"));
    await world.seal();
    const newer = await waiting;
    expect(newer.status).toBe(200);
    expect(newer.headers.get("preference-applied")).toBe("wait");
    expect((await copyOf(newer))?.size).toBe(3);
  });

  it("is asked for so often and no more", async () => {
    await world.seal();
    const statuses = [];
    for (let n = 0; n <= PULLS_PER_ADDRESS.burst; n++) statuses.push((await ask(LATEST, { method: "HEAD" })).status);
    expect(statuses.slice(0, -1).every((status) => status === 200)).toBe(true);
    expect(statuses.at(-1)).toBe(429);
  });
});

describe("pull with the Parliament's key", () => {
  /** A run that goes on, and a way to wait for what it says. */
  async function following(url: string) {
    const ending = new AbortController();
    const out = await folder();
    const heard: { event: string }[] = [];
    let wake = () => undefined as unknown;
    const run = runPull(
      harness.sample,
      url,
      out,
      { once: false, signer: parliamentSigner(harness.sample) },
      {
        signal: ending.signal,
        now: () => world.now,
        say: (said) => {
          heard.push(said);
          wake();
        },
      },
    );
    run.catch(() => wake());
    return {
      out,
      run,
      async heard(event: string, count = 1) {
        while (heard.filter((said) => said.event === event).length < count)
          await Promise.race([new Promise<void>((resolve) => (wake = () => resolve())), run]);
        return heard.filter((said) => said.event === event);
      },
      async end() {
        ending.abort();
        await expect(run).rejects.toThrow(/abort/i);
      },
    };
  }

  it("holds it ahead and opens it when the key is there, byte for byte the release, with nothing else fetched", async () => {
    const asked: string[] = [];
    const between = await startTamperer(served.url, (path, body) => {
      asked.push(path);
      return body;
    });
    const made = await world.seal();
    const client = await following(between.url);
    await client.heard("sealed");
    expect([...(await filesIn(client.out)).keys()]).toContain("sealed.bin");
    await world.lift();
    await world.release();
    expect(await client.heard("release")).toMatchObject([{ number: 1, sha256: made.sha256, how: "opened" }]);
    await world.announce(made);
    await client.heard("settled");
    await client.end();
    await between.close();
    expect(asked.filter((path) => path === "/v1/releases/1" || path === "/v1/releases/1/signatures")).toEqual([]);
    const opened = await filesIn(client.out);
    const plain = await runPull(harness.sample, served.url, await folder());
    expect(plain.said).toContainEqual(expect.objectContaining({ event: "release", how: "fetched" }));
    expect(opened).toEqual(await filesIn(plain.folder));
  });

  it("opens what the stream announces, without asking; and asks for what the stream has left out", async () => {
    const streamer = await startStreamer(served.url);
    const listed = async (number: number) => {
      const { releases } = (await (await world.ask("/v1/releases")).json()) as { releases: { sha256: string }[] };
      const previous = releases[number - 2]?.sha256 ?? null;
      return `event: release\nid: ${number}\ndata: ${JSON.stringify({ ...releases[number - 1], previous })}\n\n`;
    };
    await world.seal();
    const client = await following(streamer.url);
    await client.heard("sealed");
    await client.heard("embargo");
    await eventually(() => streamer.listeners.size === 1);
    await world.lift();
    await world.announce(await world.release());
    const text = await listed(1);
    const sentAt = performance.now();
    for (const piece of [text.slice(0, 30), text.slice(30)]) streamer.send(piece);
    expect(await client.heard("release")).toMatchObject([{ number: 1, how: "opened" }]);
    expect(performance.now() - sentAt).toBeLessThan(1_000);
    // The second is not announced, and the third names it as the one before.
    await world.announce(await world.release());
    await world.announce(await world.release());
    streamer.send((await listed(3)).slice(0, 40));
    streamer.cut();
    await eventually(() => streamer.listeners.size === 1);
    streamer.send(await listed(3));
    expect(await client.heard("release", 3)).toMatchObject([{ number: 1 }, { number: 2 }, { number: 3 }]);
    await client.heard("settled", 3);
    await client.end();
    expect(streamer.since[0]).toBe("0");
    expect(streamer.since[1]).toBe("1");
    await streamer.close();
    const plain = await runPull(harness.sample, served.url, await folder());
    expect(await filesIn(client.out)).toEqual(await filesIn(plain.folder));
  });

  it("opens it whatever was cut off on the way", async () => {
    const sizes = fc.sample(fc.oneof(fc.nat(400), fc.nat(150_000)), 12);
    const between = await startCutter(served.url, () => sizes.shift());
    const made = await world.seal();
    const client = await following(between.url);
    await client.heard("sealed");
    await world.lift();
    await world.release();
    expect(await client.heard("release")).toMatchObject([{ number: 1, sha256: made.sha256, how: "opened" }]);
    await client.end();
    await between.close();
  });

  it.each<[string, number, boolean]>([
    ["its header", 3, true],
    ["its header, and has no ETag", 3, false],
    ["its size", 31, true],
    ["what tabulate sealed", 5_000, true],
    ["what tabulate sealed, and has no ETag", 5_000, false],
    ["what recount sealed, and has no ETag", 133_000, false],
  ])(
    "refuses and names one that was changed in %s, and takes the release as everyone does",
    async (_, at, keepTags) => {
      const change = (path: string, body: Buffer) => {
        const changed = Buffer.from(body);
        if (path === LATEST) changed[at] = (changed[at] as number) ^ 1;
        return changed;
      };
      const between = await startTamperer(served.url, change, { keepTags });
      await world.seal();
      await world.lift();
      await world.announce(await world.release());
      const signer = parliamentSigner(harness.sample);
      const pulled = await runPull(harness.sample, between.url, await folder(), { signer }, { now: () => world.now });
      await between.close();
      expect(pulled.result).toBe("broken");
      const refused = pulled.said.filter(({ event }) => event === "refused");
      expect(refused).toMatchObject([{ code: "sealed.differs", path: LATEST }]);
      const plain = await runPull(harness.sample, served.url, await folder());
      expect(await filesIn(pulled.folder)).toEqual(await filesIn(plain.folder));
    },
  );

  it("says that its token is not taken, and goes on without", async () => {
    await world.seal();
    await world.lift();
    await world.announce(await world.release());
    const signer = parliamentSigner(harness.sample);
    const wrong = { now: () => world.now - 3_600_000 };
    const { result, said } = await runPull(harness.sample, served.url, await folder(), { signer }, wrong);
    expect(said).toContainEqual({ event: "unauthorized" });
    expect(result).toBe("holds");
  });
});
