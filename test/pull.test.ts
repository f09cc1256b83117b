import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Served, serve } from "../shared/platform/http.ts";
import { createHeardLog } from "../shared/platform/log-fixture.ts";
import { type Harness, startHarness } from "./harness.ts";
import { type OpenedWorld, openOpenedWorld } from "./opened.ts";
import { filesIn, freshFolder, type Pulled, removeFolder, runPull, startCutter, startTamperer } from "./pull-run.ts";

/** Pulling what is released, from the publication endpoint on a real database: whatever is cut off or changed on the way. */

let harness: Harness;
let world: OpenedWorld;
let served: Served;
/** What an undisturbed run makes of releases 1 and 2. */
let whole: Map<string, string>;
const folders: string[] = [];

async function folder(): Promise<string> {
  const made = await freshFolder();
  folders.push(made);
  return made;
}

beforeAll(async () => {
  harness = await startHarness();
  world = await openOpenedWorld(harness);
  served = await serve(world.app, { host: "127.0.0.1", port: 0, log: createHeardLog().log });
  await world.log.append(world.say.tally("AT-1"));
  await world.lift();
  for (let n = 0; n < 2; n++) await world.announce(await world.release());
  const { result, folder: out } = await runPull(harness.sample, served.url, await folder());
  expect(result).toBe("holds");
  whole = await filesIn(out);
}, 60_000);
afterAll(async () => {
  await served?.close();
  await world?.close();
  await harness?.close();
  for (const made of folders) await removeFolder(made);
});

const OF_RELEASE = ["json", "proof", "signatures.json", "statement"];
const refusals = ({ said }: Pulled) => said.flatMap((what) => (what.event === "refused" ? [what] : []));

describe("pull", () => {
  it("writes every release with what vouches for it", () => {
    const ofReleases = [1, 2].flatMap((n) => OF_RELEASE.map((what) => `release-${n}.${what}`));
    expect([...whole.keys()]).toEqual(["definition.json", "definition.signatures.json", ...ofReleases]);
  });

  it("goes on from the folder, and fetches nothing again that is there", async () => {
    const asked: string[] = [];
    const between = await startTamperer(served.url, (path, body) => {
      asked.push(path);
      return body;
    });
    const out = await folder();
    await runPull(harness.sample, between.url, out);
    asked.length = 0;
    const { said } = await runPull(harness.sample, between.url, out);
    await between.close();
    expect(said).toContainEqual({ event: "resumed", releases: 2 });
    expect(asked.filter((path) => path.startsWith("/v1/releases/"))).toEqual([]);
    expect(await filesIn(out)).toEqual(whole);
  });

  it.each(OF_RELEASE.map((what) => `release-1.${what}`))("fetches %s again when it was damaged", async (name) => {
    const out = await folder();
    await runPull(harness.sample, served.url, out);
    await writeFile(join(out, name), "{}");
    const { result } = await runPull(harness.sample, served.url, out);
    expect(result).toBe("holds");
    expect(await filesIn(out)).toEqual(whole);
  });

  it("says which files there are to whoever asks for another", async () => {
    const makeFiles = () => ["release.csv", "sheets/eu.json"].map((name) => ({ name, text: () => name }));
    const io = { makeFiles, patienceMs: 200 };
    const formats = ["nothing"];
    await expect(runPull(harness.sample, served.url, await folder(), { formats }, io)).rejects.toThrow(
      "--formats: no file is called nothing. There are release.csv, sheets/eu.json.",
    );
  });

  it("refuses a folder that is of another definition, and a key that is not the Parliament's", async () => {
    const out = await folder();
    await writeFile(join(out, "definition.json"), "{}");
    await expect(runPull(harness.sample, served.url, out)).rejects.toThrow("another definition");
    const key = harness.sample.keys.get("AT-1");
    const signer = { kid: "AT-1", privateKey: key!.privateKey, publicKey: key!.jwk.x };
    await expect(runPull(harness.sample, served.url, await folder(), { signer })).rejects.toThrow(
      "AT-1 is no key of the Parliament",
    );
  });
});

describe("a connection that is cut", () => {
  /** Within the status line, the headers, a body of each size; and never. */
  const cut = fc.oneof(fc.nat(20), fc.nat(500), fc.nat(2_000), fc.nat(60_000));

  it("at any byte, again and again, changes nothing", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(cut, { minLength: 1, maxLength: 12 }), async (cuts) => {
        const left = [...cuts];
        const between = await startCutter(served.url, () => left.shift());
        const out = await folder();
        try {
          const { result } = await runPull(harness.sample, between.url, out);
          expect(result).toBe("holds");
          expect(await filesIn(out)).toEqual(whole);
        } finally {
          await between.close();
        }
      }),
      { numRuns: 12 },
    );
  }, 60_000);

  it("for good leaves whole files, and the next run goes on from them", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 14 }), fc.nat(4_000), async (requests, bytes) => {
        const ending = new AbortController();
        let asked = 0;
        const between = await startTamperer(served.url, (_, body) => {
          if (++asked < requests) return body;
          ending.abort();
          return body.subarray(0, bytes);
        });
        const out = await folder();
        try {
          await runPull(harness.sample, between.url, out, {}, { signal: ending.signal }).catch((error: Error) => {
            expect(error.name).toBe("AbortError");
          });
        } finally {
          await between.close();
        }
        for (const [name, bytes] of await filesIn(out))
          if (!name.endsWith(".part")) expect([name, bytes]).toEqual([name, whole.get(name)]);
        expect((await runPull(harness.sample, served.url, out)).result).toBe("holds");
        expect(await filesIn(out)).toEqual(whole);
      }),
      { numRuns: 12 },
    );
  }, 60_000);
});

describe("a byte that was changed on the way", () => {
  const statement = (n: number) => {
    const proof = Buffer.from(whole.get(`release-${n}.proof`) ?? "", "hex").toString("utf8");
    const entry = Buffer.from(/^extra (.*)$/m.exec(proof)?.[1] ?? "", "base64").toString("utf8");
    return `/statements/${(JSON.parse(entry) as { statement: string }).statement}`;
  };
  /** Where it is, what it is refused as, and which release goes with it. */
  const CHANGED: [path: () => string, codes: string[], release: number][] = [
    [() => "/v1/definition", ["definition.refused", "definition.untrusted"], 1],
    [() => "/v1/definition/signatures", ["definition.refused", "definition.untrusted"], 1],
    [() => "/v1/releases/1", ["release.bytes"], 1],
    [() => "/v1/releases/2", ["release.bytes"], 2],
    [() => "/v1/releases/1/signatures", ["release.signature"], 1],
    [() => "/v1/releases/2/signatures", ["release.signature"], 2],
    [() => "/v1/releases/1/proof", ["release.proof"], 1],
    [() => "/v1/releases/2/proof", ["release.proof"], 2],
    [() => statement(1), ["release.proof"], 1],
    [() => statement(2), ["release.proof"], 2],
  ];

  it.each(CHANGED)("%s is refused and named, and nothing of it is left", async (pathOf, codes, release) => {
    const path = pathOf();
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (place, change) => {
        const between = await startTamperer(served.url, (asked, body) =>
          asked === path ? flipped(body, place % body.length, change) : body,
        );
        const out = await folder();
        try {
          const pulled = await runPull(harness.sample, between.url, out, {}, { patienceMs: 0 });
          expect(pulled.result).toBe("broken");
          const [refusal, ...more] = refusals(pulled);
          expect(more).toEqual([]);
          expect(codes).toContain(refusal?.code);
          // Document and signatures of the definition contradict each other: which of the two was changed, nobody can say.
          const named = path.startsWith("/v1/definition") ? "/v1/definition" : path;
          expect(`${refusal?.path} ${refusal?.what}`).toContain(named);
          const left = await filesIn(out);
          for (const [name, bytes] of left) expect([name, bytes]).toEqual([name, whole.get(name)]);
          expect([...left.keys()].filter((name) => name.startsWith(`release-${release}.`))).toEqual([]);
        } finally {
          await between.close();
        }
      }),
      { numRuns: 6 },
    );
  });

  it("in the list is refused, or changes nothing that is written", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 255 }), async (place, change) => {
        const between = await startTamperer(served.url, (asked, body) =>
          asked === "/v1/releases" ? flipped(body, place % body.length, change) : body,
        );
        const out = await folder();
        try {
          const pulled = await runPull(harness.sample, between.url, out);
          const left = await filesIn(out);
          if (pulled.result === "holds") expect(left).toEqual(whole);
          else expect(refusals(pulled)).toHaveLength(1);
          for (const [name, bytes] of left) expect([name, bytes]).toEqual([name, whole.get(name)]);
        } finally {
          await between.close();
        }
      }),
      { numRuns: 20 },
    );
  });
});

function flipped(body: Buffer, at: number, change: number): Buffer {
  const changed = Buffer.from(body);
  changed[at] = (changed[at] as number) ^ change;
  return changed;
}
