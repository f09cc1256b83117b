import type { Allocation, Constituency, List } from "../definition/schema.ts";
import { apportion, type Draw } from "./apportionment.ts";

/** Constituencies for the tests of the apportionment, in one line each. */

export const dhondt: Allocation = { method: "divisor", divisors: "dhondt" };
export const sainteLague: Allocation = { method: "divisor", divisors: "sainte-lague" };
export const quota = (
  kind: "hare" | "droop" | "hagenbach-bischoff",
  of: "qualified" | "valid" = "qualified",
): Allocation => ({
  method: "quota",
  quota: kind,
  of,
});

export interface Case extends Partial<Constituency> {
  allocation: Allocation;
  seats: number;
  votes: Record<string, number>;
  kinds?: Record<string, List["kind"]>;
  ballots?: number;
  draws?: Omit<Draw, "constituency">[];
}

/** One constituency, ready to be apportioned; without `ballots` every ballot is valid. */
export function count({ votes, kinds = {}, ballots, draws = [], ...rest }: Case) {
  const constituency: Constituency = { id: "XX", name: "Example", ...rest };
  const lists = Object.keys(votes).map((id) => list(id, kinds[id] ?? "list"));
  const valid = Object.values(votes).reduce((sum, n) => sum + n, 0);
  return apportion(
    constituency,
    lists,
    { votes, ballots: ballots ?? valid },
    draws.map((draw) => ({ constituency: "XX", ...draw })),
  );
}

export function list(id: string, kind: List["kind"]): List {
  return { id, constituency: "XX", kind, acronym: id, name: id, groups: [] };
}
