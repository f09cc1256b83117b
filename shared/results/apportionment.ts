import type { Allocation, Constituency, List, Threshold } from "../definition/schema.ts";
import type { Tie } from "../formats/release.ts";

/**
 * Seats from votes, for one constituency. Every comparison is of BigInt products, so nothing is ever rounded; equal claims
 * are reported as a tie, never settled by chance or by the order of input. The methods: Pukelsheim, Proportional
 * Representation (2nd ed. 2017), chapters 3 to 5; each state's variant is named in its definition.
 */

/** A lot that was drawn: where the tie arose, and every contender of it in the order that the lot gave. */
export interface Draw {
  constituency: string;
  within: string;
  order: string[];
}

/** What claims seats: a list, a linked pair (under the id it is linked to) or an alliance. */
interface Contender {
  id: string;
  votes: bigint;
  /** A single candidate, who can sit on one seat only. */
  single: boolean;
}

type OpenTie = Pick<Tie, "between" | "seats">;
type Split = { seats: Map<string, number>; tie: OpenTie | null };
type DivisorMethod = Extract<Allocation, { method: "divisor" }>;
type QuotaMethod = Extract<Allocation, { method: "quota" }>;

/**
 * The seats of one constituency by its allocation method. `votes` are counts per list id (a list not named has 0; at most
 * 2^53 - 1 each), `ballots` is asked only by thresholds of ballots cast. Of several `draws` of one tie the first holds.
 * `seats` holds every list of `lists`; seats that a tie leaves open are in `ties` and with no list. `declared`
 * constituencies are not computed: all 0. Throws RangeError at a count that is not an integer.
 */
export function apportion(
  constituency: Constituency,
  lists: List[],
  input: { votes: Record<string, number>; ballots: number },
  draws: Draw[],
): { seats: Record<string, number>; ties: Tie[] } {
  const seats: Record<string, number> = {};
  for (const list of lists) seats[list.id] = 0;
  const method = constituency.allocation;
  if (method.method === "declared") return { seats, ties: [] };

  const votesOf = (list: List): bigint => BigInt(input.votes[list.id] ?? 0);
  const valid = sum(lists.map(votesOf));
  const bases = {
    valid,
    lists: valid - sum(lists.filter((list) => list.kind === "none").map(votesOf)),
    ballots: BigInt(input.ballots),
  };
  const qualified = linkedContenders(constituency, lists, votesOf).filter((contender) =>
    passes(contender, constituency.threshold, bases, constituency.seats),
  );

  const ties: Tie[] = [];
  const split = (within: string, contenders: Contender[], count: number, allVotes: bigint): Map<string, number> => {
    const lots = draws.filter((draw) => draw.constituency === constituency.id && draw.within === within);
    const result =
      method.method === "divisor"
        ? byDivisor(method, contenders, count, lots)
        : byQuota(
            method,
            contenders,
            count,
            method.of === "valid" ? allVotes : sum(contenders.map((c) => c.votes)),
            lots,
          );
    if (result.tie) ties.push({ constituency: constituency.id, within, ...result.tie });
    return result.seats;
  };

  const alliances = alliancesOf(constituency, qualified);
  const allied = new Set(alliances.flatMap((alliance) => alliance.members));
  const first = [...qualified.filter((contender) => !allied.has(contender)), ...alliances.map((a) => a.contender)];
  const won = split("seats", first, constituency.seats, valid);
  for (const { contender, members } of alliances) {
    const inner = split(contender.id, members, won.get(contender.id) ?? 0, contender.votes);
    won.delete(contender.id);
    for (const [id, count] of inner) won.set(id, count);
  }
  for (const [id, count] of won) seats[id] = count;
  shareLinkedSeats(constituency, seats);
  return { seats, ties };
}

/** Lists and independents with votes; the two lists of a link stand as one, under the id that is linked to. */
function linkedContenders(constituency: Constituency, lists: List[], votesOf: (list: List) => bigint): Contender[] {
  const linkedTo = new Map((constituency.links ?? []).map((link) => [link.list, link.to]));
  const contenders = new Map<string, Contender>();
  for (const list of lists) {
    if (list.kind !== "list" && list.kind !== "independent") continue;
    const id = linkedTo.get(list.id) ?? list.id;
    const contender = contenders.get(id) ?? { id, votes: 0n, single: false };
    contender.votes += votesOf(list);
    if (id === list.id) contender.single = list.kind === "independent";
    contenders.set(id, contender);
  }
  return [...contenders.values()].filter((contender) => contender.votes > 0n);
}

/** Whether the votes are at least the threshold's share of its base; exactly the share is enough. */
function passes(
  contender: Contender,
  threshold: Threshold | undefined,
  bases: Record<Threshold["of"], bigint>,
  seats: number,
): boolean {
  if (!threshold) return true;
  const share = (contender.single ? threshold.independents : undefined) ?? threshold.share;
  const base = bases[threshold.of];
  if (share === "1/seats") return contender.votes * BigInt(seats) >= base;
  const { value, scale } = decimal(share);
  return contender.votes * 100n * scale >= value * base;
}

/** Each alliance as one contender with what is left of it after the threshold; an alliance of which nothing is left is gone. */
function alliancesOf(
  constituency: Constituency,
  qualified: Contender[],
): { contender: Contender; members: Contender[] }[] {
  return (constituency.alliances ?? [])
    .map(({ id, lists }) => {
      const members = qualified.filter((contender) => lists.includes(contender.id));
      return { contender: { id, votes: sum(members.map((m) => m.votes)), single: false }, members };
    })
    .filter((alliance) => alliance.members.length > 0);
}

/** Of a pair's seats the linked list takes its own number, as far as they go; the rest stay where the pair's votes are. */
function shareLinkedSeats(constituency: Constituency, seats: Record<string, number>): void {
  for (const link of constituency.links ?? []) {
    const pair = seats[link.to] ?? 0;
    const taken = Math.min(link.seats, pair);
    seats[link.list] = taken;
    seats[link.to] = pair - taken;
  }
}

/**
 * Highest quotients votes/d, seat by seat; contenders with the same quotient get their seats together, so that the order
 * of input decides nothing. A contender's own quotients strictly fall (`first` is below the second divisor), so each has at
 * most one claim at any height.
 */
function byDivisor(method: DivisorMethod, contenders: Contender[], count: number, lots: Draw[]): Split {
  const seats = new Map(contenders.map((contender) => [contender.id, 0]));
  const { value: firstDivisor, scale } = decimal(method.first ?? "1");
  const divisorAfter = (held: number): bigint => {
    if (held === 0) return firstDivisor;
    return scale * BigInt(method.divisors === "dhondt" ? held + 1 : 2 * held + 1);
  };
  for (let left = count; left > 0; ) {
    let best: { id: string; votes: bigint; divisor: bigint }[] = [];
    for (const { id, votes, single } of contenders) {
      const held = seats.get(id)!;
      if (single && held === 1) continue;
      const claim = { id, votes, divisor: divisorAfter(held) };
      const top = best[0];
      const lead = top ? votes * top.divisor - top.votes * claim.divisor : 1n;
      if (lead > 0n) best = [claim];
      else if (lead === 0n) best.push(claim);
    }
    if (best.length === 0) break;
    const settled = settle(
      best.map((claim) => claim.id),
      left,
      lots,
    );
    addOne(seats, settled.winners);
    if (settled.tie) return { seats, tie: settled.tie };
    left -= settled.winners.length;
  }
  return { seats, tie: null };
}

/**
 * Whole quotas first, then largest remainders. Remainders are kept as numerators over the quota's own denominator, which
 * all contenders share, so that they compare as integers.
 */
function byQuota(method: QuotaMethod, contenders: Contender[], count: number, allVotes: bigint, lots: Draw[]): Split {
  const seats = new Map<string, number>();
  if (contenders.length === 0 || count === 0) return { seats, tie: null };
  const { numerator, denominator } = quotaOf(method.quota, allVotes, BigInt(count));
  const shares = contenders.map(({ id, votes, single }) => {
    const scaled = votes * denominator;
    const quotas = scaled / numerator;
    const whole = single && quotas > 1n ? 1n : quotas;
    seats.set(id, Number(whole));
    return { id, single, value: scaled - whole * numerator };
  });
  let left = count - shares.reduce((total, { id }) => total + seats.get(id)!, 0);

  if (left < 0) {
    // Only the Hagenbach-Bischoff quota can be filled once too often. The smallest remainders give back, which is to say
    // that the largest keep; a tie is about who keeps, and until it is drawn nobody of it does.
    const seated = shares.filter(({ id }) => seats.get(id)! > 0);
    const keeping = largest(seated, seated.length + left, lots);
    for (const { id } of seated) if (!keeping.winners.includes(id)) seats.set(id, seats.get(id)! - 1);
    return { seats, tie: keeping.tie };
  }

  const open = () => shares.filter(({ id, single }) => !(single && seats.get(id)! > 0));
  let takers = open();
  while (left > takers.length && takers.length > 0) {
    const ids = takers.map((share) => share.id);
    addOne(seats, ids);
    left -= ids.length;
    takers = open();
  }
  const rest = largest(takers, left, lots);
  addOne(seats, rest.winners);
  return { seats, tie: rest.tie };
}

/** The quota as an exact fraction of votes. */
function quotaOf(
  quota: QuotaMethod["quota"],
  votes: bigint,
  seats: bigint,
): { numerator: bigint; denominator: bigint } {
  if (quota === "hare") return { numerator: votes, denominator: seats };
  if (quota === "hagenbach-bischoff") return { numerator: votes, denominator: seats + 1n };
  return { numerator: votes / (seats + 1n) + 1n, denominator: 1n };
}

/** One seat each to the `count` largest values. */
function largest(
  claims: { id: string; value: bigint }[],
  count: number,
  lots: Draw[],
): { winners: string[]; tie: OpenTie | null } {
  if (count <= 0 || claims.length === 0) return { winners: [], tie: null };
  const falling = [...claims].sort((a, b) => (a.value < b.value ? 1 : a.value > b.value ? -1 : 0));
  const cut = falling[Math.min(count, falling.length) - 1]!.value;
  const above = falling.filter((claim) => claim.value > cut).map((claim) => claim.id);
  const equal = falling.filter((claim) => claim.value === cut).map((claim) => claim.id);
  const settled = settle(equal, count - above.length, lots);
  return { winners: [...above, ...settled.winners], tie: settled.tie };
}

/** Equal claims to `seats` seats: all of them if they fit, else the first of the lot that names exactly them, else a tie. */
function settle(equal: string[], seats: number, lots: Draw[]): { winners: string[]; tie: OpenTie | null } {
  if (equal.length <= seats) return { winners: equal, tie: null };
  const between = [...equal].sort(); // ids are ASCII: this is the order of code points
  const key = between.join();
  for (const lot of lots) {
    const order = [...new Set(lot.order)];
    if ([...order].sort().join() === key) return { winners: order.slice(0, seats), tie: null };
  }
  return { winners: [], tie: { between, seats } };
}

function addOne(seats: Map<string, number>, ids: string[]): void {
  for (const id of ids) seats.set(id, seats.get(id)! + 1);
}

function sum(values: bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}

/** "1.2" is 12 over 10. */
function decimal(text: string): { value: bigint; scale: bigint } {
  const [whole = "", fraction = ""] = text.split(".");
  return { value: BigInt(whole + fraction), scale: 10n ** BigInt(fraction.length) };
}
