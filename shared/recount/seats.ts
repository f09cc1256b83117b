import type { Allocation, Constituency, List, Threshold } from "../definition/schema.ts";
import type { Tie } from "../formats/release.ts";

/**
 * The second count's allocation of seats. It never hands out one seat after another: under every method a contender with
 * v votes lays claim to a first, a second, a k-th seat, each claim worth strictly less than the one before
 * (v / d(k) for divisors, v - k·Q for a quota with largest remainders), and the S seats belong to the S claims that are
 * worth most. So a claim holds exactly if fewer than S claims are worth more, which closed forms count exactly.
 */

/** A lot that was drawn: every contender of a tie, in the order that the lot gave. */
export interface Draw {
  constituency: string;
  within: string;
  order: string[];
}

/** Seats per list of the constituency (0 included), and the ties that no draw has settled. */
export interface Allotment {
  seats: Record<string, number>;
  ties: Tie[];
}

interface Contender {
  id: string;
  votes: bigint;
  /** An independent is one person and claims one seat; nobody else is bounded. */
  alone: boolean;
}

/** How many claims of a contender with `theirs` votes are worth more than claim number `k` of one with `mine`. */
type ClaimsAbove = (theirs: bigint, mine: bigint, k: number) => number;

type Lot = (within: string, between: string[]) => string[] | undefined;

interface Shares {
  seats: Map<string, number>;
  tie: { between: string[]; seats: number } | null;
}

/** "1.8" as 18 over 10. */
function decimal(text: string): { digits: bigint; scale: bigint } {
  const [whole, fraction = ""] = text.split(".");
  return { digits: BigInt(`${whole}${fraction}`), scale: 10n ** BigInt(fraction.length) };
}

const total = (amounts: Iterable<bigint>): bigint => {
  let sum = 0n;
  for (const amount of amounts) sum += amount;
  return sum;
};

/**
 * Claim k is worth v / d(k) with d = 1, 2, 3, … or 1, 3, 5, …; `first` stands for d(1). A first divisor that is not below the
 * second would make a second seat as cheap as the first, which no method means: RangeError.
 */
function byDivisors(allocation: Extract<Allocation, { method: "divisor" }>): ClaimsAbove {
  const step = allocation.divisors === "dhondt" ? 1n : 2n;
  const { digits: first, scale } = decimal(allocation.first ?? "1");
  if (first <= 0n || first >= (1n + step) * scale) throw new RangeError(`first divisor ${allocation.first}`);
  return (theirs, mine, k) => {
    // theirs / d > mine / d(k), cross-multiplied: every divisor d with d · mine < reach is theirs.
    const reach = theirs * (k === 1 ? first : (1n + step * BigInt(k - 1)) * scale);
    if (first * mine >= reach) return 0;
    const largest = (reach - 1n) / (mine * scale);
    return largest < 1n + step ? 1 : 1 + Number((largest - 1n) / step);
  };
}

/**
 * Claim k is worth v - k·Q: whole quotas first, then the largest remainders, then round after round while seats are left.
 * `base` is V. Q is V/S (Hare), V/(S+1) (Hagenbach-Bischoff), floor(V/(S+1)) + 1 (Droop), kept as a fraction.
 */
function byQuota(quota: "hare" | "droop" | "hagenbach-bischoff", base: bigint, seats: number): ClaimsAbove {
  const s = BigInt(seats);
  const [num, den] =
    quota === "hare" ? [base, s] : quota === "droop" ? [base / (s + 1n) + 1n, 1n] : ([base, s + 1n] as const);
  return (theirs, mine, k) => {
    const reach = (theirs - mine) * den + BigInt(k) * num;
    return reach <= 0n ? 0 : Number((reach - 1n) / num);
  };
}

/**
 * The S claims worth most. The number of claims above one is also its rank, and equal worth is equal rank, so the class at the
 * cut and the seats left for it follow from ranks alone.
 */
function share(contenders: Contender[], seats: number, above: ClaimsAbove, lot: (b: string[]) => string[] | undefined) {
  const most = (c: Contender) => (c.alone ? 1 : seats);
  const rank = (mine: Contender, k: number) => {
    let claims = 0;
    for (const c of contenders) claims += Math.min(most(c), above(c.votes, mine.votes, k));
    return claims;
  };
  const shares: Shares = { seats: new Map(), tie: null };
  const lastRank = new Map<string, number>();
  for (const contender of contenders) {
    let [held, refused] = [0, most(contender) + 1];
    while (refused - held > 1) {
      const k = (held + refused) >> 1;
      if (rank(contender, k) < seats) held = k;
      else refused = k;
    }
    shares.seats.set(contender.id, held);
    if (held > 0) lastRank.set(contender.id, rank(contender, held));
  }
  const cut = Math.max(...lastRank.values());
  const between = [...lastRank].filter(([, r]) => r === cut).map(([id]) => id);
  const left = seats - cut;
  if (between.length <= left) return shares;
  between.sort();
  const winners = lot(between)?.slice(0, left) ?? [];
  for (const id of between) if (!winners.includes(id)) shares.seats.set(id, shares.seats.get(id)! - 1);
  if (winners.length === 0) shares.tie = { between, seats: left };
  return shares;
}

/** Whether `votes` reach the share of the base, compared as integers. */
function reaches(votes: bigint, needed: string, base: bigint, seats: number): boolean {
  if (needed === "1/seats") return votes * BigInt(seats) >= base;
  const { digits, scale } = decimal(needed);
  return votes * 100n * scale >= digits * base;
}

function thresholdBase(of: Threshold["of"], lists: List[], votes: Map<string, bigint>, ballots: number): bigint {
  if (of === "ballots") return BigInt(ballots);
  const counted = of === "valid" ? lists : lists.filter((list) => list.kind !== "none");
  return total(counted.map((list) => votes.get(list.id)!));
}

/** Lists and linked pairs that may win seats: with votes, and at or above the threshold. A pair goes by the list linked to. */
function qualify(constituency: Constituency, lists: List[], votes: Map<string, bigint>, ballots: number): Contender[] {
  const linkedTo = new Map(constituency.links?.map((link) => [link.list, link.to]));
  const contenders = new Map<string, Contender>();
  for (const list of lists) {
    if (list.kind === "others" || list.kind === "none") continue;
    const id = linkedTo.get(list.id) ?? list.id;
    const partner = contenders.get(id);
    const own = votes.get(list.id)!;
    if (partner) contenders.set(id, { id, votes: partner.votes + own, alone: false });
    else contenders.set(id, { id, votes: own, alone: list.kind === "independent" });
  }
  const able = [...contenders.values()].filter((contender) => contender.votes > 0n);
  const { threshold } = constituency;
  if (!threshold) return able;
  const base = thresholdBase(threshold.of, lists, votes, ballots);
  return able.filter((contender) => {
    const needed = contender.alone ? (threshold.independents ?? threshold.share) : threshold.share;
    return reaches(contender.votes, needed, base, constituency.seats);
  });
}

/** Alliances of qualified lists, in the definition's order. */
function ally(constituency: Constituency, qualified: Contender[]): { id: string; members: Contender[] }[] {
  const alliances = (constituency.alliances ?? []).map(({ id, lists }) => ({
    id,
    members: qualified.filter((contender) => lists.includes(contender.id)),
  }));
  return alliances.filter(({ members }) => members.length > 0);
}

/** Both rounds: alliances as one contender each, then among the lists of each alliance. Seats per list or pair. */
function allotAll(constituency: Constituency, qualified: Contender[], valid: bigint, lot: Lot) {
  const { allocation } = constituency;
  const claims = (contenders: Contender[], seats: number, base: bigint | null): ClaimsAbove => {
    if (allocation.method === "divisor") return byDivisors(allocation);
    if (allocation.method === "quota")
      return byQuota(allocation.quota, base ?? total(contenders.map((c) => c.votes)), seats);
    throw new RangeError(`${constituency.id}: declared seats are not computed`);
  };
  const alliances = ally(constituency, qualified);
  const allied = new Set(alliances.flatMap(({ members }) => members));
  const first = qualified.filter((contender) => !allied.has(contender));
  for (const { id, members } of alliances)
    first.push({ id, votes: total(members.map((member) => member.votes)), alone: false });

  const base = allocation.method === "quota" && allocation.of === "valid" ? valid : null;
  const ties: Tie[] = [];
  const round = (contenders: Contender[], seats: number, within: string, of: bigint | null) => {
    const shares = share(contenders, seats, claims(contenders, seats, of), (between) => lot(within, between));
    if (shares.tie) ties.push({ constituency: constituency.id, within, ...shares.tie });
    return shares.seats;
  };
  const seats = round(first, constituency.seats, "seats", base);
  for (const { id, members } of alliances) {
    const won = seats.get(id)!;
    if (won > 0) for (const [member, taken] of round(members, won, id, null)) seats.set(member, taken);
  }
  return { seats, ties };
}

/**
 * Seats of one constituency from its figures, by its own allocation, threshold, alliances and links. `lists` may hold other
 * constituencies' lists; a list missing in `votes` has 0. A tie is settled only by the first of `draws` that names this
 * constituency, where the tie arose and exactly its contenders; otherwise its seats stay open and it is listed. A constituency
 * with declared seats gets none here. RangeError for votes that are no integer and for a first divisor that means nothing.
 *
 * Quotients and remainders: Pukelsheim, Proportional Representation, 2nd ed., chapters 4 and 5.
 */
export function allot(
  constituency: Constituency,
  lists: List[],
  figures: { votes: Record<string, number>; ballots: number },
  draws: Draw[],
): Allotment {
  const own = lists.filter((list) => list.constituency === constituency.id);
  const seats: Record<string, number> = Object.fromEntries(own.map((list) => [list.id, 0]));
  if (constituency.allocation.method === "declared") return { seats, ties: [] };
  const votes = new Map(own.map((list) => [list.id, BigInt(figures.votes[list.id] ?? 0)]));
  const qualified = qualify(constituency, own, votes, figures.ballots);
  const lot: Lot = (within, between) => {
    for (const draw of draws) {
      const order = [...new Set(draw.order)];
      if (draw.constituency !== constituency.id || draw.within !== within) continue;
      if (order.length === between.length && between.every((id) => order.includes(id))) return order;
    }
    return undefined;
  };
  const won = allotAll(constituency, qualified, total(votes.values()), lot);
  for (const list of own) seats[list.id] = won.seats.get(list.id) ?? 0;
  for (const link of constituency.links ?? []) {
    const pair = seats[link.to] ?? 0;
    seats[link.list] = Math.min(link.seats, pair);
    seats[link.to] = pair - seats[link.list]!;
  }
  return { seats, ties: won.ties };
}

/**
 * Splits a list's seats over the groups that its members joined, in proportion to the published numbers: Hare quota, largest
 * remainders, equal remainders to the group named first. A list that names none sits with the non-attached (`NI`).
 * Groups without a seat are left out.
 */
export function splitByGroup(groups: List["groups"], seats: number): Map<string, number> {
  const split = new Map<string, number>();
  if (seats === 0) return split;
  if (groups.length === 0) return split.set("NI", seats);
  const members = groups.reduce((sum, group) => sum + group.seats, 0);
  const remainders = groups.map((group) => (seats * group.seats) % members);
  const rest = remainders.reduce((sum, remainder) => sum + remainder, 0) / members;
  groups.forEach((group, i) => {
    const before = remainders.filter((r, j) => r > remainders[i]! || (r === remainders[i]! && j < i)).length;
    const held = Math.floor((seats * group.seats) / members) + (before < rest ? 1 : 0);
    if (held > 0) split.set(group.id, (split.get(group.id) ?? 0) + held);
  });
  return split;
}
