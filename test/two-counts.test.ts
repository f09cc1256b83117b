import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Definition } from "../shared/definition/schema.ts";
import type { Release, ReleaseHeader, Tie } from "../shared/formats/release.ts";
import type { OpenedEntry } from "../shared/ledger/entry.ts";
import { type Count, count, counted, startCount } from "../shared/recount/count.ts";
import { recountRelease } from "../shared/recount/document.ts";
import { loadCount, saveCount } from "../shared/recount/keep.ts";
import { allot, type Draw } from "../shared/recount/seats.ts";
import { apportion } from "../shared/results/apportionment.ts";
import { applyEntry, createTabulation, size, type Tabulation } from "../shared/results/fold.ts";
import { buildRelease, releaseBytes } from "../shared/results/release.ts";
import {
  declaredAs,
  definition,
  drawn,
  HASH,
  type Place,
  place,
  released,
  type Step,
  steps,
  votes,
} from "./two-counts-generators.ts";

/**
 * The two counts share no counting code and must write the same bytes for every definition and every prefix of a log. A
 * difference here is a difference that would stop the releases on the night. fast-check prints the seed of a failing run.
 */

const text = (bytes: Uint8Array): string => new TextDecoder("utf-8", { fatal: true }).decode(bytes);

/** Every open tie drawn, until drawing opens no new one (an alliance's lists may tie for a seat that was drawn for it). */
function drawAll(asked: (draws: Draw[]) => Tie[], lot: number): Draw[] {
  const draws: Draw[] = [];
  for (let open = asked(draws); open.length > 0; open = asked(draws)) {
    for (const tie of open) {
      const decision = drawn(tie, lot);
      if (decision.decision === "draw") draws.push(decision);
    }
  }
  return draws;
}

describe("seats of one constituency", () => {
  const seen = { ties: 0, within: 0, settled: 0, allied: 0, open: 0 };

  function compare({ constituency, lists }: Place, each: number[], spoilt: number, lot: number): void {
    const byList = Object.fromEntries(lists.map((list, i) => [list.id, each[i % each.length]!]));
    const ballots = Object.values(byList).reduce((sum, v) => sum + v, 0) + spoilt;
    const figures = { votes: byList, ballots };
    const both = (draws: Draw[]) => {
      const mine = allot(constituency, lists, figures, draws);
      const theirs = apportion(constituency, lists, figures, draws);
      const seatsOf = (seats: Record<string, number>) => lists.map((list) => [list.id, seats[list.id] ?? 0]);
      expect({ seats: seatsOf(mine.seats), ties: mine.ties }).toEqual({
        seats: seatsOf(theirs.seats),
        ties: theirs.ties,
      });
      return mine;
    };
    const { seats, ties } = both([]);
    seen.ties += ties.length;
    seen.within += ties.filter((tie) => tie.within !== "seats").length;
    seen.allied += (constituency.alliances ?? []).some((a) => a.lists.some((id) => (seats[id] ?? 0) > 0)) ? 1 : 0;
    const draws = drawAll((so) => both(so).ties, lot);
    seen.settled += draws.length;
    // Draws of other contenders, or of a tie that arose elsewhere, settle nothing.
    seen.open += both(draws.map((draw) => ({ ...draw, order: draw.order.slice(1) }))).ties.length;
    seen.open += both(
      draws.map((draw) => ({ ...draw, within: draw.within === "seats" ? "AT-A1" : "seats" })),
    ).ties.length;
  }

  it("is the same by both, undrawn and drawn", () => {
    fc.assert(
      fc.property(
        place("AT", "AT", 1),
        fc.array(votes, { minLength: 7, maxLength: 7 }),
        fc.integer({ min: 0, max: 9 }),
        fc.nat(11),
        compare,
      ),
      { numRuns: 20_000 },
    );
    // The generators reach what the test is for.
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(100);
  });

  it("is the same by both for votes up to 2^50", () => {
    const large = fc
      .tuple(fc.integer({ min: 30, max: 50 }), fc.integer({ min: -2, max: 2 }))
      .map(([e, d]) => 2 ** e + d);
    fc.assert(
      fc.property(place("AT", "AT", 1), fc.array(large, { minLength: 7, maxLength: 7 }), fc.nat(11), (p, each, lot) =>
        compare(p, each, 0, lot),
      ),
      { numRuns: 1000 },
    );
  });
});

describe("releases", () => {
  const seen = {
    releases: 0,
    ties: 0,
    settled: 0,
    withheld: 0,
    official: 0,
    repeated: 0,
    seats: 0,
    differing: 0,
    agreeing: 0,
    corrected: 0,
    reasons: 0,
  };

  const headerOf = (index: number): ReleaseHeader => ({
    number: index,
    checkpoint: { origin: "log.example/night", size: index, root: "cm9vdA==" },
    asOf: "2024-06-09T21:00:00.000Z",
    previous: index % 2 === 0 ? null : "cd".repeat(32),
  });

  /** Both releases of what was folded so far, compared as text: a difference then shows where. */
  function compare(t: Tabulation, c: Count): Release {
    const index = counted(c);
    expect(size(t)).toBe(index);
    const bytes = recountRelease(c, headerOf(index));
    const theirs = releaseBytes(buildRelease(t, headerOf(index)));
    expect(text(bytes)).toBe(text(theirs));
    expect(Buffer.compare(bytes, theirs)).toBe(0);
    const release = JSON.parse(text(bytes)) as Release;
    seen.releases += 1;
    seen.ties += release.states.flatMap((s) => s.ties).length;
    seen.withheld += release.states.filter((s) => s.withheld).length;
    seen.official += release.states.filter((s) => s.status === "OFFICIAL").length;
    seen.seats += release.union.seats.allocated;
    seen.differing += release.states.filter((s) => s.differences.length > 0).length;
    seen.corrected += release.states.filter((s) => s.corrected > 0).length;
    seen.reasons += release.states.flatMap((s) => s.corrections).filter(({ reason }) => reason !== null).length;
    for (const state of release.states) expect(state.corrections.length, state.state).toBe(state.corrected);
    return release;
  }

  function night(of: Definition, plan: Step[], cuts: number[]): void {
    const t = createTabulation(of, HASH);
    let c = startCount(of, HASH);
    const log: OpenedEntry[] = [];
    const both = (entry: OpenedEntry) => {
      applyEntry(t, entry);
      count(c, entry);
    };
    const append = (statement: OpenedEntry["statement"], verdict: OpenedEntry["verdict"]) => {
      log.push({ index: log.length, received: "2024-06-09T21:00:00.000Z", statement, verdict });
      both(log.at(-1)!);
    };
    const drawOpen = (lot: number) => {
      const open = compare(t, c).states.flatMap((s) => s.ties);
      for (const tie of open) append(drawn(tie, lot), "accepted");
      seen.settled += open.length;
    };
    append(null, "accepted");
    compare(t, c);
    for (const [i, step] of plan.entries()) {
      if ("say" in step) append(step.say, step.verdict);
      else if ("again" in step) {
        // Whatever comes under an index that was counted, even another statement, changes nothing.
        const old = log.at(-Math.min(step.again, log.length))!;
        both(old);
        both({ ...old, statement: log.at(-1)!.statement, verdict: "accepted" });
        both({ ...log.at(-1)!, statement: log[log.length >> 1]!.statement, verdict: "accepted" });
        seen.repeated += 1;
      } else if ("release" in step) {
        append(released(Math.max(1, log.length - step.release)), "accepted");
        compare(t, c);
      } else if ("declare" in step) {
        const shown = compare(t, c).states;
        for (const statement of shown.flatMap((state) => declaredAs(state, step.declare)))
          append(statement, "accepted");
        const said = shown.filter(({ seatsFrom }) => seatsFrom === "computed").map(({ state }) => state);
        const after = compare(t, c).states.filter(({ state, withheld }) => !withheld && said.includes(state));
        for (const { differences, constituencies } of after)
          expect(differences.length).toBe(step.declare === 0 ? 0 : constituencies.length);
        seen.agreeing += step.declare === 0 ? after.length : 0;
      } else drawOpen(step.draw);
      if (cuts.includes(i)) {
        compare(t, c);
        c = loadCount(of, HASH, saveCount(c));
      }
    }
    drawOpen(plan.length);
    compare(t, c);
  }

  it("are the same bytes by both, for every prefix of every log", () => {
    const nights = definition.chain((of) =>
      fc.tuple(fc.constant(of), steps(of), fc.array(fc.nat(19), { maxLength: 4 })),
    );
    fc.assert(
      fc.property(nights, ([of, plan, cuts]) => night(of, plan, cuts)),
      { numRuns: 1500 },
    );
    for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(100);
  });
});
