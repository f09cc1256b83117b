import { expect } from "vitest";
import type { Sample } from "../shared/definition/sample.ts";
import type { Release, ReleaseHeader } from "../shared/formats/release.ts";
import type { OpenedEntry } from "../shared/ledger/entry.ts";
import { openAnswer, openCandidate } from "../shared/platform/release-seal.ts";
import { vaultOf } from "../shared/platform/vault-fixture.ts";
import { count, startCount } from "../shared/recount/count.ts";
import { recountRelease } from "../shared/recount/document.ts";
import { applyEntry, createTabulation } from "../shared/results/fold.ts";
import { buildRelease, releaseBytes } from "../shared/results/release.ts";
import { openEnvelope } from "../shared/statement/jws.ts";
import type { Scenario } from "./vault-scenario.ts";
import { receivedAt, type Written } from "./written-log.ts";

/**
 * What a revocation should leave of a log, told once more and in the plainest way: of each prefix, strike out what its revocations
 * strike out, and count the rest from the start, by both counting codes.
 */

/** The written statements by their index in the log; what the system wrote itself is missing, and says nothing about figures. */
export type Told = (Written | undefined)[];

const kidsOf = ({ jws }: Written): string[] => {
  const opened = openEnvelope(jws);
  if (opened.kind !== "envelope") throw new Error(opened.code);
  return opened.envelope.signatures.map(({ kid }) => kid);
};

const STRUCK = new Set(["tally", "seats", "declaration"]);

/** Indexes of what the revocations among the first `size` entries strike out. */
export function struck(told: Told, size: number): Set<number> {
  const revocations = told.slice(0, size).flatMap((written) => {
    const { statement, verdict } = written ?? {};
    if (statement?.type !== "key" || statement.change !== "revoke" || verdict === "quarantined") return [];
    return [{ kid: statement.revokes, since: Date.parse(statement.since) }];
  });
  const indexes = told.slice(0, size).flatMap((written, index) => {
    if (written === undefined || !STRUCK.has(written.statement.type)) return [];
    const kids = kidsOf(written);
    const at = Date.parse(receivedAt(index));
    return revocations.some(({ kid, since }) => kids.includes(kid) && at > since) ? [index] : [];
  });
  return new Set(indexes);
}

/** The first `size` entries without what is struck out. */
function remaining(told: Told, size: number): OpenedEntry[] {
  const without = struck(told, size);
  return Array.from({ length: size }, (_, index): OpenedEntry => {
    const { statement = null, verdict = "accepted" } = told[index] ?? {};
    return { index, received: receivedAt(index), statement: without.has(index) ? null : statement, verdict };
  });
}

/** The release document of what remains, as text; both counting codes write it. */
export function releaseOf(sample: Sample, told: Told, header: ReleaseHeader): string {
  const tabulation = createTabulation(sample.definition, sample.hash);
  const second = startCount(sample.definition, sample.hash);
  for (const entry of remaining(told, header.checkpoint.size)) {
    applyEntry(tabulation, entry);
    count(second, entry);
  }
  const bytes = Buffer.from(releaseBytes(buildRelease(tabulation, header)));
  expect(Buffer.from(recountRelease(second, header)).equals(bytes)).toBe(true);
  return bytes.toString("utf8");
}

/** Every candidate that tabulate wrote, in the order of their sizes, and recount's answer to it. */
export async function candidatesOf(
  scenario: Pick<Scenario, "world" | "query">,
): Promise<{ number: number; size: number; text: string; release: Release; agrees: boolean | null }[]> {
  const { rows } = await scenario.query<{ number: number; size: number; sealed: Buffer; answer: Buffer | null }>(
    `select number, size, c.sealed, a.sealed as answer
       from tabulate.candidate c left join recount.answer a using (number, size) order by number, size`,
  );
  const vault = vaultOf(scenario.world.sample);
  return rows.map(({ number, size, sealed, answer }) => {
    const text = openCandidate(vault, { number, size }, sealed).release;
    const agrees = answer === null ? null : openAnswer(vault, { number, size }, answer).agrees;
    return { number, size, text, release: JSON.parse(text) as Release, agrees };
  });
}

/** Every candidate is the release of its prefix, and recount has said no to none; answers them. */
export async function expectRight(scenario: Pick<Scenario, "world" | "query">, told: Told) {
  const candidates = await candidatesOf(scenario);
  for (const { size, text, release, agrees } of candidates) {
    const { number, checkpoint, asOf, previous } = release;
    expect(text, `the candidate of ${size}`).toBe(
      releaseOf(scenario.world.sample, told, { number, checkpoint, asOf, previous }),
    );
    expect(agrees, `the answer to ${size}`).not.toBe(false);
  }
  expect(scenario.world.incidents).toEqual([]);
  return candidates;
}
