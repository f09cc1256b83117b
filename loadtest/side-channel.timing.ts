import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sampleCommon, sampleTally, signSample } from "../shared/definition/sample.ts";
import { holdNight, type Night, sideChannelSample } from "../test/side-channel-night.ts";
import { type Asked, answerHere, type Here, timeOf } from "./side-channel-here.ts";

/**
 * How long an answer takes tells nothing of what was counted. Both nights are asked in pairs, one right after the other and in random
 * order, so that whatever else the machine does slows both; the differences are tested by Wilcoxon's signed-rank test, which asks for no
 * distribution. That it can tell is shown by a difference of 200 µs that is there on purpose.
 */

/** 2,000 requests of each night a path. */
const BLOCKS = 40;
const PAIRS_PER_BLOCK = 50;
const P = 0.001;
const PLANTED_MS = 0.2;
/** Compiled code, open connections and warm caches first. */
const WARM_UP = 200;
const BLOCK_WARM_UP = 8;

/** Of the order in a pair, and of the nonces: which hashes stand where in an index is none of the nights' difference either. */
const SEED = Date.now() % 2 ** 31;

let nights: [Night, Night];

beforeAll(async () => {
  const sample = sideChannelSample();
  nights = await Promise.all([holdNight("calm", sample, SEED), holdNight("loud", sample, SEED)]);
  // What watches and counts goes on every second, and has been seen; the machine is needed for the answers.
  for (const { services } of nights) for (const service of services.values()) await service.stop();
}, 240_000);
afterAll(async () => {
  for (const { harness } of nights ?? []) await harness.close();
});

/** Phi(z) for z <= 0, to about 1e-7 (Abramowitz and Stegun, 26.2.17). */
function normalBelow(z: number): number {
  const t = 1 / (1 - 0.2316419 * z);
  const series = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
}

/** Wilcoxon's signed-rank test, two-sided, by the normal distribution with the correction for ties; differences of 0 say nothing. */
function signedRank(differences: readonly number[]): number {
  const sorted = differences.filter((d) => d !== 0).sort((a, b) => Math.abs(a) - Math.abs(b));
  const n = sorted.length;
  let above = 0;
  let variance = (n * (n + 1) * (2 * n + 1)) / 24;
  for (let from = 0; from < n; ) {
    let to = from;
    while (to < n && Math.abs(sorted[to] as number) === Math.abs(sorted[from] as number)) to++;
    const ties = to - from;
    variance -= (ties ** 3 - ties) / 48;
    for (const d of sorted.slice(from, to)) if (d > 0) above += (from + 1 + to) / 2;
    from = to;
  }
  const z = (above - (n * (n + 1)) / 4) / Math.sqrt(variance);
  return n === 0 ? 1 : 2 * normalBelow(-Math.abs(z));
}

/** Differences of pairs, in ms, after some that do not count; which of the two is asked first is drawn for each. */
async function pairs([one, other]: [Asked, Asked], warmUp: number, first: () => boolean): Promise<number[]> {
  const differences: number[] = [];
  for (let n = -warmUp; n < PAIRS_PER_BLOCK; n++) {
    const turned = first();
    const before = await timeOf(turned ? other : one);
    const after = await timeOf(turned ? one : other);
    if (n >= 0) differences.push(turned ? after - before : before - after);
  }
  return differences;
}

const median = (numbers: readonly number[]) =>
  numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] as number;

/** The hash of a sealed statement: in turn of each, for most were accepted in one night and quarantined in the other. */
function sealedOf({ statements }: Night, block: number): string {
  const sealed = statements.filter((_, n) => n !== POLLS && n !== DECLARATION);
  return sealed[block % sealed.length] as string;
}

const SEALED = "sealed statements";
const PLANTED = "sealed statements, 200 µs planted";
/** Places of the public ones. */
const POLLS = 0;
const DECLARATION = 10;

/** What is asked of each night: the same of both. */
function askedOf(night: Night, { urls }: Here, block: number): Record<string, Asked> {
  const sample = nights[0].harness.sample;
  const signed = signSample(
    sample,
    { type: "tally", ...sampleCommon(sample, "AT", 99), tallies: [sampleTally()] },
    "AT-1",
  );
  const forged = Buffer.from(signed)
    .toString("ascii")
    .replace(/[^.]*$/, "A".repeat(86));
  const get = (of: keyof Here["urls"], path: string): Asked => ({ url: urls[of], method: "GET", path });
  const post = (body: string): Asked => ({ url: urls.ingest, method: "POST", path: "/v1/statements", body });
  return {
    [SEALED]: get("release", `/statements/${sealedOf(night, block)}`),
    "a declaration": get("release", `/statements/${night.statements[DECLARATION]}`),
    judgements: get("release", "/log/judgements/0"),
    releases: get("release", "/v1/releases"),
    "the latest release": get("release", "/v1/releases/latest"),
    checkpoint: get("release", "/log/checkpoint"),
    evidence: get("release", "/v1/evidence"),
    "the operators' page": get("watch", "/"),
    "the operators' document": get("watch", "/v1/status"),
    "a forged statement": post(forged),
    "no statement": post("{"),
  };
}

/**
 * The median difference of each block, in ms, by what was asked. No two servers are equally fast, for as long as they live: by some
 * microseconds where Postgres answers, by one where memory does. So each block has servers of its own, made in a drawn order, and is one
 * observation.
 */
async function observe(first: () => boolean): Promise<Map<string, number[]>> {
  const medians = new Map<string, number[]>();
  for (let block = 0; block < BLOCKS; block++) {
    const here = await serveBoth(first());
    const [calm, loud] = nights.map((night, n) => askedOf(night, here[n] as Here, block));
    const asked = Object.entries(calm as object).map(([name, one]) => [name, one, loud?.[name]]) as [
      string,
      Asked,
      Asked,
    ][];
    const [, one, other] = asked.find(([name]) => name === SEALED) as (typeof asked)[0];
    asked.push([PLANTED, one, { ...other, url: here[1].urls.delayed }]);
    for (const [name, ...both] of asked) {
      const differences = await pairs(both, block === 0 ? WARM_UP : BLOCK_WARM_UP, first);
      medians.set(name, [...(medians.get(name) ?? []), median(differences)]);
    }
    for (const each of here) await each.close();
  }
  return medians;
}

async function serveBoth(turned: boolean): Promise<[Here, Here]> {
  const [calm, loud] = nights;
  const one = await answerHere((turned ? loud : calm).harness, PLANTED_MS);
  const other = await answerHere((turned ? calm : loud).harness, PLANTED_MS);
  return turned ? [other, one] : [one, other];
}

describe("the time that an answer takes", () => {
  it("Wilcoxon's test as it is here: no more often than said, for equal ones", () => {
    const draw = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 200, maxLength: 200 });
    const found = fc.sample(draw, { numRuns: 500, seed: 2024 }).filter((differences) => signedRank(differences) < 0.05);
    expect(found.length).toBeLessThan(50);
    // By hand (Hollander and Wolfe): 1 to 10, all above, and half of them.
    expect(signedRank([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])).toBeCloseTo(0.00506, 4);
    expect(signedRank([1, -2, 3, -4, 5, -6, 7, -8, 9, -10])).toBeCloseTo(0.79887, 4);
  });

  it("is the same whatever was counted, and 200 µs would be seen", async () => {
    console.info(`seed ${SEED}`);
    let state = SEED;
    // A linear congruential generator (Numerical Recipes): it only mixes the order.
    const first = () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >= 2 ** 31;
    };
    const found = [...(await observe(first))].map(([name, medians]) => {
      return { name, p: signedRank(medians), us: Math.round(median(medians) * 1000) };
    });
    console.table(found);
    // Holm: the least of those that should be equal against P over how many they are.
    const equal = found.filter(({ name }) => name !== PLANTED).sort((a, b) => a.p - b.p);
    const [least] = equal as [(typeof equal)[0]];
    expect(least.p * equal.length, `${least.name}: ${least.us} µs`).toBeGreaterThan(P);
    expect((found.find(({ name }) => name === PLANTED)?.p ?? 1) * found.length).toBeLessThan(P);
  }, 600_000);
});
